"""Short codes that stand for a user and for an item in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import PromptError

NO_CODE = "0.0.0.0"
"""The code of users and items that none was learned for."""
_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_CODE = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{3}}", re.ASCII)


@dataclass(frozen=True)
class Codes:
    """Codes of 32 bits as four numbers from 0 to 255 with dots between (as BinLLM, arXiv 2406.03210).

    Raises `PromptError` for a code of another form: a prompt shows it as it is.
    """

    users: Mapping[str, str]
    """Code of each user id."""
    items: Mapping[str, str]
    """Code of each item id."""
    dataset_id: str = ""
    """Of the data that they were learned on."""

    def __post_init__(self) -> None:
        for kind, codes in (("user", self.users), ("item", self.items)):
            for key, code in codes.items():
                if not _CODE.fullmatch(code):
                    raise PromptError(
                        f"code {code[:40]!r} of {kind} {key[:60]!r}",
                        expected="four numbers from 0 to 255 such as 172.16.254.1",
                    )

    def of(self, dataset_id: str) -> Codes:
        """These, where that is the data that they were learned on; else nobody has a code: equal ids mean nothing."""
        return self if dataset_id == self.dataset_id else Codes({}, {}, dataset_id)

    def user(self, user_id: str) -> str:
        """The user's code; `NO_CODE` for one without."""
        return self.users.get(user_id, NO_CODE)

    def item(self, item_id: str) -> str:
        """The item's code; `NO_CODE` for one without."""
        return self.items.get(item_id, NO_CODE)

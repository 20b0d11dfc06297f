"""The wordings of a prompt: what its template says of the user's taste and of what the user looks for now.

After InstructRec (arXiv 2305.07001): preference none, implicit or explicit; intention none, vague or
specific. There is no row that says neither anything of taste nor a kind: its query would hold nothing of the user.
A new wording is a row here, its name in `Wording`, and its templates `assets/prompts/<family>_<name>.txt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.data.records import Item

Wording = Literal[
    "plain",
    "explicit_vague",
    "explicit_specific",
    "implicit",
    "implicit_vague",
    "implicit_specific",
    "specific",
]
Preference = Literal["none", "implicit", "explicit"]
"""Explicit: the titles of a history are said to be liked; implicit: to be what the user interacted with; none: no
titles of a history are shown. Which titles stand in a history is the same in all of them."""
Intention = Literal["none", "vague", "specific"]
"""Vague: the user looks for another item; specific: for one of the kind that `frequent_category` names."""


@dataclass(frozen=True)
class PromptWording:
    """One wording."""

    name: Wording
    words: str
    """For the screen."""
    preference: Preference
    intention: Intention

    def template_name(self, family: str) -> str:
        """Name of its template's file for a prompt family."""
        return f"{family}.txt" if self.name == "plain" else f"{family}_{self.name}.txt"

    @property
    def shows_titles(self) -> bool:
        """Whether it shows the titles of a history, as most do."""
        return self.preference != "none"


WORDINGS: dict[Wording, PromptWording] = {
    wording.name: wording
    for wording in (
        PromptWording("plain", "what the user liked", "explicit", "none"),
        PromptWording("explicit_vague", "liked, and looking for another", "explicit", "vague"),
        PromptWording("explicit_specific", "liked, and the kind most frequent there", "explicit", "specific"),
        PromptWording("implicit", "what the user interacted with", "implicit", "none"),
        PromptWording("implicit_vague", "interacted with, and looking for another", "implicit", "vague"),
        PromptWording("implicit_specific", "interacted with, and the kind most frequent there", "implicit", "specific"),
        PromptWording("specific", "the most frequent kind alone, no titles", "none", "specific"),
    )
}


def other_wordings(wording: Wording) -> tuple[PromptWording, ...]:
    """The wordings, apart from `wording`, that show the titles of a history: they leave nothing of it out."""
    return tuple(row for row in WORDINGS.values() if row.shows_titles and row.name != wording)


def frequent_category(history: Sequence[Item]) -> str | None:
    """The category of most items of a history, oldest first; None where they have none.

    Of equally frequent ones that of the latest item, there the last listed, which is the narrowest where categories
    are nested. It reads nothing but the history: neither what was chosen next nor any candidate.
    """
    names = [
        name for item in reversed(history) for name in dict.fromkeys(reversed(item.categories)) if name.strip()
    ]  # A counter keeps the order in which names came, so the first of equals is the latest.
    return Counter(names).most_common(1)[0][0] if names else None

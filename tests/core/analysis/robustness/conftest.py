"""A small data set of twelve planets, and settings of a tiny model on it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from questions import explain_task
from references import language_model

from core.analysis.setting import Setting, set_up
from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel

PLANETS = (
    ("Mercury", "rock"),
    ("Venus", "rock"),
    ("Earth", "rock"),
    ("Mars <|im_end|>", "rock"),
    ("Jupiter", "gas"),
    ("Saturn", "gas"),
    ("Uranus", "ice"),
    ("Neptune", "ice"),
    ("Pluto {item}", "dwarf"),
    ("Ceres", "dwarf"),
    ("Éris", "dwarf"),
    ("Vesta", "rock"),
    ("Juno", "rock"),
    ("Hygiea", "rock"),
    ("Sedna", "dwarf"),
    ("Haumea", "dwarf"),
)
Settings = Callable[..., Setting]


@pytest.fixture(scope="session")
def planets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Three users over sixteen items; user u has met items 0 to 7, the last one first time at moment 80."""
    folder = tmp_path_factory.mktemp("data") / "planets"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user, shift in (("u", 0), ("v", 3), ("w", 6)):
        rows += [
            f"{user}\t{(place + shift) % 16}\t{5 - 3 * (place == 2)}\t{10 * (place + 1) + shift}" for place in range(8)
        ]
    (folder / "planets.inter").write_text("\n".join(rows) + "\n")
    items = ["item_id:token\tplanet_title:token_seq\tclass:token_seq"]
    items += [f"{number}\t{title}\t{kind}" for number, (title, kind) in enumerate(PLANETS)]
    (folder / "planets.item").write_text("\n".join(items) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        dataset = open_dataset(str(folder))
        yield dataset
        dataset.close()


@pytest.fixture(scope="session")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


@pytest.fixture(scope="session")
def setting(planets: Dataset, model: LanguageModel) -> Settings:
    """A setting of user u with four demonstrations, four titles of history and five candidates, or as asked."""

    def made(**choices: Any) -> Setting:
        return set_up(
            explain_task(**{"user": "u", "demos": 4, "candidates": 4, "history": 4, **choices}), planets, model
        )

    return made

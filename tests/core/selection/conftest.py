"""A small data set with likes, dislikes and times, and a tiny model that reads it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from references import language_model

from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel

TITLES = ("Alien", "Aliens", "Heat", "Fargo", "Toy Story", "Blade Runner", "The Matrix", "Solaris", "Dune", "Emma")
KINDS = ("Space", "Crime", "Love")
USERS = ("u", "v", "w", "x", "y", "z")
Made = Callable[..., Dataset]


def rows(*, ratings: bool = True, times: bool = True, users: tuple[str, ...] = USERS, length: int = 12) -> list[str]:
    """User number n meets item (3 n + 7 place) mod 24 at moment 10 place + n, and likes two of three."""
    header = "user_id:token\titem_id:token" + "\trating:float" * ratings + "\ttimestamp:float" * times
    lines = [header]
    for number, user in enumerate(users):
        for place in range(length):
            rating = f"\t{5 - 3 * (place % 3 == 1)}" if ratings else ""
            moment = f"\t{10 * place + number}" if times else ""
            lines.append(f"{user}\t{(3 * number + 7 * place) % 24}{rating}{moment}")
    return lines


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """`made(inter lines)` is a data set of 24 films."""
    opened: list[Dataset] = []

    def make(lines: list[str]) -> Dataset:
        folder: Path = tmp_path_factory.mktemp("data") / "films"
        folder.mkdir()
        (folder / "films.inter").write_text("\n".join(lines) + "\n")
        items = ["item_id:token\tmovie_title:token_seq\tgenre:token_seq"]
        items += [f"{n}\t{TITLES[n % 10]} {n // 10 + 1}\t{KINDS[n % 3]}" for n in range(24)]
        (folder / "films.item").write_text("\n".join(items) + "\n")
        opened.append(open_dataset(str(folder)))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield make
        for dataset in opened:
            dataset.close()


@pytest.fixture(scope="session")
def film_lines() -> list[str]:
    return rows()


@pytest.fixture(scope="session")
def films(made: Made, film_lines: list[str]) -> Dataset:
    return made(film_lines)


@pytest.fixture(scope="session")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)

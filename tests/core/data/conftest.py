"""A home folder of its own for these tests, and a ten-line data set whose answers are known by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.data.dataset import Dataset, open_dataset

BOOKS_INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float",
    "a\t1\t5\t10",
    "a\t2\t3\t20",
    "b\t1\t4\t5",
    "b\t3\t5\t15",
    "a\t3\t4\t30",
    "a\t4\t5\t40",
    "b\t4\t2\t30",
    "c\t2\t5\t1",
    "c\t4\t5\t25",
    "c\t1\t1\t40",
)
BOOKS_ITEM = (
    "item_id:token\tbook_title:token_seq\tgenre:token_seq",
    "1\tDune\tSpace Desert",
    "2\tEmma\tLove",
    "3\tSolaris\tSpace Sea",
    "4\tHyperion\tSpace",
    "5\tPersuasion\tLove Sea",
    "10\tUlysses\tCity",
)
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("DEMOLENS_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def write(own_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """`write(inter, item)` makes a folder `books` of the given lines (or bytes) and returns it."""

    def make(inter: object = BOOKS_INTER, item: object = BOOKS_ITEM) -> Path:
        folder = tmp_path_factory.mktemp("data") / "books"
        folder.mkdir()
        for suffix, content in (("inter", inter), ("item", item)):
            if content is not None:
                data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()  # type: ignore[arg-type]
                (folder / f"books.{suffix}").write_bytes(data)
        return folder

    return make


@pytest.fixture(scope="module")
def books(write: Write) -> Dataset:
    return open_dataset(str(write()))


def leftovers(home: Path) -> list[str]:
    unfinished = [str(path) for path in (home / "scratch").glob("*/*")]
    return unfinished + [name for name in os.listdir(home / "datasets") if name.startswith(".")]

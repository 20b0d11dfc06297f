"""A small data set on a clock and a tiny model on disk, in a home of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel, load

TITLES = ("Alien", "Heat", "Fargo", "Aliens", "Toy Story", "The Matrix", "Big", "Up", "Brazil", "Seven")


@pytest.fixture(scope="module")
def comparison_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("DEMOLENS_HOME", str(home))
        yield home


@pytest.fixture(scope="session")
def watched_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 users who have met seven of ten films each; two thirds of what they met they liked."""
    folder = tmp_path_factory.mktemp("data") / "watched"
    folder.mkdir()
    rows = [
        (f"u{user}", (3 * place + user) % 10, 5 if (user + place) % 3 else 1, 100 * place + user)
        for user in range(14)
        for place in range(7)
    ]
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *("\t".join(map(str, row)) for row in rows)]
    (folder / "watched.inter").write_text("\n".join(lines) + "\n")
    items = ["item_id:token\tmovie_title:token_seq", *(f"{n}\t{title}" for n, title in enumerate(TITLES))]
    (folder / "watched.item").write_text("\n".join(items) + "\n")
    return folder


@pytest.fixture(scope="module")
def watched(comparison_home: Path, watched_folder: Path) -> Iterator[Dataset]:
    dataset = open_dataset(str(watched_folder))
    yield dataset
    dataset.close()


@pytest.fixture(scope="module")
def llama(comparison_home: Path, llama_folder: Path) -> LanguageModel:
    return load(str(llama_folder), device="cpu")

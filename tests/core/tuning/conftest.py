"""A small data set with titles and planted tastes, a tiny model on disk, and settings that suit both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel, load
from core.tuning.training.training_settings import TuningSettings

Rows = Sequence[tuple[object, ...]]
Films = Callable[..., Path]
TITLES = ("Alien", "Heat", "Fargo", "Aliens", "Toy Story", "The Matrix", "Big", "Up")


def film_rows(users: int = 6, met: int = 12) -> list[tuple[object, ...]]:
    """user, item, rating, timestamp: even users like even items; every third moment is shared with the one before."""
    rows: list[tuple[object, ...]] = []
    for user in range(users):
        for place in range(met):
            item = (3 * place + user) % len(TITLES)
            likes = (user + item) % 2 == 0
            if (place + user) % 5 == 4:
                likes = not likes
            rows.append((f"u{user}", item, 5 if likes else 1, 100 * (place - (place % 3 == 2)) + user))
    return rows


@pytest.fixture(scope="session")
def films_of(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """`films_of(rows)` writes a data set of these rows (user, item, then rating and timestamp as far as wanted)."""

    def made(rows: Rows | None = None, columns: Sequence[str] = ("rating:float", "timestamp:float")) -> Path:
        folder = tmp_path_factory.mktemp("data") / "films"
        folder.mkdir()
        lines = ["\t".join(("user_id:token", "item_id:token", *columns))]
        lines += ["\t".join(map(str, row)) for row in (film_rows() if rows is None else rows)]
        (folder / "films.inter").write_text("\n".join(lines) + "\n")
        items = ["item_id:token\tmovie_title:token_seq", *(f"{n}\t{title}" for n, title in enumerate(TITLES))]
        (folder / "films.item").write_text("\n".join(items) + "\n")
        return folder

    return made


@pytest.fixture(scope="module")
def tuning_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("DEMOLENS_HOME", str(home))
        yield home


@pytest.fixture(scope="session")
def films_folder(films_of: Films) -> Path:
    return films_of()


@pytest.fixture(scope="module")
def films(tuning_home: Path, films_folder: Path) -> Iterator[Dataset]:
    dataset = open_dataset(str(films_folder))
    yield dataset
    dataset.close()


@pytest.fixture
def llama(tuning_home: Path, llama_folder: Path) -> LanguageModel:
    """The tiny model, fresh for every test, because tuning changes it."""
    return load(str(llama_folder), device="cpu")


@pytest.fixture
def tuning(films_folder: Path, llama_folder: Path) -> TuningSettings:
    """Six short steps."""
    return TuningSettings(
        dataset=str(films_folder),
        model=str(llama_folder),
        device="cpu",
        demos=2,
        history=2,
        batch=4,
        most_steps=6,
        epochs=10,
        micro_tokens=512,
        rank=2,
        learning_rate=0.01,
        evaluate_every=2,
        validation_examples=6,
        checkpoint_every=2,
        validation=0.3,
        half=False,
        autocast=False,
    )

"""Data sets of hand-written files, as `demolens data add` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.data.data_report import DataReport
from core.data.dataset import Dataset
from core.data.reading.import_choices import DataChoices
from core.data.reading.sources import recognised
from core.data.stored import prepared

Rows = list[tuple[str, str, float | None, float | None]]


def written(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """The files in a folder of their own, in the given order."""
    folder.mkdir(exist_ok=True, parents=True)
    paths = []
    for name, content in files.items():
        paths.append(folder / name)
        paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
    return paths


@contextmanager
def imported(folder: Path, files: Mapping[str, str | bytes], **choices: object) -> Iterator[tuple[Dataset, DataReport]]:
    """The data set that files give, and its report; nothing is stored."""
    settings = DataChoices.model_validate(choices)
    with prepared(recognised(written(folder, files), settings)) as data:
        dataset = Dataset(data.stored, name="x", licence="")
        yield dataset, data.report
        dataset.close()


def rows_of(dataset: Dataset) -> Rows:
    """User, item, rating and time of every interaction, by user and position."""
    query = "SELECT user_id, item_id, rating, timestamp FROM interactions ORDER BY user_id, position"
    return dataset.cursor().execute(query).fetchall()


def titles_of(dataset: Dataset) -> dict[str, str]:
    """The title of each item."""
    return {item.item_id: item.title for item in dataset.all_items()}

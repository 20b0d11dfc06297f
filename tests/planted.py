"""Small data sets whose tastes are known because they were planted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.data.dataset import Dataset, open_dataset

Row = tuple[str, str, float | None, float | None]
"""user, item, rating, timestamp; a column of None is left out of the file."""


def opened(folder: Path, rows: Iterable[Row]) -> Dataset:
    """A data set of these rows, in a folder of its own; DEMOLENS_HOME must already lie in a temporary folder."""
    rows = list(rows)
    shown = [0, 1, *(column for column in (2, 3) if rows[0][column] is not None)]
    names = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    lines = ["\t".join(names[column] for column in shown)]
    lines += ["\t".join(str(row[column]) for column in shown) for row in rows]
    folder.mkdir()
    (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n")
    return open_dataset(str(folder))


def two_tastes(users: int = 24, items: int = 24, met: int = 16, seed: int = 0) -> list[Row]:
    """Users and items are even or odd; like likes like, with one answer in ten turned round. Time grows by row."""
    random = np.random.default_rng(seed)
    pairs = [(user, int(item)) for user in range(users) for item in random.permutation(items)[:met]]
    random.shuffle(pairs)
    return [
        (f"u{user}", f"i{item}", 5.0 if ((user - item) % 2 == 0) != (random.random() < 0.1) else 1.0, float(moment))
        for moment, (user, item) in enumerate(pairs)
    ]

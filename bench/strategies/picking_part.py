"""Part `picking`: how long it takes to pick neighbours, on the sample and on ten million interactions.

The large data set is drawn: users and items by Zipf's law, half a million users, read by the import as any other file.
The index of likes is built before anything is timed; its time is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.case_list import Bench
from bench.results_table import ResultRow, as_row
from bench.spread import quartiles
from bench.temporary_home import temporary_home
from bench.timing import timed
from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.records import Case, Strategy
from core.data.strategies import pick
from core.seeds import generator

DEMOS, TITLES = 16, 5
STRATEGIES: tuple[Strategy, ...] = ("neighbours", "co_likes")
USERS, ITEMS, INTERACTIONS = 500_000, 100_000, 10_000_000
FEWEST = 5
"""Interactions of every user at least."""
SMALL, LARGE = "<= 30", "<= 300"
"""Milliseconds."""


def picking(bench: Bench, cases: int, *, interactions: int = INTERACTIONS) -> Iterator[list[ResultRow]]:
    """Rows so far: the sample, then the large data set."""
    rows = _rows(bench.dataset, cases, bench.seed, SMALL)
    yield rows
    with temporary_home() as folder:
        path = folder / "drawn"
        path.mkdir()
        write_interactions(path / "drawn.inter", interactions, bench.seed)
        dataset = open_dataset(str(path))
        yield [*rows, *_rows(dataset, cases, bench.seed, LARGE)]
        dataset.close()


def _rows(dataset: Dataset, cases: int, seed: int, target: str) -> list[ResultRow]:
    built, _ = timed(lambda: dataset.likes)
    users = [user for user, count in dataset.users(limit=dataset.size["users"]) if count >= FEWEST]
    drawn = generator("picking", dataset.dataset_id, seed).permutation(len(users))[: cases + 1]
    questions = [case_of(dataset, users[int(place)]) for place in drawn]
    pick(dataset, questions[0], k=DEMOS, strategy="neighbours", history=TITLES)
    label = f"{dataset.size['interactions']:,} interactions of {dataset.size['users']:,} users"
    rows = [as_row(f"seconds to build or read the index of likes, {label}", [built])]
    for strategy in STRATEGIES:
        spent = [1_000 * _seconds(dataset, case, strategy) for case in questions[1:]]
        figures = quartiles(np.array(spent))
        promised = target if strategy == "neighbours" else None
        rows.append(as_row(f"milliseconds to pick {DEMOS} ({strategy}; quartiles), {label}", figures, promised))
    return rows


def _seconds(dataset: Dataset, case: Case, strategy: Strategy) -> float:
    spent, _ = timed(lambda: pick(dataset, case, k=DEMOS, strategy=strategy, history=TITLES))
    return spent


def write_interactions(path: Path, count: int, seed: int) -> None:
    """A file of `count` interactions with timestamps; every user has a few, popular items most."""
    random = generator("drawn interactions", seed)
    users = min(USERS, count // FEWEST)
    user = np.concatenate([np.repeat(np.arange(users), FEWEST), random.integers(0, users, size=count - FEWEST * users)])
    weights = 1 / np.arange(1, ITEMS + 1) ** 0.8
    item = np.searchsorted(np.cumsum(weights / weights.sum()), random.random(count)).clip(max=ITEMS - 1)
    time = random.integers(1_000_000_000, 1_600_000_000, size=count)
    with path.open("w", encoding="ascii") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for start in range(0, count, 1_000_000):
            block = slice(start, start + 1_000_000)
            lines = zip(user[block].tolist(), item[block].tolist(), time[block].tolist(), strict=True)
            file.writelines(f"{who}\t{what}\t{when}\n" for who, what, when in lines)

"""Ten million drawn interactions as one compressed CSV file: what their import costs, and how fast they are read.

The import is the command that a person runs, in a process of its own; beside it stands `pandas.read_csv` of the same
file in another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from bench.results_table import ResultRow, as_row
from bench.spread import quartiles
from bench.temporary_home import temporary_home
from bench.timing import timed
from core.data.dataset import Dataset, open_dataset
from core.metrics.intervals import Floats
from core.seeds import generator

INTERACTIONS, USERS, ITEMS = 10_000_000, 500_000, 200_000
NAME = "drawn"
ASKED = 200
"""Users whose history is read, and texts that are searched."""
GIGABYTE = 1_048_576
"""Kilobytes, the unit of `ru_maxrss` on Linux."""
READ = "import sys, pandas; pandas.read_csv(sys.argv[1])"


def import_rows(interactions: int = INTERACTIONS, seed: int = 0) -> Iterator[list[ResultRow]]:
    """The rows so far: the import beside pandas, then questions to what was stored."""
    with temporary_home() as folder:
        path = folder / "drawn.csv.gz"
        write_csv(path, interactions, seed)
        pandas_seconds, pandas_peak = spent([sys.executable, "-c", READ, str(path)])
        command = [sys.executable, "-m", "core.cli.command", "data", "add", str(path), "--name", NAME]
        seconds, peak = spent(command)
        what = f"{interactions:,} interactions in a compressed CSV file"
        rows = [
            as_row(f"import of {what}: peak memory, GB", [peak], "<= 2"),
            as_row(f"import of {what}: time / pandas.read_csv of the same file", [seconds / pandas_seconds], "<= 1"),
            as_row(f"pandas.read_csv of {what}: peak memory, GB", [pandas_peak]),
            as_row(f"import of {what}: seconds", [seconds]),
        ]
        yield rows
        dataset = open_dataset(NAME)
        yield [*rows, *_questions(dataset, seed)]
        dataset.close()


def _questions(dataset: Dataset, seed: int) -> list[ResultRow]:
    random = generator("questions", dataset.dataset_id, seed)
    users = [f"u{number}" for number in random.integers(0, USERS, size=4 * ASKED)]
    users = [user for user in users if dataset.users(user, limit=1)][:ASKED]
    texts = [str(number) for number in random.integers(0, ITEMS, size=ASKED)]
    questions: Sequence[tuple[str, Callable[[str], object], list[str], str]] = (
        ("one user's history", dataset.history, users, "<= 20"),
        ("users as an id is typed", dataset.users, [user[:4] for user in users], "<= 100"),
        ("items as a title is typed", dataset.find_items, texts, "<= 100"),
    )
    label = f"milliseconds (quartiles), {dataset.size['interactions']:,} interactions"
    return [
        as_row(f"{what}, {label}", quartiles(_milliseconds(ask, words)), target)
        for what, ask, words, target in questions
    ]


def _milliseconds(ask: Callable[[str], object], words: Sequence[str]) -> Floats:
    return np.array([1_000 * timed(partial(ask, text))[0] for text in words])


def write_csv(path: Path, interactions: int, seed: int = 0) -> None:
    """A compressed CSV file of drawn interactions, unsorted; popular users and items have most."""
    connection = duckdb.connect()
    connection.execute(f"SELECT setseed({(seed % 1000) / 1000})")
    connection.execute(
        f"COPY (SELECT 'u' || floor({USERS} * random() * random())::BIGINT AS user_id,"
        f" floor({ITEMS} * random() * random())::BIGINT AS item_id, 1 + floor(5 * random())::BIGINT AS rating,"
        f" 1000000000 + floor(1e8 * random())::BIGINT AS timestamp FROM range({interactions}))"
        f" TO '{path}' (FORMAT csv, HEADER, COMPRESSION gzip)"
    )
    connection.close()


def spent(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak memory in GB of a process; raises `SystemExit` where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bench: {' '.join(command[:4])} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / GIGABYTE

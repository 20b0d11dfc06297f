"""Data sets on disk: sorted Parquet files named by their content, and which source files gave them.

All text passes the checks of `core.data.reading`, and DuckDB is handed typed columns only, so that a crafted file never
reaches its parser.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from core.data.data_report import DataReport, data_report
from core.data.duck import locked_connection
from core.data.reading.recbole import RECBOLE
from core.data.reading.rejects import Rejects
from core.data.reading.sources import Sources
from core.data.reading.streams import label
from core.data.typed import TypedData, type_rows
from core.errors import DataError, MaterialError
from core.store.home import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    check_free,
    disk_full,
    home,
    put_folder,
    room,
    stored,
    workplace,
    write_atomically,
)
from core.store.lock import alone, tell
from core.store.sealed import FileState, content_hash, sealed, state_of, unsealed
from core.words import counted

FORMAT = "demolens-dataset-3"
"""Changes whenever files are read in another way: what an earlier version stored is then read anew."""
ROW_GROUP = 50_000
"""Rows in a Parquet row group: small enough that one user's history reads one or two of them."""
MEMORY = "1200MB"
"""Most memory DuckDB may use during an import before it spills to disk."""
_TABLES = ("interactions.parquet", "items.parquet", "users.parquet")
_FACTS = "facts.json"


@dataclass(frozen=True)
class Stored:
    """A data set on disk, as `Dataset` opens it."""

    folder: Path
    dataset_id: str
    """First 16 hex digits of a SHA-256 over the content: equal rows give the equal id, whatever their order was.

    Only the order of a user's different items at the same time matters (it orders the history); not where lines are
    repeated, how numbers and column names are written, what the files are called, or what columns are not used.
    """
    facts: dict[str, Any]
    """What the content says: numbers of rows, and how ratings and times are read."""
    notices: tuple[str, ...]
    """What a reader of these very files should know; other files with the same content may have others."""
    meaning: dict[str, Any]
    """Which columns of these files were read as what, and the share of likes."""


@dataclass(frozen=True)
class Prepared:
    """A data set that was read and is not stored yet."""

    stored: Stored
    """In a folder that goes with the block that made it."""
    report: DataReport


@dataclass(frozen=True)
class _Read:
    """The files of a data set, and the state and SHA-256 of each before they are read."""

    sources: Sources
    states: tuple[FileState, ...]
    digests: tuple[str, ...]

    @property
    def record(self) -> Path:
        """Where it is written which stored data set these files gave."""
        names = tuple(label(path) for path in self.sources.paths)
        return home() / "datasets" / "sources" / f"{_name_of(names, self.digests, self.sources)}.json"

    @property
    def where(self) -> str:
        """The first file, for sentences."""
        return label(self.sources.paths[0])


def store_sources(sources: Sources) -> Stored:
    """Read the files of a data set once, check every line, and store them sorted as Parquet.

    Files that were read before are recognised by their SHA-256 and only looked up.
    Raises `DataError`, with file and line, for anything that is not a whole data set; then nothing is stored.
    """
    read = _read(sources)
    stored_before = _look_up(read.record)
    if stored_before is not None:
        return stored_before
    try:
        check_free()
        room("datasets", "sources")
        with alone(f"import-{read.record.stem}", f"the import of {read.where}"):
            # Another process may have finished while this one waited.
            return _look_up(read.record) or _store(read)
    except MaterialError as error:
        return _store_for_now(read, error)


@contextlib.contextmanager
def prepared(sources: Sources) -> Iterator[Prepared]:
    """The data set that files give, with its report; gone at the end of the block but for what `place` stored.

    Raises `DataError` where the files are no data set, also where most of their lines are not read.
    """
    check_free()
    with workplace() as scratch:
        yield prepare_in(scratch, sources)


def prepare_in(scratch: Path, sources: Sources) -> Prepared:
    """The same in a folder below `scratch`, which the caller removes."""
    return _import(_read(sources), scratch)


def source_name(inter: Path, item: Path | None, digests: tuple[str, str | None]) -> str:
    """32 hex digits for a `.inter` and a `.item` file of that content and those names."""
    names = (label(inter), *([] if item is None else [label(item)]))
    return _name_of(names, tuple(digest for digest in digests if digest is not None), None)


def _name_of(names: tuple[str, ...], digests: tuple[str, ...], sources: Sources | None) -> str:
    # Notices name the files, so that files of other names are other sources of what may be the same data set.
    parts = (FORMAT, names, digests, RECBOLE.name if sources is None else sources.format.name)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _read(sources: Sources) -> _Read:
    states, digests = [], []
    for path in sources.paths:
        try:
            states.append(state_of(path))
            digests.append(content_hash(path))
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise DataError(f"cannot be read: {reason}", where=label(path)) from None
    return _Read(sources, tuple(states), tuple(digests))


def _store(read: _Read) -> Stored:
    with workplace() as scratch:
        dataset = place(_import(read, scratch).stored)
    facts = {"dataset_id": dataset.dataset_id, "notices": list(dataset.notices), "meaning": dataset.meaning}
    write_atomically(read.record, sealed(facts))
    return dataset


def place(dataset: Stored) -> Stored:
    """Give the folder its name: it appears whole or not at all."""
    folder = home() / "datasets" / dataset.dataset_id
    with alone(f"dataset-{dataset.dataset_id}", "the same data"):
        facts = _facts_of(folder)  # Of other files with the same content.
        if facts is None:
            put_folder(dataset.folder, folder)
    return replace(dataset, folder=folder, facts=facts or dataset.facts)


def _store_for_now(read: _Read, reason: MaterialError) -> Stored:
    """The data set in a folder that goes with this process, where the home cannot take it."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix="demolens-"))
    except OSError:
        raise reason from None
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    dataset = _import(read, scratch).stored
    return replace(dataset, notices=(*dataset.notices, f"The data are read anew every time: {reason}."))


def _look_up(path: Path) -> Stored | None:
    """What was stored from the files of this record before, if all of it is as it was written."""
    record = unsealed(path)
    return None if record is None else stored_as(record)


def stored_as(record: dict[str, Any], below: Path | None = None) -> Stored | None:
    """The data set that a record names (`dataset_id`, `notices`, `meaning`), if all of it is as it was written.

    It lies `below` a folder, by default that of all data sets in the home.
    """
    folder = (below or home() / "datasets") / str(record["dataset_id"])
    facts = _facts_of(folder)
    return None if facts is None else Stored(folder, folder.name, facts, tuple(record["notices"]), record["meaning"])


def _facts_of(folder: Path) -> dict[str, Any] | None:
    """The facts of a stored data set, or None where it is not whole."""
    facts = unsealed(folder / _FACTS)
    try:
        whole = facts is not None and all(content_hash(folder / name) == facts["hashes"][name] for name in _TABLES)
    except (OSError, KeyError, TypeError):
        return None
    return facts if whole else None


def _import(read: _Read, scratch: Path) -> Prepared:
    rejects = Rejects(strict=read.sources.strict)
    connection = locked_connection(scratch, spill=scratch / "spill", memory=MEMORY)
    try:
        data = type_rows(connection, read.sources, rejects)
        _check_share(data.facts["interactions"], rejects)
        _check_rest(read)
        report = data_report(connection, read.sources, data, rejects)
        return Prepared(_written(connection, data, scratch), report)
    except duckdb.OutOfMemoryException:
        expected = f"a data set that fits {MEMORY} and the disk"
        raise DataError("too large to be sorted here", expected=expected, where=read.where) from None
    except duckdb.IOException as error:
        if "space" in str(error).lower() or "too large" in str(error).lower():
            raise disk_full("the data set") from None
        raise DataError("cannot be read (IOException)", where=read.where) from None
    except duckdb.Error as error:
        raise DataError(f"cannot be read ({type(error).__name__})", where=read.where) from None
    finally:
        connection.close()


def _check_share(interactions: int, rejects: Rejects) -> None:
    """Refuse files most of whose lines are rejected: they are not what they were taken for."""
    if rejects.count > interactions:
        first = rejects.first[0]
        lines = counted(rejects.count, "line")
        problem = f"{lines} cannot be read and {interactions:,} can; the first: {first.problem}"
        raise DataError(problem, expected=first.expected, where=f"{first.file}, line {first.line}")


def _check_rest(read: _Read) -> None:
    try:
        same = read.states == tuple(state_of(path) for path in read.sources.paths)
    except OSError:
        same = False
    if not same:
        raise DataError("the file changed while it was read", expected="a file at rest", where=read.where)


def _written(connection: duckdb.DuckDBPyConnection, data: TypedData, scratch: Path) -> Stored:
    """The three tables and the facts in a folder named by the content."""
    part = scratch / data.dataset_id
    tell("writing the data set")
    with stored("the data set"):
        part.mkdir(mode=PRIVATE_FOLDER)
        people, catalogue = (connection.table(name).order("place") for name in ("people", "catalogue"))
        for name, rows in zip(_TABLES, (connection.table("ordered"), catalogue, people), strict=True):
            path = part / name
            rows.write_parquet(str(path), row_group_size=ROW_GROUP, compression="zstd")
            path.chmod(PRIVATE_FILE)
            _sync(path)
        facts = data.facts | {"hashes": {name: content_hash(part / name) for name in _TABLES}}
        write_atomically(part / _FACTS, sealed(facts))
    return Stored(part, data.dataset_id, facts, data.notices, data.meaning)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())

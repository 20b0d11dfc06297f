"""From checked files to rows in DuckDB: interactions with numbers for ratings and times, items as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.columns import ITEM, RATING, TIMESTAMP, USER
from core.data.reading.delimited import Delimited
from core.data.reading.layouts import LINE, FileReading, ReadingPass
from core.data.reading.numbers import NumberColumn, numbers_of
from core.data.reading.rejects import Rejects
from core.data.reading.shapes import FileShape, Meaning, Reshaped
from core.data.reading.sources import SourceFile, Sources
from core.data.reading.table import LINE_BITS, Table
from core.store.lock import tell
from core.words import brief

_BREAKS = "[\t\n\r\\x00]"
"""Characters that no id may hold: they part rows and fields."""
_ITEM_MEANINGS: tuple[Meaning, ...] = ("item", "title", "categories")
_TYPED = "(line BIGINT, user_id VARCHAR, item_id VARCHAR, rating DOUBLE, timestamp DOUBLE)"


@dataclass(frozen=True)
class Loaded:
    """The interactions in table `typed` (line, user_id, item_id, rating, timestamp), in the files' order."""

    table: Table
    rating: str | None
    """The column of ratings."""
    dates: int
    """Times that are written as dates."""
    beside: Table | None
    """The titles that stand beside the interactions, in table `item_text`."""


@dataclass
class _Reading:
    """Several files read one after another."""

    rejects: Rejects
    encoding: str | None
    files: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def blocks(
        self, sources: Sequence[SourceFile], columns: Callable[[FileShape], Sequence[str]], numeric: Sequence[str] = ()
    ) -> Iterator[pa.Table]:
        """Each file's tables, lines numbered through all files."""
        for place, source in enumerate(sources):
            name = source.stream.name
            self.files.append(name)
            self.rows.append(0)
            reading = ReadingPass(source.stream, self.rejects, columns(source.shape), frozenset(numeric), self.encoding)
            for block in source.shape.layout.blocks(reading):
                if isinstance(block, FileReading):
                    self.encodings.append(block.encoding)
                    self.cut += [name] if block.cut else []
                    continue
                self.rows[-1] += block.num_rows
                tell(f"{self.rows[-1]:,} rows of {name} read")
                if block.num_rows:
                    yield block if not place else _shifted(block, place << LINE_BITS)

    def table(self, columns: Sequence[str], shape: FileShape, used: Sequence[str | None]) -> Table:
        """What is known once all was read; `columns` are those in DuckDB and `used` those with a meaning."""
        types = tuple(shape.kinds.get(column, "token") for column in columns)
        left = tuple(column for column in _all_columns(shape) if column not in (*columns, *used))
        return Table(
            files=tuple(self.files),
            columns=tuple(columns),
            types=types,
            rows_of=tuple(self.rows),
            unread=left,
            cut=tuple(self.cut),
            encodings=tuple(self.encodings),
        )


def _all_columns(shape: FileShape) -> tuple[str, ...]:
    layout = shape.layout
    if isinstance(layout, Reshaped):
        return layout.extra
    return layout.names


def _shifted(block: pa.Table, by: int) -> pa.Table:
    return block.set_column(0, LINE, pc.add(block.column(LINE), by))


def load_interactions(connection: duckdb.DuckDBPyConnection, sources: Sources, rejects: Rejects) -> Loaded:
    """Read the files of interactions into `typed`; raises `DataError`, in a strict reading for the first wrong line."""
    shape = sources.interactions[0].shape
    taken = shape.taken
    columns = tuple(dict.fromkeys(taken[m] for m in ("user", "item", "rating", "time") if m in taken))
    beside = "title" in taken and not sources.items
    titles = tuple(taken[m] for m in ("title", "categories") if m in taken and beside)
    reading = _Reading(rejects, sources.choices.encoding)
    numeric = [taken[m] for m in ("rating", "time") if m in taken and taken[m] not in (taken["user"], taken["item"])]
    connection.execute(f"CREATE TABLE typed {_TYPED}")
    if titles:
        connection.execute("CREATE TABLE beside (line BIGINT, f0 VARCHAR, f1 VARCHAR, f2 VARCHAR)")
    columns_read = tuple(dict.fromkeys((*columns, *titles)))
    dates, plain = 0, _holds_no_breaks(shape)
    for block in reading.blocks(sources.interactions, lambda _: columns_read, numeric):
        typed, written = _typed(block, shape, reading, sources, plain=plain)
        dates += written
        connection.from_arrow(typed).insert_into("typed")
        if titles:
            connection.from_arrow(_titles(block, taken["item"], titles)).insert_into("beside")
    table = reading.table((), shape, columns_read)
    return Loaded(table, taken.get("rating"), dates, _beside(connection, reading, shape, titles) if titles else None)


def _holds_no_breaks(shape: FileShape) -> bool:
    layout = shape.layout
    return isinstance(layout, Delimited) and layout.delimiter == "\t" and not layout.quote


def _typed(
    block: pa.Table, shape: FileShape, reading: _Reading, sources: Sources, *, plain: bool
) -> tuple[pa.Table, int]:
    """The rows of a block that can be used, and how many of their times are dates."""
    taken = shape.taken
    user, item = _text(block.column(taken["user"])), _text(block.column(taken["item"]))
    rating = _numbers(block, taken.get("rating"), dates=False)
    moment = _numbers(block, taken.get("time"), dates=sources.dates)
    wrong = _wrong(user, plain) | _wrong(item, plain) | rating.wrong | moment.wrong
    columns = [block.column(LINE), user, item, _nullable(rating.values), _nullable(moment.values)]
    table = pa.table(columns, names=[LINE, USER, ITEM, RATING, TIMESTAMP])
    if wrong.any():
        for place in np.flatnonzero(wrong):
            _reject(block, int(place), sources, reading, rating, moment)
        table = table.filter(pa.array(~wrong))
    return table, moment.dates


def _numbers(block: pa.Table, column: str | None, *, dates: bool) -> NumberColumn:
    if column is not None:
        return numbers_of(block.column(column), dates=dates)
    return NumberColumn(np.full(block.num_rows, np.nan), np.zeros(block.num_rows, dtype=bool))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _wrong(ids: pa.ChunkedArray, plain: bool) -> NDArray[np.bool_]:
    """Which ids are missing or hold a tab or a line end."""
    missing = np.zeros(len(ids), dtype=bool) if not ids.null_count else ids.is_null().to_numpy()
    if plain:
        return missing
    broken = pc.match_substring_regex(ids, _BREAKS).fill_null(False)
    return np.asarray(missing | broken.to_numpy(), dtype=bool)


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    missing = np.isnan(values)
    return pa.array(values, pa.float64(), mask=missing if missing.any() else None)


def _reject(
    block: pa.Table, place: int, sources: Sources, reading: _Reading, rating: NumberColumn, moment: NumberColumn
) -> None:
    """Count a row for the first thing that is wrong with it."""
    taken = sources.interactions[0].shape.taken
    number = block.column(LINE)[place].as_py()
    name, line = reading.files[number >> LINE_BITS], number & ((1 << LINE_BITS) - 1)

    def cell(meaning: Meaning) -> str:
        value = block.column(taken[meaning])[place].as_py()
        return "" if value is None else str(value)

    ids: tuple[tuple[Meaning, str], ...] = (("user", USER), ("item", ITEM))
    for meaning, column in ids:
        if not cell(meaning):
            reading.rejects.add(name, line, f"no {column}", "an id in every line")
            return
    if rating.wrong[place]:
        problem = f"{taken['rating']} is {brief(cell('rating'))}"
        reading.rejects.add(name, line, problem, "a finite number such as 4 or 3.5")
    elif moment.wrong[place]:
        expected = "a number or a date" if sources.dates else "a number of seconds"
        reading.rejects.add(name, line, f"{taken['time']} is {brief(cell('time'))}", expected)
    else:
        reading.rejects.add(name, line, "an id with a tab or a line end", "an id on one line")


def _titles(block: pa.Table, item: str, titles: Sequence[str]) -> pa.Table:
    """Each title of a block once for each item, with the first of its lines."""
    columns = [_text(block.column(name)) for name in (item, *titles)]
    columns += [pa.nulls(block.num_rows, pa.string())] * (3 - len(columns))
    table = pa.table([block.column(LINE), *columns], names=[LINE, "f0", "f1", "f2"])
    distinct = table.group_by(["f0", "f1", "f2"], use_threads=False).aggregate([(LINE, "min")])
    return distinct.select([f"{LINE}_min", "f0", "f1", "f2"]).rename_columns([LINE, "f0", "f1", "f2"])


def _beside(connection: duckdb.DuckDBPyConnection, reading: _Reading, shape: FileShape, titles: Sequence[str]) -> Table:
    connection.execute(
        "CREATE TABLE item_text AS SELECT min(line) AS line, f0, f1, f2 FROM beside"
        " WHERE f0 IS NOT NULL GROUP BY f0, f1, f2; DROP TABLE beside"
    )
    columns = (shape.taken["item"], *titles)
    return Table(tuple(reading.files), columns, ("token",) * len(columns))


def load_items(connection: duckdb.DuckDBPyConnection, sources: Sources, rejects: Rejects) -> Table | None:
    """Read the files of items into `item_text` (line, f0, f1, ...), all text; None where there are none."""
    if not sources.items:
        return None
    first = sources.items[0].shape
    meanings = tuple(meaning for meaning in _ITEM_MEANINGS if meaning in first.taken)
    some = "title" in first.taken or len(sources.items) > 1
    columns = tuple(first.taken[meaning] for meaning in meanings) if some else first.layout.names
    reading = _Reading(rejects, sources.choices.encoding)
    fields = ", ".join(f"f{place} VARCHAR" for place in range(len(columns)))
    connection.execute(f"CREATE TABLE item_text (line BIGINT, {fields})")

    def of(shape: FileShape) -> tuple[str, ...]:
        return tuple(shape.taken[meaning] for meaning in meanings) if some else shape.layout.names

    item = columns.index(first.taken["item"])
    for block in reading.blocks(sources.items, of):
        texts = [_text(column) for column in block.columns[1:]]
        wrong = _wrong(texts[item], plain=False)
        table = pa.table([block.column(LINE), *texts], names=[LINE, *(f"f{place}" for place in range(len(texts)))])
        for place in np.flatnonzero(wrong):
            number = block.column(LINE)[int(place)].as_py()
            name = reading.files[number >> LINE_BITS]
            problem = f"no {ITEM}" if texts[item][int(place)].as_py() is None else "an id with a tab or a line end"
            rejects.add(name, number & ((1 << LINE_BITS) - 1), problem, "an id in every line")
        connection.from_arrow(table.filter(pa.array(~wrong)) if wrong.any() else table).insert_into("item_text")
    return reading.table(columns, first, columns)

"""Reads RecBole's atomic format (https://recbole.io/docs/user_guide/data/atomic_files.html).

`<name>.inter` holds one interaction a line (`user_id item_id [rating] [timestamp]`), `<name>.item` one item a line
(`item_id`, a title column, perhaps categories); both are tab-separated with a `name:type` header. Of a folder these are
`<folder name>.inter` and `.item`, else the only `*.inter` and its `.item`. The parts of a benchmark that RecBole splits
(`<name>.train.inter`, `.valid.inter`, `.test.inter`) are not put together; a single one of them is read.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.columns import ITEM, LABEL, RATING, TIMESTAMP, USER
from core.data.reading.lines import Lines, label
from core.data.reading.table import Table
from core.errors import DataError
from core.store.home import stored
from core.words import brief

_KNOWN = (USER, ITEM, RATING, LABEL, TIMESTAMP)
"""Columns that are found in any case, `User_ID` too."""

_PART = re.compile(r"(.+)\.(train|valid|validation|test)\.inter", re.DOTALL)


def inter_files(folder: Path) -> list[Path]:
    """All `.inter` files of a folder; none of one that cannot be read."""
    try:
        return sorted(folder.glob("*.inter"))
    except OSError:
        return []


def files_of(folder: Path) -> tuple[Path, Path | None]:
    """The `.inter` file of a folder, and the `.item` file if there is one; raises `DataError` for an unclear choice."""
    inter = _inter(folder)
    part = _PART.fullmatch(inter.name)
    item = inter.with_suffix(".item")
    if part and not item.exists():
        item = inter.with_name(f"{part[1]}.item")
    return _plain(inter), _plain(item) if item.exists() else None


def _inter(folder: Path) -> Path:
    named = folder / f"{folder.name}.inter"
    if named.exists():
        return named
    every = inter_files(folder)
    parts = [path for path in every if _PART.fullmatch(path.name)]
    choices = [path for path in every if path not in parts] or parts
    if len(choices) == 1:
        return choices[0]
    if parts and choices == parts:
        first = ", ".join(label(path) for path in parts[:3])
        raise DataError(
            f"{len(parts)} parts of a benchmark that RecBole splits ({first})",
            expected=f"one file with all interactions, such as {label(named)}: the lines of the parts below one header",
            where=label(folder),
        )
    what = "no .inter file" if not choices else f"{len(choices)} .inter files and none named {label(named)}"
    raise DataError(what, expected=f"one, such as {label(named)}", where=label(folder))


def _plain(path: Path) -> Path:
    if not path.is_file():
        raise DataError("not a plain file but a folder, a pipe or a device", expected="a text file", where=label(path))
    return path


def tables_of(inter: Path, item: Path | None, scratch: Path) -> tuple[Table, Table | None]:
    """Interactions and items as numbered copies in `scratch`; raises `DataError` for the first line that is wrong."""
    interactions = checked(inter, scratch / "inter.tsv", required=(USER, ITEM))
    return interactions, None if item is None else checked(item, scratch / "item.tsv", required=(ITEM,))


def checked(path: Path, copy: Path, *, required: tuple[str, ...]) -> Table:
    """Check every line of `path` and write `line number <tab> line` to `copy`."""
    lines = Lines(path)
    numbered = iter(lines)
    header = next(numbered, None)
    name = lines.name
    if header is None:
        raise DataError("the file is empty", expected="a header line such as user_id:token", where=name)
    columns, types = _header(header[1].decode(), name, required)
    with stored("the data set"), open(copy, "wb") as file:
        rows = 0
        for number, line in numbered:
            if not line:
                continue
            if line.count(b"\t") != len(columns) - 1:
                raise _ragged(name, number, line, len(columns))
            file.write(b"%d\t%b\n" % (number, line))
            rows += 1
    return Table(name, copy, columns, types, rows, lines.digest, lines.cut)


def _ragged(name: str, number: int, line: bytes, expected: int) -> DataError:
    count = line.count(b"\t") + 1
    fields = "1 field" if count == 1 else f"{count} fields"
    return DataError(fields, expected=f"{expected}, as the header names", where=f"{name}, line {number}")


def _header(line: str, name: str, required: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = [part.rpartition(":") if ":" in part else (part, ":", "token") for part in line.split("\t")]
    columns = tuple(_column(part[0].strip()) for part in parts)
    where = f"{name}, line 1"
    for place, column in enumerate(columns):
        if not column:
            raise DataError(f"column {place + 1} has no name", expected="name:type for each column", where=where)
        if column in columns[:place]:
            raise DataError(f"column {brief(column)} appears twice", expected="distinct column names", where=where)
    missing = [column for column in required if column not in columns]
    if missing:
        expected = f"columns {' and '.join(required)}" if len(required) > 1 else f"a column {required[0]}"
        raise DataError(_no_such_column(columns), expected=f"{expected}, separated by tabs", where=where)
    return columns, tuple(part[2].strip() for part in parts)


def _column(written: str) -> str:
    return next((column for column in _KNOWN if column == written.casefold()), written)


def _no_such_column(columns: tuple[str, ...]) -> str:
    named = ", ".join(brief(column) for column in columns[:12])
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"no column of the needed name; found {named}{more}"

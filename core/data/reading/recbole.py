"""RecBole's atomic format (https://recbole.io/docs/user_guide/data/atomic_files.html).

`<name>.inter` holds one interaction a line (`user_id item_id [rating] [timestamp]`), `<name>.item` one item a line
(`item_id`, a title column, perhaps categories); both are tab-separated with a `name:type` header. Of a folder these are
`<folder name>.inter` and `.item`, else the only `*.inter` and its `.item`. The parts of a benchmark that RecBole splits
(`<name>.train.inter`, `.valid.inter`, `.test.inter`) are put together.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.columns import ITEM, LABEL, RATING, TIMESTAMP, USER
from core.data.reading.delimited import Delimited
from core.data.reading.probe import FileProbe
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Meaning
from core.data.reading.streams import label
from core.errors import DataError
from core.words import brief

_KNOWN = (USER, ITEM, RATING, LABEL, TIMESTAMP)
"""Columns that are found in any case, `User_ID` too."""
_PART = re.compile(r"(.+)\.(train|valid|validation|test)\.inter", re.DOTALL)
_ORDER = ("train", "valid", "validation", "test")
_TYPED = re.compile(r"[^\t]*:(token|token_seq|float|float_seq)(\t|$)")


def inter_files(folder: Path) -> list[Path]:
    """All `.inter` files of a folder; none of one that cannot be read."""
    try:
        return sorted(folder.glob("*.inter"))
    except OSError:
        return []


def files_of(folder: Path) -> tuple[tuple[Path, ...], Path | None]:
    """The `.inter` files of a folder, and the `.item` file if there is one; raises `DataError` if it is unclear."""
    inters = _inters(folder)
    part = _PART.fullmatch(inters[0].name)
    item = inters[0].with_suffix(".item")
    if part and not item.exists():
        item = inters[0].with_name(f"{part[1]}.item")
    return tuple(map(plain_file, inters)), plain_file(item) if item.exists() else None


def stem_of(inters: tuple[Path, ...]) -> str:
    """The data set's name by its files; without `.train` where parts are put together."""
    part = _PART.fullmatch(inters[0].name)
    return part[1] if part and len(inters) > 1 else inters[0].stem


def _inters(folder: Path) -> list[Path]:
    named = folder / f"{folder.name}.inter"
    if named.exists():
        return [named]
    every = inter_files(folder)
    parts = [(path, part) for path in every if (part := _PART.fullmatch(path.name))]
    whole = [path for path in every if not _PART.fullmatch(path.name)]
    if len(whole) == 1:
        return whole
    if not whole and parts and len({part[1] for _, part in parts}) == 1:
        return [path for path, part in sorted(parts, key=lambda pair: _ORDER.index(pair[1][2]))]
    what = "no .inter file" if not every else f"{len(every)} .inter files and none named {label(named)}"
    raise DataError(what, expected=f"one, such as {label(named)}", where=label(folder))


def plain_file(path: Path) -> Path:
    """The path of a plain file; raises `DataError` for a folder, a pipe or a device."""
    if not path.is_file():
        raise DataError("not a plain file but a folder, a pipe or a device", expected="a text file", where=label(path))
    return path


def inter_shape(probe: FileProbe) -> FileShape:
    """How a `.inter` file is read; raises `DataError` for a header without the needed columns."""
    layout, kinds = _layout(probe, (USER, ITEM))
    taken: dict[Meaning, str] = {"user": USER, "item": ITEM}
    rating = next((column for column in (RATING, LABEL) if column in layout.names), None)
    if rating is not None:
        taken["rating"] = rating
    if TIMESTAMP in layout.names:
        taken["time"] = TIMESTAMP
    return FileShape(layout, taken, kinds)


def item_shape(probe: FileProbe) -> FileShape:
    """How a `.item` file is read; raises `DataError` for a header without the needed column."""
    layout, kinds = _layout(probe, (ITEM,))
    return FileShape(layout, {"item": ITEM}, kinds)


def _layout(probe: FileProbe, required: tuple[str, ...]) -> tuple[Delimited, dict[str, str]]:
    if not probe.lines:
        raise DataError("the file is empty", expected="a header line such as user_id:token", where=probe.name)
    columns, types = _header(probe.lines[0], probe.name, required)
    return Delimited("\t", columns), dict(zip(columns, types, strict=True))


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


def _typed(probe: FileProbe) -> bool:
    return probe.name.endswith((".inter", ".item")) or bool(probe.lines and _TYPED.match(probe.lines[0]))


def _interactions(probe: FileProbe) -> FileShape | None:
    return inter_shape(probe) if _typed(probe) and {USER, ITEM} <= _names(probe) else None


def _items(probe: FileProbe) -> FileShape | None:
    return item_shape(probe) if _typed(probe) and ITEM in _names(probe) and USER not in _names(probe) else None


def _names(probe: FileProbe) -> set[str]:
    cells = probe.lines[0].split("\t") if probe.lines else []
    return {_column(cell.partition(":")[0].strip()) for cell in cells}


RECBOLE = DataFormat(
    name="recbole",
    words="RecBole's atomic files: .inter and .item",
    kinds=(
        FileKind("interactions", "RecBole's .inter", _interactions),
        FileKind("items", "RecBole's .item", _items),
    ),
)

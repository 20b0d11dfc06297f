"""Which files are read as what: recognised from their content, and corrected by what a person says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.reading import recbole
from core.data.reading.delimited import Delimited
from core.data.reading.formats import formats_of, kind_of
from core.data.reading.import_choices import NONE, NOTHING_SAID, DataChoices
from core.data.reading.probe import FileProbe
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Meaning, Reshaped
from core.data.reading.streams import Stream, label, streams_of
from core.data.reading.table_shapes import MOST_SHOWN, TABLE, meant, table_layout, title_beside
from core.errors import DataError
from core.words import brief

MOST_FILES = 300
"""Most files of a folder or archive that are looked at."""
_PART = re.compile(r"(?i)(^|[._-])(train|valid|validation|dev|test|\d{5,}(-of-\d+)?)(?=$|[._-])")
_PART_ORDER = ("train", "valid", "validation", "dev", "test")
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " "}


@dataclass(frozen=True)
class SourceFile:
    """One file and how it is read."""

    stream: Stream
    kind: FileKind
    shape: FileShape


@dataclass(frozen=True)
class Sources:
    """The files of a data set."""

    format: DataFormat
    interactions: tuple[SourceFile, ...]
    items: tuple[SourceFile, ...]
    ignored: tuple[str, ...] = ()
    """Files that are not read, each with the reason."""
    strict: bool = False
    """Whether the first wrong line refuses all."""
    choices: DataChoices = NOTHING_SAID

    @property
    def dates(self) -> bool:
        """Whether times may be written as dates."""
        return self.format.name != recbole.RECBOLE.name or not self.strict

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files on disk, each once."""
        return tuple(dict.fromkeys(file.stream.path for file in (*self.interactions, *self.items)))


def folder_sources(folder: Path) -> tuple[Sources, str]:
    """The files of a folder, to be read strictly, and the data set's name; raises `DataError` where that is unclear."""
    if not recbole.inter_files(folder):
        other = _other_folder(folder)
        if other is not None:
            return other, label(folder)
    inters, item = recbole.files_of(folder)
    kinds = {kind.role: kind for kind in recbole.RECBOLE.kinds}
    files = tuple(_strict_file(path, kinds["interactions"], recbole.inter_shape) for path in inters)
    items = () if item is None else (_strict_file(item, kinds["items"], recbole.item_shape),)
    _check_alike(files)
    return Sources(recbole.RECBOLE, files, items, strict=True), recbole.stem_of(inters)


def _strict_file(path: Path, kind: FileKind, shape) -> SourceFile:  # type: ignore[no-untyped-def]
    probe = FileProbe(Stream(path, plain=True), strict=True)
    return SourceFile(probe.stream, kind, shape(probe))


def _other_folder(folder: Path) -> Sources | None:
    try:
        return replace(recognised((folder,)), strict=True)
    except DataError as error:
        if error.problem.startswith(_NOTHING):
            return None
        raise


_NOTHING = "no file of interactions"


def recognised(paths: Sequence[Path], choices: DataChoices = NOTHING_SAID, *, leaves_out: bool = False) -> Sources:
    """What the files, and the files of the folders, are read as.

    Raises `DataError` where no file holds interactions, where several could be meant, and where a choice names a column
    that is not there. A file that is named itself must be readable, unless `leaves_out` and there are several; in a
    folder or archive others are left out.
    """
    formats_of(choices.format)
    _check_encoding(choices.encoding)
    files, ignored = [], []
    for path in paths:
        streams, named = files_below(path)
        for stream in streams:
            try:
                files.append(_recognised(stream, choices))
            except DataError as error:
                if named and not (leaves_out and len(paths) > 1):
                    raise
                ignored.append(f"{stream.name}: {error.problem}")
    return _together(files, ignored, choices, paths)


def files_below(path: Path) -> tuple[tuple[Stream, ...], bool]:
    """The files below a path, and whether it names the only one of them."""
    if not path.exists():
        raise DataError("does not exist", expected="a file or a folder", where=label(path))
    if not path.is_dir():
        streams = streams_of(recbole.plain_file(path))
        return streams, len(streams) == 1
    if recbole.inter_files(path):
        inters, item = recbole.files_of(path)
        return tuple(map(Stream, (*inters, *([] if item is None else [item])))), True
    try:
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot be read: {(error.strerror or '').lower()}", where=label(path)) from None
    if len(files) > MOST_FILES:
        raise DataError(f"{len(files):,} files", expected=f"at most {MOST_FILES}, or their names", where=label(path))
    return tuple(Stream(file) for file in files), False


def _recognised(stream: Stream, choices: DataChoices) -> tuple[DataFormat, SourceFile]:
    probe = probe_of(stream, delimiter=choices.delimiter, encoding=choices.encoding)
    if not probe.lines and probe.parquet is None:
        raise DataError("the file is empty", expected="a table of interactions or items", where=stream.name)
    mapped = _mapped_shape(probe, choices)
    row = None if mapped is not None else kind_of(probe, choices.format)
    if row is not None:
        form, kind, shape = row
        return form, SourceFile(stream, kind, _corrected(shape, kind, choices, stream.name))
    if mapped is None:
        raise _unknown(probe, choices)
    return TABLE, SourceFile(stream, TABLE.kinds[0], mapped)


def probe_of(stream: Stream, *, delimiter: str | None, encoding: str | None) -> FileProbe:
    """The beginning of a file under a person's words for its delimiter and encoding; raises `DataError`."""
    return FileProbe(stream, delimiter=_delimiter(delimiter), encoding=encoding)


def _delimiter(name: str | None) -> str | None:
    delimiter = _DELIMITERS.get(name or "", name)
    if delimiter is not None and (len(delimiter) > 4 or not delimiter.isascii() or set(delimiter) & set('"\r\n\0')):
        expected = f"one to four plain characters, or {', '.join(word for word in _DELIMITERS if word.isalpha())}"
        raise DataError(f"no delimiter {brief(delimiter)}", expected=expected, where="--delimiter")
    return delimiter


def _check_encoding(name: str | None) -> None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError):
        expected = "one that Python knows, such as cp1252, utf-16 or shift_jis"
        raise DataError(f"no encoding {brief(name)}", expected=expected, where="--encoding") from None


def _mapped_shape(probe: FileProbe, choices: DataChoices) -> FileShape | None:
    """The shape of a table whose user and item columns a person names."""
    if choices.user_column is None or choices.item_column is None or choices.format not in (None, TABLE.name):
        return None
    names = [choices.user_column, choices.item_column]
    layout = table_layout(probe, names)
    if layout is None or not all(_column(layout.names, name) for name in names):
        return None
    taken: dict[Meaning, str] = {}
    for meaning in ("rating", "time"):
        column = meant(meaning, layout.names)
        if column is not None and column not in (names[0], names[1]):
            taken[meaning] = column
    title = title_beside(layout.names, choices.item_column)
    if title is not None and title not in taken.values():
        taken["title"] = title
    return _corrected(FileShape(layout, taken), TABLE.kinds[0], choices, probe.name)


def _corrected(shape: FileShape, kind: FileKind, choices: DataChoices, name: str) -> FileShape:
    """The shape with a person's columns and unit; raises `DataError` for a column that is not there."""
    columns: dict[Meaning, str | None] = {
        "user": choices.user_column,
        "item": choices.item_column,
        "rating": choices.rating_column,
        "time": choices.time_column,
        "title": choices.title_column if choices.title_column == NONE or _has(shape, choices.title_column) else None,
    }
    if kind.role == "items":
        columns = {
            "title": choices.title_column,
            "item": choices.item_column if _has(shape, choices.item_column) else None,
        }
    taken = dict(shape.taken)
    for meaning, column in columns.items():
        if column == NONE and meaning in ("rating", "time", "title"):
            taken.pop(meaning, None)
        elif column is not None:
            taken[meaning] = _named(shape.layout.names, column, meaning, name)
    fixed = shape.time_unit if choices.time_column is None else None
    return replace(shape, taken=taken, time_unit=choices.time_unit or fixed)


def _has(shape: FileShape, column: str | None) -> bool:
    return column is not None and _column(shape.layout.names, column) is not None


def _named(names: Sequence[str], column: str, meaning: str, where: str) -> str:
    place = _column(names, column)
    if place is None:
        listed = ", ".join(brief(name) for name in names[:12])
        option = f"--{meaning}-column"
        raise DataError(f"no column {brief(column)} for {option}", expected=f"one of {listed}", where=where)
    return place


def _column(names: Sequence[str], column: str) -> str | None:
    """The column of this name, in any case, or of this number from 1."""
    for name in names:
        if column in (name, name.rpartition(":")[0]) or column.casefold() == name.casefold():
            return name
    number = int(column) if column.isdecimal() and len(column) < 6 else 0
    return names[number - 1] if 1 <= number <= len(names) else None


def _unknown(probe: FileProbe, choices: DataChoices) -> DataError:
    if choices.format is not None:
        words = formats_of(choices.format)[0].words
        return DataError(f"this is none of the files of {choices.format}", expected=words, where=probe.name)
    layout = table_layout(probe)
    if layout is None:
        what = "neither a table with a delimiter nor records"
        return DataError(what, expected="a CSV, TSV, JSON lines or Parquet table", where=probe.name)
    columns = ", ".join(brief(name) for name in layout.names[:12])
    if isinstance(layout, Delimited) and not layout.header:
        rows = "; ".join(" | ".join(row)[:60] for row in probe.rows(probe.delimiter)[:MOST_SHOWN])
        what = f"no header, so the columns of users and items are not clear; the first rows are {rows}"
        return DataError(what, expected="--user-column N and --item-column N, counted from 1", where=probe.name)
    what = f"no columns that are clearly users and items among {columns}"
    return DataError(what, expected="--user-column NAME and --item-column NAME", where=probe.name)


def _together(
    files: Sequence[tuple[DataFormat, SourceFile]], ignored: list[str], choices: DataChoices, paths: Sequence[Path]
) -> Sources:
    met = [(form, file) for form, file in files if file.kind.role == "interactions"]
    if not met:
        named = ", ".join(f"{file.stream.name} ({file.kind.words})" for _, file in files[:5])
        what = f"{_NOTHING} among {named}" if named else _NOTHING
        reasons = f" ({'; '.join(ignored[:3])})" if ignored and not named else ""
        where = ", ".join(label(path) for path in paths[:3])
        raise DataError(what + reasons, expected="a file with users and items", where=where)
    if len({(form.name, file.kind.words) for form, file in met}) > 1 or not _parts(met, paths):
        named = ", ".join(f"{file.stream.name} ({file.kind.words})" for _, file in met[:6])
        expected = "the names of those that belong together"
        raise DataError(f"{len(met)} files hold interactions: {named}", expected=expected, where=label(paths[0]))
    form = met[0][0]
    ordered = tuple(sorted((file for _, file in met), key=_part_order))
    _check_alike(ordered)
    items, explicit = [], not any(path.is_dir() for path in paths)
    for other, file in files:
        if file.kind.role == "items" and (explicit or other.name in (form.name, TABLE.name) or form is TABLE):
            items.append(file)
        elif file.kind.role != "interactions":
            ignored.append(f"{file.stream.name}: {file.kind.words}")
    _check_title(choices.title_column, (*ordered, *items))
    return Sources(form, ordered, tuple(items), tuple(ignored), choices=choices)


def _check_title(column: str | None, files: Sequence[SourceFile]) -> None:
    """Raise `DataError` where a person names a column of titles and no file has it."""
    if column not in (None, NONE) and not any("title" in file.shape.taken for file in files):
        listed = ", ".join(brief(name) for file in files for name in file.shape.layout.names[:12])
        raise DataError(f"no column {brief(column)} for --title-column", expected=f"one of {listed}", where="titles")


def _parts(met: Sequence[tuple[DataFormat, SourceFile]], paths: Sequence[Path]) -> bool:
    """Whether several files of one kind are parts of one: named by a person, or by their names."""
    named = len(paths) >= len(met)
    return len(met) == 1 or named or len({_PART.sub("", file.stream.name) for _, file in met}) == 1


def _part_order(file: SourceFile) -> tuple[int, str]:
    part = _PART.search(file.stream.name)
    word = part[2].lower() if part else ""
    return (_PART_ORDER.index(word) if word in _PART_ORDER else len(_PART_ORDER), file.stream.name)


def _check_alike(files: Sequence[SourceFile]) -> None:
    """Parts of one table name the same columns, in any order."""
    first = files[0].shape
    for file in files[1:]:
        if file.shape.taken != first.taken or set(_names(file.shape)) != set(_names(first)):
            what = f"other columns than {files[0].stream.name}"
            expected = f"the same: {', '.join(map(brief, _names(first)[:12]))}"
            raise DataError(what, expected=expected, where=file.stream.name)


def _names(shape: FileShape) -> tuple[str, ...]:
    """All columns of a file, also those that are only read to make others."""
    layout = shape.layout
    return (*layout.names, *layout.extra) if isinstance(layout, Reshaped) else layout.names

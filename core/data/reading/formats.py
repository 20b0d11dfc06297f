"""The data formats that a folder can have. A new format is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.reading import recbole
from core.data.reading.table import Table

Files = tuple[Path, Path | None]
"""The file of interactions and, where there is one, that of items."""


@dataclass(frozen=True)
class DataFormat:
    """One format."""

    name: str
    words: str
    """For the screen."""
    applies: Callable[[Path], bool]
    """Whether a folder holds files of this format."""
    files: Callable[[Path], Files]
    """Its files in a folder; raises `DataError` where the choice is unclear."""
    tables: Callable[[Path, Path | None, Path], tuple[Table, Table | None]]
    """Checks the files and copies them to the scratch folder; raises `DataError` with file and line."""


FORMATS = (
    DataFormat(
        name="recbole",
        words="RecBole's atomic files: .inter and .item",
        applies=lambda folder: bool(recbole.inter_files(folder)),
        files=recbole.files_of,
        tables=recbole.tables_of,
    ),
)


def format_of(folder: Path) -> DataFormat:
    """The format of a folder; the first, which then says what it misses, for a folder that holds none."""
    return next((row for row in FORMATS if row.applies(folder)), FORMATS[0])

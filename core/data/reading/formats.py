"""The data formats that files can have. A new format is a file beside this one and a row here."""

from __future__ import annotations

from core.data.reading.amazon import AMAZON
from core.data.reading.book_crossing import BOOK_CROSSING
from core.data.reading.goodreads import GOODREADS, YELP
from core.data.reading.last_fm import LAST_FM
from core.data.reading.mind import MIND
from core.data.reading.movielens import MOVIELENS
from core.data.reading.netflix import NETFLIX
from core.data.reading.probe import FileProbe
from core.data.reading.recbole import RECBOLE
from core.data.reading.shapes import DataFormat, FileKind, FileShape
from core.data.reading.steam import STEAM
from core.data.reading.table_shapes import TABLE
from core.errors import DataError

FORMATS = (RECBOLE, MOVIELENS, AMAZON, MIND, BOOK_CROSSING, LAST_FM, NETFLIX, STEAM, GOODREADS, YELP, TABLE)
"""In the order in which they are tried: any table comes last."""


def formats_of(name: str | None) -> tuple[DataFormat, ...]:
    """All formats, or the one of this name; raises `DataError` for an unknown one."""
    chosen = tuple(row for row in FORMATS if name in (None, row.name))
    if not chosen:
        names = ", ".join(row.name for row in FORMATS)
        raise DataError(f"no format {str(name)[:40]!r}", expected=f"one of {names}", where="--format")
    return chosen


def kind_of(probe: FileProbe, name: str | None = None) -> tuple[DataFormat, FileKind, FileShape] | None:
    """Format, kind and shape of a file, by its content; None for one of no format."""
    for row in formats_of(name):
        for kind in row.kinds:
            shape = kind.shape(probe)
            if shape is not None:
                return row, kind, shape
    return None

"""Columns of text as numbers: ratings, and times in any notation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.reading.text_times import seconds_of

_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


@dataclass(frozen=True)
class NumberColumn:
    """The numbers of a column."""

    values: NDArray[np.float64]
    """[row]: nan where the field is empty or no number."""
    wrong: NDArray[np.bool_]
    """[row]: whether the field holds something that is no number."""
    dates: int = 0
    """Fields that hold a date or time in words of a calendar, read as seconds."""


def numbers_of(column: pa.ChunkedArray, *, dates: bool = False) -> NumberColumn:
    """A column's finite numbers; with `dates`, dates and times are read as seconds since 1970, too."""
    if pa.types.is_floating(column.type):
        values = np.asarray(column.to_numpy(), dtype=np.float64)
        valid = np.ones(len(values), bool) if not column.null_count else column.is_valid().to_numpy()
        return NumberColumn(values, valid & ~np.isfinite(values))
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    numbers = np.array([*(_number(text) for text in texts), np.nan], dtype=np.float64)
    blank = np.array([*(not text.strip() for text in texts), True])
    other = np.isnan(numbers) & ~blank
    places = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    if dates and other.any():
        numbers[other] = seconds_of(encoded.dictionary.filter(pa.array(other[:-1])))
    wrong = np.isnan(numbers) & ~blank
    written = other & ~wrong
    return NumberColumn(numbers[places], wrong[places], int(written[places].sum()))


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan

"""Times written as text, as seconds since 1970; without a zone they are UTC."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

FORMATS = (
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%a %b %d %H:%M:%S %z %Y",
    "%m %d, %Y",
    "%B %d, %Y",
    "Posted %B %d, %Y.",
)
"""Written times that are tried where a time is not of ISO 8601, in this order."""
_DAY_OR_TIME = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$"


def seconds_of(texts: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Seconds since 1970 of each text; nan where it is no time. Equal texts are read once."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    encoded = column.cast(pa.string()).dictionary_encode()
    distinct = pc.utf8_trim_whitespace(encoded.dictionary)
    values = np.append(_distinct_seconds(distinct), np.nan)
    places = encoded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(values[places], dtype=np.float64)


def _distinct_seconds(texts: pa.Array) -> NDArray[np.float64]:
    seconds = _iso(texts)
    for form in FORMATS:
        missing = np.isnan(seconds)
        if not missing.any():
            break
        seconds[missing] = _as(texts.filter(pa.array(missing)), form)
    return seconds


def _iso(texts: pa.Array) -> NDArray[np.float64]:
    """Of texts such as 2018-01-31, 2018-01-31T10:00:00Z, 2018-01-31 10:00:00.5 UTC and 2018-01-31 10:00:00+02:00."""
    fitting = pc.match_substring_regex(texts, _DAY_OR_TIME)
    plain = pc.replace_substring_regex(texts, r"\s*(Z|UTC)$", "")
    zone = pc.extract_regex(plain, r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)$")
    zoned = pc.and_kleene(pc.match_substring(plain, ":"), pc.is_valid(zone))
    local = pc.if_else(zoned, pc.replace_substring_regex(plain, r"\s*[+-]\d\d:?\d\d$", ""), plain)
    seconds = np.full(len(texts), np.nan)
    for place in np.flatnonzero(fitting.to_numpy(zero_copy_only=False)):
        try:
            moment = pa.scalar(local[place].as_py()).cast(pa.timestamp("us")).value
        except (pa.ArrowInvalid, OverflowError):
            continue
        shift = zone[place].as_py() if zoned[place].as_py() else None
        seconds[place] = moment / 1e6 - (_shift(shift) if shift else 0.0)
    return seconds


def _shift(zone: dict[str, str]) -> float:
    size = 3600.0 * int(zone["hours"]) + 60.0 * int(zone["minutes"])
    return -size if zone["sign"] == "-" else size


def _as(texts: pa.Array, form: str) -> NDArray[np.float64]:
    import pandas as pd

    moments = pd.to_datetime(pd.Series(texts.to_pylist(), dtype="object"), format=form, errors="coerce", utc=True)
    values = moments.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) / 1e6)

"""The unit of timestamps, and those that cannot be dates.

All are stored in seconds since 1970. The unit follows the median: below 1e11 seconds, below 1e14 milliseconds, below
1e17 microseconds, else nanoseconds. A timestamp that this unit puts before 1990 or after 2100 is read in another
unit if that puts it between them. Numbers that are too small for dates (orders 0, 1, 2) stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.words import counted

UNITS: Mapping[str, float] = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
"""How many of each unit make a second."""
_DAYS = 1 / 86_400
"""The same of days, which are never guessed: small numbers may be days or a mere order."""
SINCE, UNTIL = 631_152_000.0, 4_102_444_800.0
"""Seconds from 1970 to the begin of 1990 and of 2100: between them lie nearly all times of real interactions."""
DATES = 1e8
"""Seconds (in 1973) from which a median timestamp is a date, and not an order such as 0, 1, 2."""


def unit_of(median: float) -> str:
    """The unit of timestamps whose median distance from 0 is `median`."""
    bounds = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17}
    return next((unit for unit, bound in bounds.items() if median < bound), "nanoseconds")


def are_dates(median: float) -> bool:
    """Whether the median is late enough for dates."""
    return median / UNITS[unit_of(median)] >= DATES


def unit_sql(median: float, column: str = "timestamp") -> str:
    """SQL for the unit's name of each timestamp, where the median is `median`."""
    main = unit_of(median)
    if not are_dates(median):
        return f"'{main}'"
    others = [unit for unit in UNITS if unit != main]
    cases = " ".join(f"WHEN {_likely(column, UNITS[unit])} THEN '{unit}'" for unit in others)
    return f"CASE WHEN {_likely(column, UNITS[main])} THEN '{main}' {cases} ELSE '{main}' END"


def seconds_sql(unit: str, column: str = "timestamp") -> str:
    """SQL for the seconds of a timestamp whose unit is the SQL `unit`."""
    others = {name: parts for name, parts in UNITS.items() if parts != 1} | {"days": _DAYS}
    cases = " ".join(f"WHEN '{name}' THEN {column} / {parts!r}" for name, parts in others.items())
    return f"CASE {unit} {cases} ELSE {column} END"


def _likely(column: str, parts: float) -> str:
    return f"{column} / {parts!r} BETWEEN {SINCE!r} AND {UNTIL!r}"


@dataclass(frozen=True)
class TimeReading:
    """How the timestamps of a data set are read."""

    unit: str | None
    """The unit of most of them; None where they order nothing."""
    first: float | None = None
    """Seconds since 1970 of the earliest one, as `last` of the latest."""
    last: float | None = None
    early: int = 0
    """Timestamps that are 0 or -1."""
    late: int = 0
    """Timestamps in the future."""
    dates: int = 0
    """Timestamps that are written as dates."""


def clock_notices(
    median: float, units: Mapping[str, int], *, early: int, late: int, name: str, unit: str | None = None
) -> list[str]:
    """What a reader should know of the timestamps of file `name`.

    `units` counts the timestamps of each unit, `early` those that are 0 or -1, `late` those in the future; `unit` is
    the one that is set instead of guessed.
    """
    main = unit or unit_of(median)
    notices = [] if main == "seconds" else [f"Timestamps of {name} are read as {main}."]
    strange = {unit: count for unit, count in units.items() if unit != main}
    for unit, count in strange.items():
        notices.append(f"{_some(count)} in {unit}, unlike the others ({main}); each is read in its own unit.")
    if early and (unit or are_dates(median)):
        notices.append(f"{_some(early)} 0 or -1, likely a missing time; the data put {_it(early)} first.")
    if late:
        notices.append(f"{_some(late)} in the future, likely not the real time; the data put {_it(late)} last.")
    return notices


def _some(count: int) -> str:
    return counted(count, "timestamp is", "timestamps are")


def _it(count: int) -> str:
    return "it" if count == 1 else "them"

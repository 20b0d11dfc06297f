"""Numbers, times and quoted words as sentences show them: one minus sign, no `-0.00`, no `16185 ms`."""

from __future__ import annotations

import math

MINUS = "\u2212"
NOTHING = "\u2013"


def figure(value: float | None, digits: int = 2, missing: str = NOTHING) -> str:
    """`0.42`, `−1.35`; `missing` where there is no finite number."""
    if value is None or not math.isfinite(value):
        return missing
    return f"{value:z.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """`+0.42`, `−0.10`, `0.00`; a dash where there is no finite number."""
    text = figure(value, digits)
    return f"+{text}" if value is not None and math.isfinite(value) and round(value, digits) > 0 else text


def duration(seconds: float | None) -> str:
    """A time as every text writes it: `184 ms`, `1.4 s`, `14 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if 0 < seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float) -> str:
    """A number of any size by its power of ten: `1.2 · 10⁻⁷`; 0 is `0`."""
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.replace('-', MINUS)} · 10{str(int(exponent)).translate(_POWERS)}"


def ordinal(rank: float | None) -> str:
    """`1st`, `2nd`, `3rd`, `11th`; `2.5th` for two that share the second and the third place."""
    if rank is None:
        return NOTHING
    whole = int(rank)
    if rank != whole or 10 <= whole % 100 <= 20:
        return f"{rank:g}th"
    return f"{whole}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(whole % 10, 'th') }"


def margin_move(before: float, after: float) -> str:
    """`goes from 0.39 to 2.50 nats`, `stays 0.39 nats` where both are written alike."""
    first, last = figure(before), figure(after)
    return f"stays {last} nats" if first == last else f"goes from {first} to {last} nats"


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1 line`, `1,200 lines`; `plural` where an s at the end does not make it."""
    return f"1 {singular}" if count == 1 else f"{count:,} {plural or singular + 's'}"


def brief(text: object) -> str:
    """The user's own words, quoted, and cut at 60 characters."""
    words = str(text)
    return repr(words if len(words) <= 60 else words[:57] + "...")

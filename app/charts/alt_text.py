"""Words that the alternative texts of several charts share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from app.text import plain
from app.theme import ordinal
from core.metrics.ranking import Rank

AnyRow = TypeVar("AnyRow")


def extremes(
    rows: Iterable[AnyRow], value: Callable[[AnyRow], float], words: tuple[str, str]
) -> list[tuple[str, AnyRow]]:
    """The row that is largest above zero behind the first word, and the one farthest below zero behind the second."""
    rows = list(rows)
    ends = [(words[0], max(rows, key=value), 1), (words[1], min(rows, key=value), -1)] if rows else []
    return [(word, row) for word, row, sign in ends if sign * value(row) > 0]


def from_to(title: str, before: Rank | None, after: Rank | None) -> str:
    """`Fargo (1996), from 9th to 2nd`."""
    return f"{plain(title)}, from {ordinal(before)} to {ordinal(after)}"

"""Lines that are not read: the first of them with their place and reason, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import DataError

MOST_NAMED = 20
"""Rejected lines that are named; all others are counted."""


@dataclass(frozen=True)
class RejectedLine:
    """One line that is not read."""

    file: str
    line: int
    problem: str
    expected: str = ""

    @property
    def error(self) -> DataError:
        """The same as an error."""
        return DataError(self.problem, expected=self.expected, where=f"{self.file}, line {self.line}")


@dataclass
class Rejects:
    """Collects the rejected lines of one reading; a strict one raises `DataError` for the first."""

    strict: bool = False
    count: int = 0
    first: list[RejectedLine] = field(default_factory=list)

    def add(self, file: str, line: int, problem: str, expected: str = "") -> None:
        """Count one line; raises `DataError` in a strict reading."""
        row = RejectedLine(file, line, problem, expected)
        if self.strict:
            raise row.error
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(row)

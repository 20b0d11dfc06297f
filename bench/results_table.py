"""The table of results: rows, the targets they are compared with, and the files they are written to."""

from __future__ import annotations

import json
import math
import operator
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.constants import BUILD
from core.cli.output import aligned
from core.metrics.intervals import Interval
from core.store.home import write_atomically

PARTS = (
    "memory",
    "speed",
    "app",
    "answers",
    "faults",
    "faithfulness",
    "lrgd",
    "recicl",
    "picking",
    "own",
    "strategies",
)
"""In the order of running: the short ones first."""
ROUNDING = 1e-12
"""A difference smaller than this comes from the order of summing only."""
COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class ResultRow:
    """One measure. `met` is None where nothing was promised."""

    measure: str
    value: float | None
    low: float | None
    high: float | None
    target: str | None
    met: bool | None


def as_row(measure: str, figures: Sequence[float], target: str | None = None, *, met: bool | None = None) -> ResultRow:
    """A row of (value, low, high) or of a value alone, compared with a target like `<= 1.5` or `0.85 to 0.95`.

    `met` overrules the comparison, for promises that one number cannot decide.
    """
    three = figures if len(figures) == 3 else (figures[0], math.nan, math.nan)
    value, *ends = (0.0 if abs(figure) < ROUNDING else float(figure) for figure in three)
    if met is None and target is not None:
        met = meets(value, target)
    number, low, high = (figure if math.isfinite(figure) else None for figure in (value, *ends))
    return ResultRow(measure, number, low, high, target, met)


def meets(value: float, target: str) -> bool:
    """Whether a value reaches a target; nan does not. Raises `ValueError` for a target of another form."""
    if parts := re.fullmatch(r"(<=|>=|<|>) (-?[0-9.e-]+)( .*)?", target):
        return COMPARED[parts[1]](value, float(parts[2]))
    if parts := re.fullmatch(r"([0-9.]+) to ([0-9.]+)", target):
        return float(parts[1]) <= value <= float(parts[2])
    raise ValueError(f"target {target!r}")


@dataclass(frozen=True)
class ResultFiles:
    """The rows of one run: `bench.json` for readers, `bench-run.json` to tell which part has which rows."""

    commit: str
    seed: int
    folder: Path = BUILD

    def record(self, part: str, rows: Sequence[ResultRow]) -> None:
        """Put a part's rows in place of its earlier ones; those of another commit or seed are dropped."""
        parts = {**self._parts(), part: [asdict(row) for row in rows]}
        names = dict.fromkeys((*PARTS, *parts))
        write_json(self.folder / "bench-run.json", {"commit": self.commit, "seed": self.seed, "parts": parts})
        write_json(self.folder / "bench.json", [row for name in names for row in parts.get(name, [])])

    def _parts(self) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / "bench-run.json").read_text(encoding="utf-8"))
            same = (content["commit"], content["seed"]) == (self.commit, self.seed)
            return dict(content["parts"]) if same else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def commit() -> str:
    """The commit that is checked out, or `unknown` outside a repository."""
    try:
        git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return git.stdout.strip()


def table_text(rows: Sequence[ResultRow]) -> str:
    """The rows as an aligned table."""
    lines: list[tuple[str, ...]] = [("measure", "value", "low", "high", "target", "met")]
    for row in rows:
        figures = ["" if value is None else short(value, least=1e-3) for value in (row.value, row.low, row.high)]
        lines.append((row.measure, *figures, row.target or "", {None: "", True: "yes", False: "NO"}[row.met]))
    return aligned(lines)


def short(value: float, *, least: float) -> str:
    """A figure with three decimals, or in powers of ten where it is closer to zero than `least`."""
    return f"{value:.1e}" if 0 < abs(value) < least else f"{value:.3f}"


def interval_text(figures: Interval, form: str = ".3f") -> str:
    """A figure and its interval: `0.512 [0.480, 0.545]`."""
    value, low, high = (format(figure, form) for figure in figures)
    return f"{value} [{low}, {high}]"

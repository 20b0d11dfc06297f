"""What was measured, was it enough, and where does it stay?"""

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

from core.cli.output import aligned
from core.store.home import write_atomically

BUILD = Path("build")
PARTS = ("memory", "speed", "app", "faults", "faithfulness", "lrgd", "recicl")
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
class Row:
    """One measure. `met` is None where nothing was promised."""

    measure: str
    value: float | None
    low: float | None
    high: float | None
    target: str | None
    met: bool | None


def row(measure: str, figures: Sequence[float], target: str | None = None, *, met: bool | None = None) -> Row:
    """A row of (value, low, high) or of a value alone, held against a target like `<= 1.5` or `0.85 to 0.95`.

    `met` overrules the comparison, for promises that one number cannot decide.
    """
    value, low, high = map(_rounded, figures if len(figures) == 3 else (figures[0], math.nan, math.nan))
    if met is None and target is not None:
        met = meets(value, target)
    return Row(measure, _number(value), _number(low), _number(high), target, met)


def meets(value: float, target: str) -> bool:
    """Whether a value reaches a target; what could not be measured does not. Raises `ValueError` for other targets."""
    if found := re.fullmatch(r"(<=|>=|<|>) (-?[0-9.e-]+)( .*)?", target):
        return COMPARED[found[1]](value, float(found[2]))
    if found := re.fullmatch(r"([0-9.]+) to ([0-9.]+)", target):
        return float(found[1]) <= value <= float(found[2])
    raise ValueError(f"target {target!r}")


def _rounded(value: float) -> float:
    return 0.0 if abs(value) < ROUNDING else value


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Run:
    """Where the rows of one run lie: `bench.json` for readers, `bench-run.json` to tell which part has which rows."""

    commit: str
    seed: int
    folder: Path = BUILD

    def record(self, part: str, rows: Sequence[Row]) -> None:
        """Put a part's rows in place of its earlier ones; those of another commit or seed are dropped."""
        parts = {**self._parts(), part: [asdict(one) for one in rows]}
        names = (*PARTS, *(name for name in parts if name not in PARTS))
        ordered = [one for name in names for one in parts.get(name, [])]
        self._write("bench-run.json", {"commit": self.commit, "seed": self.seed, "parts": parts})
        self._write("bench.json", ordered)

    def _parts(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / "bench-run.json").read_text(encoding="utf-8"))
            same = (found["commit"], found["seed"]) == (self.commit, self.seed)
            return dict(found["parts"]) if same else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write(self, name: str, content: object) -> None:
        write_json(self.folder / name, content)


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def commit() -> str:
    """The commit that is checked out, or `unknown` outside a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def text_of(rows: Sequence[Row]) -> str:
    """The rows as an aligned table."""
    lines = [("measure", "value", "low", "high", "target", "met")]
    lines += [
        (one.measure, _short(one.value), _short(one.low), _short(one.high), one.target or "", _word(one.met))
        for one in rows
    ]
    return aligned(lines)


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value != 0 and abs(value) < 1e-3 else f"{value:.3f}"


def _word(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "NO"

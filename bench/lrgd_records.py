"""What part `lrgd` measured on one case, kept on disk so that a cut-short run goes on where it stopped.

Each file under `build/bench-cases-lrgd` belongs to one measurement of one case with one model. It is measured anew once
the code that it measures has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.cases import Bench
from bench.records import ROOT, Record, code_of, kept_at
from bench.table import BUILD

FOLDER = BUILD / "bench-cases-lrgd"
Part = Literal["utility", "sets", "inference", "sweep", "pool"]


def _all(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(ROOT / "core").as_posix() for path in (ROOT / "core" / folder).glob("*.py")))


_COMMON = (
    *("lm/attention.py", "lm/forest.py", "lm/run.py", "lm/score.py", "lm/many.py"),
    *("data/cases.py", "data/demonstrations.py", *_all("prompt")),
)
_PERTURBED = ("analysis/robustness/kinds.py", "analysis/robustness/perturb.py", "analysis/robustness/sweep.py")
CODE: dict[Part, tuple[str, ...]] = {
    "utility": (
        *_COMMON,
        *("analysis/gradient.py", "analysis/values.py", "analysis/quality/measure.py"),
        *("analysis/quality/scores.py", "analysis/quality/utility.py"),
    ),
    "sets": (*_COMMON, *_all("selection")),
    "inference": (
        *(*_COMMON, *_PERTURBED, "lm/change.py"),
        *("analysis/robustness/inference.py", "analysis/robustness/settings.py"),
    ),
    "sweep": (*_COMMON, *_PERTURBED),
    "pool": (*_COMMON, "lm/encoded.py", "analysis/quality/pool.py", "analysis/quality/scores.py"),
}
"""Files under `core` that a measurement goes through."""


def kept(bench: Bench, part: Part, asked: object, measure: Callable[[], Record], folder: Path = FOLDER) -> Record:
    """The record of what was `asked` (anything JSON can hold); measured and written now where there is none."""
    content = [bench.model.model_id, bench.dataset.dataset_id, asked]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return kept_at(folder / f"{part}-{key}.json", code_of(CODE[part]), measure, asked=asked)

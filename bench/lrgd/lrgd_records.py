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

from bench.case_list import Bench
from bench.results_table import BUILD
from bench.run_records import LM_CODE, Record, code_of, kept_at, sources

FOLDER = BUILD / "bench-cases-lrgd"
Part = Literal["utility", "sets", "inference", "sweep", "pool"]


_COMMON = (
    *LM_CODE,
    *sources(
        "data/cases.py",
        *(f"data/{name}.py" for name in ("demonstrations", "peers", "similarity", "strategies")),
        "prompt",
    ),
)
_QUALITY = "analysis/quality"
_PERTURBED = sources(*(f"analysis/robustness/{name}.py" for name in ("kinds", "perturb", "sweep")))
CODE: dict[Part, tuple[str, ...]] = {
    "utility": (*_COMMON, *sources("analysis/explain/gradient.py", "analysis/values.py", _QUALITY, without=("pool",))),
    "sets": (*_COMMON, *sources("selection")),
    "inference": (*_COMMON, *sources("analysis/robustness")),
    "sweep": (*_COMMON, *_PERTURBED),
    "pool": (*_COMMON, *sources(f"{_QUALITY}/pool.py", f"{_QUALITY}/scores.py")),
}
"""Files under `core` that a measurement goes through."""


def kept(bench: Bench, part: Part, asked: object, measure: Callable[[], Record], folder: Path = FOLDER) -> Record:
    """The record of what was `asked` (anything JSON can hold); measured and written now where there is none."""
    content = [bench.model.model_id, bench.dataset.dataset_id, asked]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return kept_at(folder / f"{part}-{key}.json", code_of(CODE[part]), measure, asked=asked)

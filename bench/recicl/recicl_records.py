"""What part `recicl` measured, kept on disk so that a cut-short run goes on where it stopped.

Each file under `build/bench-cases-recicl` belongs to one measurement: the scores of one model on one round of prompts,
token for token, or the scores of the references. It is measured anew once the code that it goes through has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from bench.results_table import BUILD
from bench.run_records import LM_CODE, Record, code_of, kept_at, sources

FOLDER = BUILD / "bench-cases-recicl"
_LM = (*LM_CODE, *sources("lm/loading/beside.py"))
_EVALUATION = sources("tuning/examples.py", "tuning/evaluation/reference_scores.py")
CODE: dict[str, tuple[str, ...]] = {
    "scores": _LM,
    "references": (*_EVALUATION, *sources("tuning/classical", without=("code_learning",))),
    "steps": (*_LM, *sources("personal/stream.py")),
}
"""Files under `core` that a measurement goes through, beside those that its key already tells the work of."""


def kept(part: str, asked: object, measure: Callable[[], Record], folder: Path = FOLDER) -> Record:
    """The record of what was `asked` (anything JSON can hold); measured and written now where there is none."""
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    return kept_at(folder / f"{part}-{key}.json", code_of(CODE[part]), measure)

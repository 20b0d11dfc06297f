"""Records of what was measured, stored on disk so that a run that was cut short continues where it stopped.

Each file in a store's folder below `build` holds one measurement of one question. It is measured again once the code
that the measurement runs has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.constants import BUILD
from bench.results_table import write_json

CORE = Path(__file__).resolve().parents[1] / "core"
CaseRecord = dict[str, Any]


@dataclass(frozen=True)
class RecordStore:
    """The records of one part of the benchmark."""

    folder: str
    """Its name below `build`."""
    code: Mapping[str, tuple[str, ...]]
    """By measurement: the files under `core` that it runs, beside those that its question already covers."""

    def record(
        self, measurement: str, question: object, measure: Callable[[], CaseRecord], /, **details: object
    ) -> CaseRecord:
        """The record of a question (anything JSON can hold), measured and written now where none is stored.

        `details` stand in the file for a reader only.
        """
        stored = self._record(measurement, question)
        if stored is not None:
            return stored
        record = measure()
        content = {"code": code_of(self.code[measurement]), **details, "record": record}
        write_json(self._path(measurement, question), content)
        return record

    def has(self, measurement: str, question: object) -> bool:
        """Whether the record of a question is stored and its code has not changed."""
        return self._record(measurement, question) is not None

    def _record(self, measurement: str, question: object) -> CaseRecord | None:
        stored = _stored(self._path(measurement, question))
        is_valid = stored.get("code") == code_of(self.code[measurement]) and isinstance(stored.get("record"), dict)
        return dict(stored["record"]) if is_valid else None

    def _path(self, measurement: str, question: object) -> Path:
        return BUILD / self.folder / f"{measurement}-{_hash(json.dumps(question, sort_keys=True).encode())}.json"


def of_family(records: Sequence[CaseRecord], family: str) -> list[CaseRecord]:
    """The records of a prompt family."""
    return [record for record in records if record["family"] == family]


def code_of(files: tuple[str, ...]) -> str:
    """A hash of source files under `core`."""
    return _hash(b"\0".join((CORE / name).read_bytes() for name in files))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _stored(path: Path) -> CaseRecord:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sources(*places: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Files of the folders and files `places`, as paths under `core`, except for modules named in `without`."""
    paths = [path for place in places for path in (sorted((CORE / place).glob("*.py")) or [CORE / place])]
    return tuple(path.relative_to(CORE).as_posix() for path in paths if path.stem not in without)


_LM = sources("lm/forward", "lm/scoring")
_DATA = ("cases", "demonstrations", "likes", "model_reader", "neighbours", "peers", "similarity", "strategies")
_CASE = (*_LM, *sources(*(f"data/{name}.py" for name in _DATA), "prompt"))
_TUNED_LM = (*_LM, *sources("lm/loading/beside.py"))
_EXPLAIN = ("analysis/values.py", "analysis/explain")
_UNUSED = ("__init__", "explain_run", "explain_task", "explanation", "faithfulness", "methods")
"""Modules of `core.analysis.explain` that no measurement here runs."""
_ROBUSTNESS = "analysis/robustness"
_SWEEP = ("perturb", "perturbations", "sweep", "variant")

PRODUCT_RECORDS = RecordStore(
    "bench-cases",
    {
        "race": (*_LM, *sources(*_EXPLAIN, without=_UNUSED)),
        "others": (*_LM, *sources(*_EXPLAIN, without=(*_UNUSED, "refine", "surrogate"))),
    },
)
GAME_RECORDS = RecordStore(
    "bench-games",
    {
        "scores": (),  # The scores of all subsets stay valid for good.
        "gradients": _LM,
        "seconds": (*_LM, *sources(*_EXPLAIN, without=_UNUSED)),
        "shapiq": (),  # Versions and settings of rivals stand in the question.
        "flashtrace": (),
    },
)
LRGD_RECORDS = RecordStore(
    "bench-cases-lrgd",
    {
        "utility": (
            *_CASE,
            *sources("analysis/explain/gradient.py", "analysis/values.py", "analysis/quality", without=("pool",)),
        ),
        "sets": (*_CASE, *sources("selection")),
        "inference": (*_CASE, *sources(_ROBUSTNESS)),
        "sweep": (*_CASE, *sources(*(f"{_ROBUSTNESS}/{name}.py" for name in _SWEEP))),
        "pool": (*_CASE, *sources("analysis/quality/pool.py", "analysis/quality/scores.py")),
    },
)
RECICL_RECORDS = RecordStore(
    "bench-cases-recicl",
    {
        "scores": _TUNED_LM,
        "references": (
            *sources("tuning/examples.py", "tuning/evaluation/reference_scores.py"),
            *sources("tuning/classical", without=("code_learning",)),
        ),
        "steps": _TUNED_LM,
        "speed": (*_LM, *sources("tuning/training/list_loss.py")),
    },
)
STRATEGY_RECORDS = RecordStore("bench-cases-strategies", {"scores": _TUNED_LM})

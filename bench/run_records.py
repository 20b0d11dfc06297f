"""What is measured on one case, kept on disk so that a cut-short run goes on where it stopped.

Each file under `build/bench-cases` belongs to one prompt and one model. The scores of all subsets stay valid for good;
the rest is measured anew once the code that it measures has changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench import contextcite
from bench.case_list import Bench, Subject
from bench.results_table import BUILD, write_json
from core.analysis.dual.parts import attention_mass
from core.analysis.explain.captum_methods import CaptumMethod, captum_attribution
from core.analysis.explain.gradient import gradient_at, learning_rate_path
from core.analysis.explain.methods import PATH_BEND, PATH_NODES
from core.analysis.explain.refine import refine
from core.analysis.request import Request
from core.analysis.values import Array, TargetScore, all_masks

ROOT = Path(__file__).resolve().parents[1]
FOLDER = BUILD / "bench-cases"
BUDGET = Request().budget
"""Of the default method, in full-prompt forward equivalents."""
CURVE_SHARE = 0.4
"""The curve follows the default up to this share of ContextCite-64's tokens."""
CAPTUM_BUDGET = 16.0
"""Passes of Captum's sampling: two orders of eight demonstrations, about half of ContextCite-64."""

_OF_DEFAULT = ("refine", "surrogate")


def sources(*places: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Files of the folders and files `places`, as paths under `core`, but for modules named in `without`."""
    files: list[Path] = []
    for place in places:
        path = ROOT / "core" / place
        files += sorted(path.glob("*.py")) if path.is_dir() else [path]
    return tuple(path.relative_to(ROOT / "core").as_posix() for path in files if path.stem not in without)


LM_CODE = sources("lm/forward", "lm/scoring")
_EXPLAIN = ("analysis/values.py", "analysis/explain")
_ELSEWHERE = ("__init__", "cost", "explain_run", "explanation", "faithfulness", "methods")
"""Modules of `core.analysis.explain` that no measurement here goes through."""
RACE_CODE = (*LM_CODE, *sources(*_EXPLAIN, without=_ELSEWHERE))
OTHERS_CODE = (*LM_CODE, *sources(*_EXPLAIN, without=(*_ELSEWHERE, *_OF_DEFAULT)))
Record = dict[str, Any]


Step = Literal["truth", "race", "others"]


def record_of(bench: Bench, subject: Subject, wanted: tuple[Step, ...], folder: Path = FOLDER) -> Record:
    """The record of a case; what it lacks of `wanted` is measured now and written after each step."""
    path = folder / f"{key_of(bench, subject)}.json"
    record = _stored(path) or {
        "user": subject.user,
        "family": subject.family,
        "strategy": subject.strategy,
        "tokens": subject.prompt.length,
    }
    steps: tuple[tuple[Step, str, Callable[[], object]], ...] = (
        ("truth", "", lambda: truth(bench, subject)),
        ("race", code_of(RACE_CODE, BUDGET, CURVE_SHARE), lambda: race(bench, subject)),
        ("others", code_of(OTHERS_CODE, CAPTUM_BUDGET), lambda: others(bench, subject)),
    )
    for name, code, measure in steps:
        if name in record and record[name]["code"] == code:
            continue
        record.pop(name, None)
        if name in wanted:
            record[name] = {"code": code, "found": measure()}
            write_json(path, record)
    return record


def key_of(bench: Bench, subject: Subject) -> str:
    """A name for the prompt with its target, and the model."""
    spans = (*subject.prompt.prefix, subject.prompt.candidates[subject.target])
    content = [bench.model.model_id, subject.prompt.answer_ids, [span.token_ids for span in spans]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def code_of(files: tuple[str, ...], *settings: float) -> str:
    """A hash of source files under `core`, and of the settings used with them."""
    parts = [(ROOT / "core" / name).read_bytes() for name in files]
    return hashlib.sha256(b"\0".join([*parts, repr(settings).encode()])).hexdigest()[:16]


def kept_at(path: Path, code: str, measure: Callable[[], Record], **beside: object) -> Record:
    """The record at `path` if it was measured with `code`; otherwise it is measured and written now.

    What is `beside` it in the file is for a reader alone.
    """
    stored = _stored(path) or {}
    found = stored.get("found")
    if stored.get("code") == code and isinstance(found, dict):
        return found
    measured = measure()
    write_json(path, {"code": code, **beside, "found": measured})
    return measured


def _stored(path: Path) -> Record | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def truth(bench: Bench, subject: Subject) -> Record:
    """Scores at every subset of the demonstrations, in the order of `all_masks`."""
    score, start = subject.score(bench.model), time.perf_counter()
    scores = score.at(all_masks(score.demos))
    return {"scores": scores.tolist(), "seconds": time.perf_counter() - start, "passes": score.scorer.passes}


def race(bench: Bench, subject: Subject) -> Record:
    """Our default at its budget, then further, and between them ContextCite's ablations, all by the wall clock."""
    masks = contextcite.masks_of(contextcite.TIMED, len(subject.prompt.demos))
    half = contextcite.TIMED // 2
    theirs = [contextcite.seconds_of(bench, subject, masks[:half])]
    default = answers(bench, subject, BUDGET)
    theirs.append(contextcite.seconds_of(bench, subject, masks[half:]))
    further = CURVE_SHARE * contextcite.tokens_of(subject, contextcite.MOST) / subject.prompt.length
    per_token = sum(seconds for seconds, _ in theirs) / sum(tokens for _, tokens in theirs)
    return {
        "default": default,
        "curve": default if further <= BUDGET else answers(bench, subject, further),
        "cite_seconds": {str(n): per_token * contextcite.tokens_of(subject, n) for n in contextcite.COUNTS},
        "cite_passes": contextcite.tokens_of(subject, contextcite.MOST) / subject.prompt.length,
    }


def answers(bench: Bench, subject: Subject, budget: float) -> list[Record]:
    """Every answer of the default, with the wall seconds since it was asked."""
    found, start = [], time.perf_counter()
    for answer in refine(subject.score(bench.model), budget=budget):
        seconds = time.perf_counter() - start
        found.append(
            {
                "ablations": answer.ablations,
                "seconds": seconds,
                "passes": answer.spent.passes,
                "values": answer.values.tolist(),
                "low": answer.low.tolist(),
                "high": answer.high.tolist(),
            }
        )
    return found


def others(bench: Bench, subject: Subject) -> dict[str, Record]:
    """Contributions, seconds and passes of every method that is neither the default nor read off the subsets."""
    works: dict[str, Callable[[TargetScore], Array]] = {
        "attention mass": lambda score: attention_mass(score.scorer, score.target),
        "gradient at g=1": lambda score: gradient_at(score, 1.0).values,
        "gradient at g=0.5": lambda score: gradient_at(score, 0.5).values,
        "path, 3 nodes": lambda score: learning_rate_path(score, nodes=PATH_NODES, bend=PATH_BEND, gap=False).values,
        "Captum integrated gradients": lambda score: _captum(score, "captum_integrated_gradients"),
        "Captum feature ablation": lambda score: _captum(score, "captum_feature_ablation"),
        "Captum Shapley sampling": lambda score: _captum(score, "captum_shapley_sampling"),
    }
    return {name: _measured(subject.score(bench.model), work) for name, work in works.items()}


def _captum(score: TargetScore, method: CaptumMethod) -> Array:
    return captum_attribution(score, method, budget=CAPTUM_BUDGET, seed=0).values


def _measured(score: TargetScore, work: Callable[[TargetScore], Array]) -> Record:
    start = time.perf_counter()
    values = np.asarray(work(score))
    return {"values": values.tolist(), "seconds": time.perf_counter() - start, "passes": score.scorer.passes}

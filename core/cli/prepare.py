"""Making a machine ready: the sample material, and the finished example that the first page shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.analysis.explain.explain_task import Explain
from core.errors import ComputeError
from core.question.task import Progress, Report
from core.store.material import MOVIELENS, SMOLLM2, PinnedWheel, extracted
from core.store.results import Results
from core.words import duration
from core.work.engine import Engine
from core.work.envelope import enveloped
from core.work.forecast import Forecaster
from core.work.job import job_key
from core.work.worker import peak_bytes


def prepared(
    progress: Progress,
    *,
    engine: Engine | None = None,
    results: Results | None = None,
    fetch: Callable[[PinnedWheel], object] = extracted,
) -> str:
    """Fetch and check the sample material, compute the example if it is not stored; returns a sentence for the user.

    The second time it only checks, without loading a model. Raises the errors of `core.errors`.
    """
    for material in (MOVIELENS, SMOLLM2):
        progress(f"checking {material.name}, fetched on first use", 0.0)
        fetch(material)
    store, task = results or Results(), Explain()
    key = job_key(task)
    if store.load(key) is not None:
        return "The sample model, the sample data and the example are ready."
    report = _last(engine or _model_engine(), task, progress)
    store.save(key, enveloped(task, report.model_dump_json()))
    Forecaster().learn(task, report, seconds=report.seconds, peak_bytes=peak_bytes())
    return f"The sample model, the sample data and the example are ready ({duration(report.seconds)})."


def _last(engine: Engine, task: Explain, progress: Progress) -> Report:
    last = deque(engine.run(task, progress), maxlen=1)
    if not last:
        raise ComputeError("the example ended without an explanation")
    return last[0]


def _model_engine() -> Engine:
    from core.work.engine import ModelEngine

    return ModelEngine()

"""Making a machine ready: the sample material, and the finished example that the first page shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.analysis.explain.explanation import Explanation
from core.analysis.request import Request
from core.errors import ComputeError
from core.store.material import MOVIELENS, SMOLLM2, PinnedWheel, extracted
from core.store.results import Results
from core.words import seconds
from core.work.engine import Engine
from core.work.forecast import Forecaster
from core.work.job import job_key
from core.work.kinds import enveloped
from core.work.worker import peak_bytes

Report = Callable[[str, float], None]


def prepared(
    report: Report,
    *,
    engine: Engine | None = None,
    results: Results | None = None,
    fetch: Callable[[PinnedWheel], object] = extracted,
) -> str:
    """Fetch and check the sample material, compute the example if it is not stored; returns a sentence for the user.

    The second time it only checks, without loading a model. Raises the errors of `core.errors`.
    """
    for material in (MOVIELENS, SMOLLM2):
        report(f"checking {material.name}, fetched on first use", 0.0)
        fetch(material)
    store, request = results or Results(), Request()
    key = job_key(request)
    if store.load(key) is not None:
        return "The sample model, the sample data and the example are ready."
    found = _last(engine or _model_engine(), request, report)
    store.save(key, enveloped(request, found.model_dump_json()))
    Forecaster().learn(request, found, seconds=found.timings.total, peak_bytes=peak_bytes())
    return f"The sample model, the sample data and the example are ready ({seconds(found.timings.total)})."


def _last(engine: Engine, request: Request, report: Report) -> Explanation:
    made = deque(engine.run(request, report), maxlen=1)
    if not made or not isinstance(made[0], Explanation):
        raise ComputeError("the example ended without an explanation")
    return made[0]


def _model_engine() -> Engine:
    from core.work.engine import ModelEngine

    return ModelEngine()

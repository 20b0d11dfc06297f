"""What a request is about: its case and its demonstrations, before any model is asked."""

from __future__ import annotations

from core.analysis.request import Request
from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.demonstrations import by_ids, pick
from core.data.records import Case, Demonstration


def case_for(request: Request, dataset: Dataset) -> Case:
    """The case a request names; raises `DataError` or `RequestError` where there is none."""
    return case_of(
        dataset,
        request.user,
        split=request.split,
        candidates=request.candidates,
        sampling=request.sampling,
        given=request.candidate_ids,
        seed=request.seed,
    )


def demonstrations_for(request: Request, dataset: Dataset, case: Case) -> tuple[Demonstration, ...]:
    """The demonstrations a request asks for: named by hand, or picked by its strategy."""
    if request.demo_ids is not None:
        return by_ids(dataset, case, request.demo_ids, history=request.history)
    return pick(dataset, case, k=request.demos, strategy=request.strategy, history=request.history)


def item_ids(case: Case, demos: tuple[Demonstration, ...]) -> set[str]:
    """Every item that a case or its demonstrations show."""
    shown = {one.item_id for one in case.history} | set(case.candidates)
    for demo in demos:
        shown |= {demo.item_id, *demo.history}
    return shown

"""What a request is about: its case, its demonstrations and its target, before any model is asked."""

from __future__ import annotations

from core.analysis.request import Request
from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.demonstrations import by_ids
from core.data.records import Case, Demonstration
from core.data.strategies import pick
from core.errors import RequestError


def subject_of(request: Request, dataset: Dataset) -> tuple[Case, tuple[Demonstration, ...]]:
    """Case and demonstrations of a request whose target is known to exist; raises `DemoLensError`s otherwise."""
    case = case_for(request, dataset)
    targets_for(request, case)
    return case, demonstrations_for(request, dataset, case)


def case_for(request: Request, dataset: Dataset) -> Case:
    """The case a request names; raises `DataError` or `RequestError` where there is none."""
    return case_of(
        dataset,
        request.user,
        split=request.split,
        candidates=request.candidates,
        sampling=request.sampling,
        candidate_ids=request.candidate_ids,
        seed=request.seed,
    )


def demonstrations_for(request: Request, dataset: Dataset, case: Case) -> tuple[Demonstration, ...]:
    """The demonstrations a request asks for: named by hand, or picked by its strategy."""
    if request.demo_ids is not None:
        return by_ids(dataset, case, request.demo_ids, history=request.history)
    return pick(dataset, case, k=request.demos, strategy=request.strategy, history=request.history)


def shortages(request: Request, case: Case, demos: tuple[Demonstration, ...]) -> tuple[str, ...]:
    """One sentence for each number that the data could not fill: candidates, demonstrations."""
    found = []
    if request.candidate_ids is None and len(case.candidates) < request.candidates:
        why = "the data hold no more items that this user has not met"
        found.append(f"Only {len(case.candidates)} of the {request.candidates} candidates asked for: {why}.")
    if request.demo_ids is None and len(demos) < request.demos:
        why = "this user has no more" if request.strategy == "recent" else "no more other users have any"
        found.append(f"Only {len(demos)} of the {request.demos} demonstrations asked for: {why} before this moment.")
    return tuple(found)


def targets_for(request: Request, case: Case) -> tuple[int, int | None]:
    """Candidate indices of what is explained and of what it is held against.

    Without a wish it is the item really chosen next, or the first candidate where that is not among them. Raises
    `RequestError` for an item that is no candidate, and for a margin of one over itself.
    """
    target = _candidate(case, "target", request.target or case.target, strict=request.target is not None)
    if request.against is None:
        return target, None
    against = _candidate(case, "against", request.against, strict=True)
    if against == target:
        raise RequestError("the margin of a candidate over itself", expected="two candidates", where="against")
    return target, against


def _candidate(case: Case, option: str, item: str | None, *, strict: bool) -> int:
    if item in case.candidates:
        return case.candidates.index(str(item))
    if strict:
        some = ", ".join(case.candidates[:5])
        raise RequestError(
            f"item {str(item)[:80]!r}", expected=f"one of this case's candidates ({some}, …)", where=option
        )
    return 0


def item_ids(case: Case, demos: tuple[Demonstration, ...]) -> set[str]:
    """Every item that a case or its demonstrations show."""
    shown = {one.item_id for one in case.history} | set(case.candidates)
    for demo in demos:
        shown |= {demo.item_id, *demo.history}
    return shown

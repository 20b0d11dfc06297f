"""What a question is about: its case, its demonstrations and its target, before any model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.demonstrations import by_ids
from core.data.model_reader import ModelReader
from core.data.records import Case, Demonstration, Item
from core.data.strategies import STRATEGIES, pick
from core.errors import RequestError
from core.prompt.case_source import CaseSource
from core.prompt.imported.imported_cases import ImportedCases
from core.prompt.imported.sections import logged_answer, notices_of
from core.prompt.stored_templates import template_of
from core.question.case_spec import CaseSpec
from core.question.targets import Explained
from core.question.task import Task

ANSWER_EXPLAINED = "The case file names no true answer; what the model answered when it was logged is explained."


@dataclass(frozen=True)
class Subject:
    """A resolved case with its demonstrations, built once a job; the preview of a page shows the same."""

    spec: CaseSpec
    case: Case
    demos: tuple[Demonstration, ...]
    items: dict[str, Item]
    """Every item that the history, the candidates or the demonstrations name."""
    target: str | None = None
    """Item id of the candidate that the task names; None means the item really chosen next."""
    against: str | None = None
    explain: Explained = "score"
    """What of the target is explained."""
    awaits_model: bool = False
    """Whether a model picks the demonstrations, and there was none yet."""
    notices: tuple[str, ...] = ()
    """What a reader should know of how the demonstrations were picked."""

    @property
    def targets(self) -> tuple[int, int | None]:
        """Candidate indices of the target and of the candidate it is held against."""
        return target_places(self.case, self.target, self.against)

    @property
    def shortages(self) -> tuple[str, ...]:
        """One sentence for each number that the data could not fill: candidates, demonstrations."""
        spec, case = self.spec, self.case
        if spec.imported:
            return ()
        sentences = []
        if spec.candidate_ids is None and len(case.candidates) < spec.candidates:
            why = "the data hold no more items that this user has not met"
            sentences.append(f"Only {len(case.candidates)} of the {spec.candidates} candidates asked for: {why}.")
        if spec.demo_ids is None and not self.awaits_model and len(self.demos) < spec.demos:
            why = STRATEGIES[spec.strategy].shortage
            sentences.append(
                f"Only {len(self.demos)} of the {spec.demos} demonstrations asked for: {why} before this moment."
            )
        return tuple(sentences)


def subject_of(task: Task, dataset: CaseSource) -> Subject:
    """Case, demonstrations and target of a task; raises `DemoLensError`s for choices that name none."""
    target, against = task.named_targets
    return subject_for(task.case, dataset, target=target, against=against, explain=task.explained)


def subject_for(
    spec: CaseSpec,
    dataset: CaseSource,
    *,
    target: str | None = None,
    against: str | None = None,
    explain: Explained = "score",
) -> Subject:
    """The same for a case without a task.

    Demonstrations that a model picks are left to `with_demonstrations`.
    """
    case = case_for(spec, dataset)
    target_places(case, target, against)
    demos = () if spec.picked_by_model else demonstrations_for(spec, dataset, case)
    items = items_of(dataset, case, demos)
    notices: tuple[str, ...] = ()
    if isinstance(dataset, ImportedCases):
        logged = dataset.logged(case.user_id)
        notices = notices_of(logged)
        if target is None and case.target is None and (target := logged_answer(logged)) is not None:
            notices = (*notices, ANSWER_EXPLAINED)
    return Subject(
        spec, case, demos, items, target, against, explain, awaits_model=spec.picked_by_model, notices=notices
    )


def with_demonstrations(subject: Subject, dataset: CaseSource, reader: ModelReader) -> Subject:
    """The subject with what the model picks, where it waits for that; else as it is."""
    if not subject.awaits_model:
        return subject
    demos = demonstrations_for(subject.spec, dataset, subject.case, reader)
    items = items_of(dataset, subject.case, demos)
    return replace(subject, demos=demos, items=items, awaits_model=False)


def case_for(spec: CaseSpec, dataset: CaseSource) -> Case:
    """The case that the choices name; raises `DataError` or `RequestError` where there is none, and
    `PromptError` for a template that cannot be used.
    """
    if isinstance(dataset, ImportedCases):
        return dataset.case(str(spec.case), seed=spec.seed)
    template_of(spec.template, spec.family)  # One that cannot be used is refused before a model is loaded.
    return case_of(
        dataset,
        spec.user,
        split=spec.split,
        candidates=spec.candidates,
        sampling=spec.sampling,
        candidate_ids=spec.candidate_ids,
        seed=spec.seed,
    )


def demonstrations_for(
    spec: CaseSpec, dataset: CaseSource, case: Case, reader: ModelReader | None = None
) -> tuple[Demonstration, ...]:
    """The demonstrations that the choices name by hand, that a logged prompt has, or that the strategy picks; some
    strategies need a model's `reader`."""
    if isinstance(dataset, ImportedCases):
        as_logged = spec.demo_ids is None
        return (
            dataset.demonstrations(case.user_id)
            if as_logged
            else dataset.demonstrations_by_ids(spec.demo_ids or (), case)
        )
    if spec.demo_ids is not None:
        return by_ids(dataset, case, spec.demo_ids, history=spec.history)
    return pick(
        dataset,
        case,
        k=spec.demos,
        strategy=spec.strategy,
        history=spec.history,
        order=spec.order,
        each=spec.each,
        reader=reader,
    )


def target_places(case: Case, target: str | None = None, against: str | None = None) -> tuple[int, int | None]:
    """Candidate indices of what is explained and of what it is held against.

    Without a name it is the item really chosen next, or the first candidate where that is not among them. Raises
    `RequestError` for an item that is no candidate, and for the margin of a candidate over itself.
    """
    first = _candidate(case, "target", target or case.target, strict=target is not None)
    if against is None:
        return first, None
    second = _candidate(case, "against", against, strict=True)
    if second == first:
        raise RequestError("the margin of a candidate over itself", expected="two candidates", where="against")
    return first, second


def rival_place(case: Case, rival: str, target: int) -> int:
    """Candidate index of a rival of the target; raises `RequestError` for no candidate and for the target itself."""
    place = _candidate(case, "rival", rival, strict=True)
    if place == target:
        raise RequestError("the target as its own rival", expected="another candidate", where="rival")
    return place


def _candidate(case: Case, option: str, item: str | None, *, strict: bool) -> int:
    if item in case.candidates:
        return case.candidates.index(str(item))
    if strict:
        some = ", ".join(case.candidates[:5])
        raise RequestError(
            f"item {str(item)[:80]!r}", expected=f"one of this case's candidates ({some}, …)", where=option
        )
    return 0


def items_of(source: CaseSource, case: Case, demos: tuple[Demonstration, ...]) -> dict[str, Item]:
    """Every item that a case or its demonstrations name, by id."""
    if isinstance(source, ImportedCases):
        return source.items(case, demos)
    return source.items(item_ids(case, demos))


def own_data(source: CaseSource, what: str) -> Dataset:
    """The data behind a question that needs more than a finished prompt; raises `RequestError` where there is none."""
    if isinstance(source, ImportedCases):
        raise RequestError(f"{what} for a case from a file", expected="a data set: a finished prompt holds no data")
    return source


def item_ids(case: Case, demos: tuple[Demonstration, ...]) -> set[str]:
    """Every item that a case or its demonstrations name."""
    ids = {interaction.item_id for interaction in case.history} | set(case.candidates)
    for demo in demos:
        ids |= {demo.item_id, *demo.history}
    return ids

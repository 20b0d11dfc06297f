"""Which kinds of questions there are: one row each, with its task, its report and its function.

Places are named as `module:name` and imported when they are used: a page needs no torch to hand in a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.errors import RequestError
from core.question.task import Report, Task

if TYPE_CHECKING:
    from core.prompt.case_source import CaseSource

RunFunction = Callable[..., Iterator[Report]]


@dataclass(frozen=True)
class Kind:
    """One kind of question; `name` is also its command."""

    name: str
    summary: str
    """What its command does, in one sentence."""
    task_place: str
    report_place: str
    run_place: str
    subject_place: str = "core.analysis.subject:subject_of"
    """`subject_of(task, dataset)`: what the question is about, without a model; refuses wrong choices."""
    lines_place: str = "core.cli.report_lines:report_lines"
    """`lines(report)`: the answer in a terminal."""
    needs_weights: bool = False
    """Whether it looks into the model, so that a server's scores do not suffice."""
    needs_data: str = ""
    """Why it cannot be asked about a finished prompt; empty where it can."""

    @property
    def task(self) -> type[Task]:
        """Class of the question."""
        task: type[Task] = _at(self.task_place)
        return task

    @property
    def report(self) -> type[Report]:
        """Class of the answer."""
        report: type[Report] = _at(self.report_place)
        return report

    @property
    def run(self) -> RunFunction:
        """`run(task, dataset=, model=, progress=, subject=)` yields ever more complete reports, the last `complete`."""
        run: RunFunction = _at(self.run_place)
        return run

    @property
    def lines(self) -> Callable[[Any], list[str]]:
        """`lines(report)`: the answer in a terminal; titles are escaped, so that none can steer it."""
        lines: Callable[[Any], list[str]] = _at(self.lines_place)
        return lines

    def check(self, task: Task) -> None:
        """Raise `RequestError` for a case from a file where the question is about data."""
        if self.needs_data and task.case.imported:
            raise RequestError(f"{self.name} for a case from a file", expected=f"a data set: {self.needs_data}")

    def subject(self, task: Task, dataset: CaseSource) -> Any:
        """What `run` takes as `subject`; raises the errors of `core.errors` that no model is needed for."""
        return _at(self.subject_place)(task, dataset)


def _at(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _kind(
    name: str, summary: str, room: str, stem: str, run_place: str, *, needs_weights: bool = False, **places: str
) -> Kind:
    """A row whose task and report are `<stem>Task` and `<stem>Report` of the module `room`."""
    task, report = f"{room}:{stem}Task", f"{room}:{stem}Report"
    return Kind(name, summary, task, report, run_place, needs_weights=needs_weights, **places)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "explain",
            "Explain one case and print it, or write it as JSON.",
            "core.analysis.explain.explain_task:Explain",
            "core.analysis.explain.explanation:Explanation",
            "core.analysis.explain.explain_run:explain",
            lines_place="core.cli.explanation_lines:explanation_lines",
        ),
        _kind(
            "quality",
            "Score each demonstration of a case: gain, effect, alignment, redundancy, stability.",
            "core.analysis.quality.quality_task",
            "Quality",
            "core.analysis.quality.quality_run:quality",
        ),
        _kind(
            "utility",
            "Measure over many users whether the quality scores predict what demonstrations are worth.",
            "core.analysis.quality.utility_task",
            "Utility",
            "core.analysis.quality.utility_run:utility",
            subject_place="core.analysis.quality.utility_run:drawn_users",
            needs_weights=True,
            needs_data="it is measured over many users",
        ),
        _kind(
            "robustness",
            "Perturb a case and its demonstrations, and see whether the recommendation stands.",
            "core.analysis.robustness.robustness_task",
            "Robustness",
            "core.analysis.robustness.robustness_run:robustness",
            lines_place="core.cli.report_lines:robustness_lines",
        ),
        _kind(
            "improve",
            "Search for a better set of demonstrations in two stages.",
            "core.selection.improve_task",
            "Improve",
            "core.selection.improve:improve",
            lines_place="core.cli.report_lines:improve_lines",
        ),
        _kind(
            "dual",
            "Take the attention of a case apart into its dual model, exactly and with explicit features.",
            "core.analysis.dual.dual_task",
            "Dual",
            "core.analysis.dual.dual_run:dual",
            needs_weights=True,
        ),
        _kind(
            "updates",
            "Hold the in-context update beside the update of real fine-tuning, with controls.",
            "core.analysis.dual.updates_task",
            "Updates",
            "core.analysis.dual.updates_run:updates",
            needs_weights=True,
        ),
        _kind(
            "personalise",
            "Play a user's newest interactions one by one: the list follows, the weights stay.",
            "core.personal.personalise_task",
            "Personalise",
            "core.personal.personalise:personalise",
            subject_place="core.personal.play:play_of",
            needs_data="it plays what a user met later",
            lines_place="core.cli.step_lines:step_lines",
            needs_weights=True,
        ),
    )
}


def kind_named(name: object) -> Kind:
    """Raises `RequestError` for a name that is no kind of question."""
    if not isinstance(name, str) or name not in KINDS:
        raise RequestError(f"work of kind {name!r:.40}", expected=f"one of {', '.join(KINDS)}")
    return KINDS[name]


def run(task: Task, **material: Any) -> Iterator[Report]:
    """Ever more complete reports of a task on `dataset=` and `model=`, the last `complete`; `progress=` may be given.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    return kind_of(task).run(task, **material)


def kind_of(task: Task) -> Kind:
    """The kind of a task."""
    place = f"{type(task).__module__}:{type(task).__qualname__}"
    return next(kind for kind in KINDS.values() if kind.task_place == place)

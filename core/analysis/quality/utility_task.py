"""The task that holds quality scores against the true use of demonstrations, and its report; needs no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from core.analysis.quality.score_rows import FLOORS, Truth, UtilityScore
from core.errors import MaterialError
from core.prompt.families import FAMILIES, Family
from core.question.case_spec import CaseSpec
from core.question.task import Record, Report, Task
from core.store.home import PRIVATE_FOLDER, home, stored, write_atomically
from core.store.sealed import sealed, unsealed
from core.words import figure

LEAST_DEMOS = 3
"""Fewer demonstrations have no rank correlation worth the name."""
LEAST_STORED = 20
"""Cases from which a complete report is kept for the page."""
LEVEL = 0.9
"""Coverage of the intervals."""
REST, QUERY = 1.2, 0.75
"""Instruction, query and one candidate together, and the query alone, as multiples of a demonstration's tokens
on MovieLens-100K prompts with 5 titles a history."""
CARDS = Path(__file__).parents[3] / "assets"
"""Where a report may be shipped as `utility-<family>.json`."""


class UtilityTask(Task):
    """Over many users: does each quality score rank the demonstrations of a prompt by their true use?

    Users are drawn, and the target is what each really chose next: of `case`, the user, its demonstrations and its
    candidates have no effect.
    """

    users: Annotated[int, Field(ge=1, le=500)] = 100
    """Users to measure on, one case each."""
    least_history: Annotated[int, Field(ge=2, le=1000)] = 30
    """Fewest interactions of a user who is drawn."""
    users_seed: int = 0
    """Which users are drawn, and in which order."""

    @model_validator(mode="after")
    def _rankable(self) -> UtilityTask:
        if self.case.strategy == "manual":
            raise ValueError("demonstrations chosen by hand belong to one user, choose another strategy")
        if self.case.demos < LEAST_DEMOS:
            raise ValueError(
                f"a rank correlation needs {LEAST_DEMOS} or more demonstrations, not a prompt with {self.case.demos}"
            )
        return self

    def case_of(self, user: str) -> CaseSpec:
        """The case of one drawn user."""
        return self.case.model_copy(update={"user": user, "demo_ids": None, "candidate_ids": None})

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing at their defaults."""
        return self.model_dump(mode="json") | {"case": self.case_of(CaseSpec().user).effective()}

    @property
    def picks(self) -> int:
        """How many times demonstrations are picked by the case's strategy."""
        return self.users

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents: three gradients, one pass without a target, K removals, K additions, and K
        removals for the proxy alone."""
        demos, candidate = self.case.demos, FAMILIES[self.case.family].candidate_size
        all_candidates = candidate * self.case.candidates
        tail = QUERY + all_candidates
        removals, additions = demos * (demos - 1) / 2 + demos * tail, demos * (1 + tail) + tail
        gradients, without_target = 3 * 3.0, 1.0
        of_proxy = demos * (demos - 1) / 2 + demos * (QUERY + candidate)
        full = 1 + (all_candidates + removals + additions + of_proxy) / (REST + demos)
        return self.users * (gradients + without_target + full)


class UtilityRow(Record):
    """How well one score predicts one truth: Spearman's rank correlation over the demonstrations of a case."""

    score: UtilityScore
    truth: Truth
    mean: float | None
    """Mean over cases of the correlation within a case; null where no case has one."""
    low: float | None
    """Lower end of the bootstrap interval of the mean, over cases; null with fewer than three cases."""
    high: float | None
    pooled: float | None
    """Correlation of the ranks within cases, all cases in one list."""
    cases: int
    """Cases the correlation rests on."""
    left_out: int
    """Cases where the truth or the score does not vary, or the score is not known."""
    floor: float | None = None
    """The strongest floor of the same truth: the largest mean, whichever way it points; null where none has one."""

    @property
    def is_floor(self) -> bool:
        """Whether this is one of the scores that know nothing of the model."""
        return self.score in FLOORS

    @property
    def predicts(self) -> bool:
        """Whether the whole interval lies above 0 and above the strongest floor."""
        return not self.is_floor and self.low is not None and self.low > max(0.0, self.floor or 0.0)


class UtilityReport(Report):
    """The correlations so far; cases and users who had none are counted."""

    task: UtilityTask
    family: Family
    rows: tuple[UtilityRow, ...] = ()
    """Every score against every truth, by truth."""
    cases: int = 0
    """Cases measured."""
    skipped: int = 0
    """Users drawn who have no such case."""
    level: float = LEVEL

    def of(self, truth: Truth) -> tuple[UtilityRow, ...]:
        """The rows of one truth, one a score."""
        return tuple(row for row in self.rows if row.truth == truth)


def verdict(row: UtilityRow) -> str:
    """What a reader may conclude about a score, in one sentence with its numbers.

    A score `predicts` only when the lower end of its interval lies above 0 and above the strongest floor.
    """
    if row.mean is None:
        return f"predicts nothing on these cases: none of {_cases(row.left_out)} has a correlation."
    figures = f"mean rank correlation {figure(row.mean)}"
    if row.low is not None and row.high is not None:
        figures += f", {LEVEL:.0%} interval {figure(row.low)} to {figure(row.high)}"
    figures += f", {_cases(row.cases)}"
    if row.is_floor:
        return f"is a floor that knows nothing of the model: {figures}."
    if row.floor is not None:
        figures += f"; the strongest floor reaches {figure(row.floor)}"
    return f"{'predicts' if row.predicts else 'predicts nothing on these cases'}: {figures}."


def _cases(count: int) -> str:
    return f"{count} case{'' if count == 1 else 's'}"


# ---- stored for the page


def keep(report: UtilityReport) -> None:
    """Store a complete report over at least `LEAST_STORED` cases as the latest; others are not stored.

    Raises `MaterialError` when the disk is full or cannot be written.
    """
    if report.stage != "complete" or report.cases < LEAST_STORED:
        return
    source = report.provenance
    path = _path(source.model_id, source.dataset_id, report.family)
    with stored("the folder of utility reports"):
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_atomically(path, sealed(report.model_dump(mode="json")))


def latest_utility(model_id: str, dataset_id: str, family: Family) -> UtilityReport | None:
    """The latest stored report of this model on these data, else the one shipped for them; None where there is none.

    A file that is damaged, or of another version, is as good as none.
    """
    for report in (_stored(model_id, dataset_id, family), _read(CARDS / f"utility-{family}.json")):
        if report is not None and _belongs(report, model_id, dataset_id, family):
            return report
    return None


def _path(model_id: str, dataset_id: str, family: Family) -> Path:
    key = hashlib.sha256("\x1f".join((model_id, dataset_id, family)).encode()).hexdigest()[:32]
    return home() / "utility" / f"{key}.json"


def _stored(model_id: str, dataset_id: str, family: Family) -> UtilityReport | None:
    try:
        return UtilityReport.model_validate(unsealed(_path(model_id, dataset_id, family)))
    except (MaterialError, ValidationError):
        return None


def _read(path: Path) -> UtilityReport | None:
    try:
        return UtilityReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _belongs(report: UtilityReport, model_id: str, dataset_id: str, family: Family) -> bool:
    source = report.provenance
    return (source.model_id, source.dataset_id, report.family) == (model_id, dataset_id, family)

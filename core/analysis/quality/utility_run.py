"""Does a quality score predict what a demonstration is really worth? Rank correlations with the truth, over users."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from core.analysis.blend import blend_notices
from core.analysis.explain.faithfulness import number
from core.analysis.ledger import Ledger, silent
from core.analysis.quality.score_rows import FLOORS, SCORES, TRUTHS, Truth, UtilityScore
from core.analysis.quality.scored_case import ScorerOf, floors, quality_scores
from core.analysis.quality.utility_task import LEAST_DEMOS, LEVEL, UtilityReport, UtilityRow, UtilityTask, keep
from core.analysis.setting import Setting, setting_for
from core.analysis.values import Array, leave_one_out_masks
from core.data.dataset import Dataset
from core.errors import Cancelled, ComputeError, DemoLensError, MaterialError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Cost
from core.metrics.intervals import mean_over_cases
from core.metrics.ranking import expected_ndcg
from core.metrics.similarity import spearman
from core.question.task import Progress
from core.seeds import generator, seed_of

ScoresOf = Callable[[Setting, ScorerOf], Mapping[UtilityScore, Array]]
"""Scores [demo] of a setting's demonstrations."""

TUNED_USERS = 60
"""Users kept apart because defaults were tuned on them: so many, but never more than a third of those there are."""
TUNED_HISTORY = 30
"""Interactions that a user had to have to be tuned on."""
MOST_USERS = 10_000
"""Users among whom cases are drawn, in the data set's order."""
DRAWS = 2_000
"""Bootstrap resamples of the cases."""
LEAST_CASES = 3
"""Fewer cases have a mean and no interval."""


@dataclass(frozen=True)
class CaseNumbers:
    """What one case gives: scores and truths of its demonstrations, [demo] each; nan where one is not known."""

    scores: Mapping[UtilityScore, Array]
    truths: Mapping[Truth, Array]


def utility(
    task: UtilityTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    scores_of: ScoresOf | None = None,
    progress: Progress = silent,
    subject: Sequence[str] | None = None,
) -> Iterator[UtilityReport]:
    """A report after every case, the last complete; one over `LEAST_STORED` cases or more is kept for the page.

    `subject` are the users to measure on, in order. A user without a case of at least `LEAST_DEMOS` demonstrations is
    skipped and the next one drawn. Raises `RequestError` where no user has one, `ComputeError` where the model fails,
    and what `progress` raises.
    """
    work = _Cases(task, dataset, Ledger(task, model, progress), scores_of or quality_scores)
    skipped, refused = 0, ""
    report: UtilityReport | None = None
    for user in drawn_users(task, dataset) if subject is None else subject:
        try:
            setting = work.setting(user)
            work.measure(setting)
        except (Cancelled, ComputeError):
            raise
        except DemoLensError as error:
            skipped, refused = skipped + 1, str(error)
            continue
        report = report or _bare(task, setting)
        if len(work.cases) == task.users:
            break
        yield work.now(report, skipped)
    if report is None:
        why = f" ({refused})" if refused else ""
        raise RequestError(
            f"none of {skipped} users has a case to measure{why}",
            expected=f"users with {task.least_history} or more interactions, and {LEAST_DEMOS} demonstrations each",
        )
    notices = report.notices
    if len(work.cases) < task.users:
        notices += (f"Only {len(work.cases)} of the {task.users} cases asked for: the data have no more such users.",)
    complete = work.now(report, skipped).model_copy(update={"stage": "complete", "notices": notices})
    try:
        keep(complete)
    except MaterialError as error:
        complete = complete.model_copy(update={"notices": (*notices, f"The report is not kept for the page: {error}.")})
    yield complete


def drawn_users(task: UtilityTask, dataset: Dataset) -> list[str]:
    """Users with enough history in the order of the task's seed; those that defaults were tuned on are left out."""
    users = dataset.users(limit=MOST_USERS)
    apart = set(tuned_users(dataset))
    free = [user for user, count in users if count >= task.least_history and user not in apart]
    return [free[place] for place in generator("utility", dataset.dataset_id, task.users_seed).permutation(len(free))]


def tuned_users(dataset: Dataset) -> list[str]:
    """Users kept apart from every measurement, because defaults were chosen on them."""
    users = [user for user, count in dataset.users(limit=1_000) if count >= TUNED_HISTORY]
    order = generator("dev").permutation(len(users))
    return [users[place] for place in order[: min(TUNED_USERS, len(users) // 3)]]


# ---- one case


def true_utility(scorer: Scorer, target: int, offsets: Array | float = 0.0) -> dict[Truth, Array]:
    """What each demonstration is worth, [demo]: the target's score in nats and NDCG@10, by deletion from the text.

    Removal compares the full prompt with all but one, addition a prompt of one demonstration with none. `offsets`
    [candidate] are taken from every score before ranking (calibrated scoring).
    """
    demos = scorer.demos
    full = scorer.full()[None] - offsets
    rest = np.concatenate([leave_one_out_masks(demos), np.eye(demos, dtype=bool), np.zeros((1, demos), dtype=bool)])
    table = scorer.subsets(rest) - offsets
    without, alone, empty = table[:demos], table[demos : 2 * demos], table[2 * demos :]
    return {
        "removal_score": full[0, target] - without[:, target],
        "removal_ndcg": _ndcg(full, target) - _ndcg(without, target),
        "addition_score": alone[:, target] - empty[0, target],
        "addition_ndcg": _ndcg(alone, target) - _ndcg(empty, target),
    }


def _ndcg(table: Array, target: int) -> Array:
    """NDCG@10 of every row of scores [row, candidate]."""
    return np.array([expected_ndcg(row, target) for row in table])


@dataclass
class _Cases:
    """The cases measured so far."""

    task: UtilityTask
    dataset: Dataset
    ledger: Ledger
    scores_of: ScoresOf
    cases: list[CaseNumbers] = field(default_factory=list)
    longest: int = 0
    picking: Cost = field(default_factory=Cost)
    """Of the demonstrations of the case that is measured next."""

    def setting(self, user: str) -> Setting:
        self.picking = Cost()
        reading = {"cost": self.picking, "between": self.ledger.tell}
        setting = setting_for(self.task.case_of(user), self.dataset, self.ledger.model, **reading)
        if len(setting.prompt.demos) < LEAST_DEMOS:
            raise RequestError(f"{len(setting.prompt.demos)} demonstrations", expected=f"{LEAST_DEMOS} or more")
        return setting

    def measure(self, setting: Setting) -> None:
        self.ledger.next_case(setting)
        self.ledger.count_picking(self.picking)
        self.ledger.label = f"measuring case {len(self.cases) + 1} of {self.task.users}"
        truths = true_utility(self._scorer(setting), setting.targets[0], self.ledger.content_free(setting))
        scores = {**self.scores_of(setting, self._scorer), **floors(setting)}
        self.longest = max(self.longest, setting.prompt.length)
        self.cases.append(CaseNumbers(scores, truths))

    def now(self, report: UtilityReport, skipped: int) -> UtilityReport:
        return _over(report, self.cases, skipped, {"tokens": self.longest, **self.ledger.spent()})

    def _scorer(self, setting: Setting) -> Scorer:
        return self.ledger.scorer(setting.prompt)


def report_over(
    task: UtilityTask, first: Setting, cases: Sequence[CaseNumbers], *, skipped: int, **spent: float
) -> UtilityReport:
    """The complete report of cases measured elsewhere as this task would measure them.

    `first` is the setting of the first case, `skipped` counts users drawn who had none; `spent` are the report's
    `tokens` (of the longest prompt), `forwards`, `passes` and `seconds`.
    """
    return _over(_bare(task, first), cases, skipped, spent).model_copy(update={"stage": "complete"})


def _over(
    report: UtilityReport, cases: Sequence[CaseNumbers], skipped: int, spent: Mapping[str, object]
) -> UtilityReport:
    rows = rows_of(cases, report.task.users_seed)
    return report.model_copy(update={"rows": rows, "cases": len(cases), "skipped": skipped, **spent})


def _bare(task: UtilityTask, setting: Setting) -> UtilityReport:
    notices = (*setting.dataset.notices, *setting.model.notices, *blend_notices(task.case))
    of_one_case = {"demos": (), "target": None, "notices": notices}
    return UtilityReport.model_validate({**setting.head(task), "family": task.case.family, **of_one_case})


# ---- over cases


def rows_of(cases: Sequence[CaseNumbers], seed: int = 0) -> tuple[UtilityRow, ...]:
    """Every score against every truth, with the strongest floor of the same truth beside it."""
    scores = [score for score in SCORES if any(score in case.scores for case in cases)]
    table: list[UtilityRow] = []
    for truth in TRUTHS:
        rows = [_row(score, truth, cases, seed) for score in scores]
        floor = max((abs(row.mean) for row in rows if row.score in FLOORS and row.mean is not None), default=None)
        table += [row.model_copy(update={"floor": floor}) for row in rows]
    return tuple(table)


def _row(score: UtilityScore, truth: Truth, cases: Sequence[CaseNumbers], seed: int) -> UtilityRow:
    pairs = [_defined(case.scores.get(score), case.truths[truth]) for case in cases]
    each = np.array([spearman(*pair) for pair in pairs])
    used = np.isfinite(each)
    seed = seed_of("bootstrap", "utility", score, truth, seed)
    mean = mean_over_cases(each[used], seed=seed, draws=DRAWS, level=LEVEL, least=LEAST_CASES)
    return UtilityRow(
        score=score,
        truth=truth,
        mean=number(mean.value),
        low=number(mean.low),
        high=number(mean.high),
        pooled=number(_pooled([pair for pair, is_used in zip(pairs, used, strict=True) if is_used])),
        cases=int(used.sum()),
        left_out=int((~used).sum()),
    )


def _defined(score: Array | None, truth: Array) -> tuple[Array, Array]:
    """Both at the demonstrations whose score is a number."""
    if score is None:
        return np.zeros(0), np.zeros(0)
    finite = np.isfinite(score)
    return score[finite], truth[finite]


def _pooled(pairs: Sequence[tuple[Array, Array]]) -> float:
    """Spearman's correlation of relative ranks within cases, all in one list; nan without any."""
    if not pairs:
        return math.nan
    first, second = (
        np.concatenate([stats.rankdata(pair[side]) / (len(pair[side]) + 1) for pair in pairs]) for side in (0, 1)
    )
    return spearman(first, second)

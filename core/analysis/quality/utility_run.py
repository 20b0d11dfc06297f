"""Does a quality score predict what a demonstration is really worth? Rank correlations with the truth, over users."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from core.analysis.explain.faithfulness import number
from core.analysis.quality.quality_run import scored_setting
from core.analysis.quality.quality_task import GainMethod
from core.analysis.quality.scores import (
    alignment,
    gain,
    label_free,
    length_scores,
    position_scores,
    random_scores,
    redundancy,
)
from core.analysis.quality.utility_task import (
    FLOORS,
    LEAST_DEMOS,
    LEVEL,
    SCORES,
    TRUTHS,
    Score,
    Truth,
    UtilityReport,
    UtilityRow,
    UtilityTask,
    keep,
)
from core.analysis.setting import Setting, command_line, prompt_of, set_up
from core.analysis.subject import targets_for
from core.analysis.task import Progress
from core.analysis.values import Array, TargetScore, leave_one_out_masks
from core.data.dataset import Dataset
from core.errors import Cancelled, ComputeError, DemoLensError, MaterialError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Aggregate
from core.metrics.intervals import mean_over_cases
from core.metrics.ranking import expected_ndcg
from core.metrics.similarity import spearman
from core.seeds import generator, seed_of

ScoresOf = Callable[[Setting, Callable[[Setting], Scorer]], Mapping[Score, Array]]
"""Scores [demo] of a setting's demonstrations; the second argument makes a scorer whose cost is counted."""

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

    scores: Mapping[Score, Array]
    truths: Mapping[Truth, Array]


def utility(
    task: UtilityTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    scores_of: ScoresOf | None = None,
    progress: Progress = lambda _label, _fraction: None,
) -> Iterator[UtilityReport]:
    """A report after every case, the last complete; one over `LEAST_STORED` cases or more is kept for the page.

    A user without a case of at least `LEAST_DEMOS` demonstrations is skipped and the next one drawn. Raises
    `RequestError` where no user has one, `ComputeError` where the model fails, and what `progress` raises.
    """
    work = _Work(task, dataset, model, scores_of or quality_scores, progress)
    found: list[CaseNumbers] = []
    skipped, refused = 0, ""
    report: UtilityReport | None = None
    for user in drawn_users(task, dataset):
        try:
            setting = work.setting(user)
            found.append(work.measured(setting))
        except (Cancelled, ComputeError):
            raise
        except DemoLensError as error:
            skipped, refused = skipped + 1, str(error)
            continue
        report = report or _bare(task, setting)
        if len(found) == task.cases:
            break
        yield work.now(report, found, skipped)
    if report is None:
        why = f" ({refused})" if refused else ""
        raise RequestError(
            f"none of {skipped} users has a case to measure{why}",
            expected=f"users with {task.least_history} or more interactions, and {LEAST_DEMOS} demonstrations each",
        )
    notices = report.notices
    if len(found) < task.cases:
        notices += (f"Only {len(found)} of the {task.cases} cases asked for: the data have no more such users.",)
    done = work.now(report, found, skipped).model_copy(update={"stage": "complete", "notices": notices})
    try:
        keep(done)
    except MaterialError as error:
        done = done.model_copy(update={"notices": (*notices, f"The report is not kept for the page: {error}.")})
    yield done


def drawn_users(task: UtilityTask, dataset: Dataset) -> list[str]:
    """Users with enough history in the order of the task's seed; those that defaults were tuned on are left out."""
    users = dataset.users(limit=MOST_USERS)
    apart = set(tuned_users(dataset))
    free = [user for user, count in users if count >= task.least_history and user not in apart]
    return [free[place] for place in generator("utility", dataset.dataset_id, task.seed).permutation(len(free))]


def tuned_users(dataset: Dataset) -> list[str]:
    """Users kept apart from every measurement, because defaults were chosen on them."""
    users = [user for user, count in dataset.users(limit=1_000) if count >= TUNED_HISTORY]
    order = generator("dev").permutation(len(users))
    return [users[place] for place in order[: min(TUNED_USERS, len(users) // 3)]]


# ---- one case


def quality_scores(setting: Setting, scorer_of: Callable[[Setting], Scorer]) -> Mapping[Score, Array]:
    """Every score of `core.analysis.quality.scores` that a prompt's demonstrations can have, higher is better."""
    scorer = scorer_of(setting)
    score = TargetScore(scorer, targets_for(setting.request, setting.case)[0])
    free = label_free(scorer)
    return {
        "gain": gain(score).values,
        **_proxy_gains(setting, scorer_of),
        "effect": free.gram.energy,
        "alignment": alignment(score).values,
        "redundancy": -redundancy(free.gram.cosines)[0],
    }


def _proxy_gains(setting: Setting, scorer_of: Callable[[Setting], Scorer]) -> dict[Score, Array]:
    """Gain towards the user's latest known choice, by deletion and by gradient.

    It is nan where there is no such choice, and for a demonstration cut for room.
    """
    methods: dict[Score, GainMethod] = {"gain_proxy": "leave_one_out", "gain_proxy_gradient": "gradient"}
    found = {name: np.full(len(setting.prompt.demos), np.nan) for name in methods}
    held = scored_setting(setting, proxy=True)
    if held is not None:
        target, _ = targets_for(held.request, held.case)
        score = TargetScore(scorer_of(held), target)
        for name, method in methods.items():
            found[name][list(held.prompt.kept_demos)] = gain(score, method=method).values
    return found


def floors(setting: Setting) -> dict[Score, Array]:
    """Scores that know nothing of the model: a random number, the length in tokens, and the place in the prompt."""
    case, prompt = setting.case, setting.prompt
    drawn = random_scores(len(prompt.demos), case.dataset_id, case.user_id, case.split, case.seed)
    return {"random": drawn, "length": length_scores(prompt), "position": position_scores(prompt)}


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
class _Work:
    """Everything run so far over all cases."""

    task: UtilityTask
    dataset: Dataset
    model: LanguageModel
    scores_of: ScoresOf
    progress: Progress
    scorers: list[Scorer] = field(default_factory=list)
    done: int = 0
    forwards: int = 0
    passes: float = 0.0
    longest: int = 0
    start: float = field(default_factory=time.monotonic)

    def setting(self, user: str) -> Setting:
        made = set_up(self.task.case.model_copy(update={"user": user}), self.dataset, self.model)
        if len(made.prompt.demos) < LEAST_DEMOS:
            raise RequestError(f"{len(made.prompt.demos)} demonstrations", expected=f"{LEAST_DEMOS} or more")
        return made

    def measured(self, setting: Setting) -> CaseNumbers:
        self.scorers = []
        scorer = self._scorer(setting)
        target, _ = targets_for(setting.request, setting.case)
        truths = true_utility(scorer, target, self._offsets(setting))
        scores = {**self.scores_of(setting, self._scorer), **floors(setting)}
        self.passes += self._of_case(setting.prompt.length)
        self.forwards += sum(each.cost.forwards for each in self.scorers)
        self.longest = max(self.longest, setting.prompt.length)
        self.done, self.scorers = self.done + 1, []
        return CaseNumbers(scores, truths)

    def now(self, report: UtilityReport, found: Sequence[CaseNumbers], skipped: int) -> UtilityReport:
        spent = {"tokens": self.longest, "forwards": self.forwards, "passes": self.passes}
        return _over(report, found, skipped, {**spent, "seconds": time.monotonic() - self.start})

    def _scorer(self, setting: Setting) -> Scorer:
        aggregate: Aggregate = "mean" if setting.request.scoring == "mean" else "sum"
        made = Scorer(self.model, setting.prompt, aggregate=aggregate, between=lambda: self._tell(setting))
        self.scorers.append(made)
        return made

    def _tell(self, setting: Setting) -> None:
        planned = self.task.predicted_passes / self.task.cases
        part = min(self._of_case(setting.prompt.length) / planned, 1.0)
        label = f"measuring case {self.done + 1} of {self.task.cases}"
        self.progress(label, min((self.done + part) / self.task.cases, 0.99))

    def _of_case(self, length: int) -> float:
        return sum(each.cost.tokens for each in self.scorers) / length

    def _offsets(self, setting: Setting) -> Array | float:
        """Scores [candidate] under a prompt that knows nothing of the user, for calibrated scoring; else 0."""
        request = setting.request
        if request.scoring != "calibrated" or request.family != "next_item":
            return 0.0
        bare = request.model_copy(update={"history": 0})
        prompt = prompt_of(bare, setting.dataset, self.model, setting.case, (), setting.items)
        return self._scorer(replace(setting, prompt=prompt)).full()


def report_over(
    task: UtilityTask, first: Setting, found: Sequence[CaseNumbers], *, skipped: int, **spent: float
) -> UtilityReport:
    """The complete report of cases measured elsewhere as this task would measure them.

    `first` is the setting of the first case, `skipped` counts users drawn who had none; `spent` are the report's
    `tokens` (of the longest prompt), `forwards`, `passes` and `seconds`.
    """
    return _over(_bare(task, first), found, skipped, spent).model_copy(update={"stage": "complete"})


def _over(
    report: UtilityReport, found: Sequence[CaseNumbers], skipped: int, spent: Mapping[str, float]
) -> UtilityReport:
    rows = rows_of(found, report.task.seed)
    return report.model_copy(update={"rows": rows, "cases": len(found), "skipped": skipped, **spent})


def _bare(task: UtilityTask, setting: Setting) -> UtilityReport:
    of_one_case = {"demos": (), "target": None, "notices": (*setting.dataset.notices, *setting.model.notices)}
    head = setting.head(command_line(task, "utility")) | of_one_case
    return UtilityReport.model_validate({"task": task, "family": task.case.family, **head})


# ---- over cases


def rows_of(found: Sequence[CaseNumbers], seed: int = 0) -> tuple[UtilityRow, ...]:
    """Every score against every truth, with the strongest floor of the same truth beside it."""
    names = [score for score in SCORES if any(score in case.scores for case in found)]
    rows: list[UtilityRow] = []
    for truth in TRUTHS:
        made = [_row(score, truth, found, seed) for score in names]
        known = [abs(row.mean) for row in made if row.score in FLOORS and row.mean is not None]
        rows += [row.model_copy(update={"floor": max(known, default=None)}) for row in made]
    return tuple(rows)


def _row(score: Score, truth: Truth, found: Sequence[CaseNumbers], seed: int) -> UtilityRow:
    pairs = [_known(case.scores.get(score), case.truths[truth]) for case in found]
    each = np.array([spearman(*pair) for pair in pairs])
    used = np.isfinite(each)
    seed = seed_of("bootstrap", "utility", score, truth, seed)
    mean = mean_over_cases(each[used], seed=seed, draws=DRAWS, level=LEVEL, least=LEAST_CASES)
    kept = [pair for pair, is_used in zip(pairs, used, strict=True) if is_used]
    return UtilityRow(
        score=score,
        truth=truth,
        mean=number(mean.value),
        low=number(mean.low),
        high=number(mean.high),
        pooled=number(_pooled(kept)),
        cases=int(used.sum()),
        left_out=int((~used).sum()),
    )


def _known(score: Array | None, truth: Array) -> tuple[Array, Array]:
    """Both at the demonstrations whose score is known."""
    if score is None:
        return np.zeros(0), np.zeros(0)
    known = np.isfinite(score)
    return score[known], truth[known]


def _pooled(pairs: Sequence[tuple[Array, Array]]) -> float:
    """Spearman's correlation of relative ranks within cases, all in one list; nan without any."""
    if not pairs:
        return math.nan
    first, second = (
        np.concatenate([stats.rankdata(pair[side]) / (len(pair[side]) + 1) for pair in pairs]) for side in (0, 1)
    )
    return spearman(first, second)

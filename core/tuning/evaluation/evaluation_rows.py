"""Figures of an evaluation with their intervals: each way, differences of ways, later periods, rankings.

Intervals are percentiles over bootstrap samples that draw whole users; differences are paired on the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.binary import LEVEL, AnswerMeasure, over_users
from core.metrics.intervals import Floats, Resampled, mean_over_users
from core.metrics.ranking import expected_ndcg
from core.prompt.families import FAMILIES, Family
from core.tuning.evaluation.evaluate import CandidateList
from core.tuning.evaluation.record import DifferenceRow, MetricEstimate, PeriodRow, RankingRow, WayRow, metric_estimate
from core.tuning.evaluation.ways import (
    ANSWERING,
    GAINS,
    RECICL,
    RECICL_BARE,
    TALLREC,
    TALLREC_BARE,
    gain,
    minus,
)
from core.tuning.examples import Example, Window

MEASURES: tuple[AnswerMeasure, ...] = ("auc", "uauc")
_WAYS = {way.name: way for way in ANSWERING}
_GAINS = {gain("recicl"): (RECICL, RECICL_BARE), gain("tallrec"): (TALLREC, TALLREC_BARE)}


@dataclass(frozen=True)
class Answers:
    """Scores of every way on the same interactions; arrays have shape (example,)."""

    examples: tuple[Example, ...]
    scores: Mapping[str, Floats]
    """By the name of the way or reference."""

    @property
    def users(self) -> tuple[str, ...]:
        """Whose interactions they are."""
        return tuple(example.user_id for example in self.examples)

    @property
    def liked(self) -> NDArray[np.bool_]:
        """The true answers."""
        return np.array([example.liked for example in self.examples], dtype=bool)

    @property
    def both_answers(self) -> int:
        """How many users have a liked and a disliked interaction among them."""
        kinds = {(example.user_id, example.liked) for example in self.examples}
        return len(kinds) - len(set(self.users))

    def within(self, window: Window) -> Answers:
        """Those whose interaction lies in the window."""
        inside = np.array([window.holds(example.timestamp) for example in self.examples], dtype=bool)
        examples = tuple(example for example, keep in zip(self.examples, inside, strict=True) if keep)
        return Answers(examples, {name: values[inside] for name, values in self.scores.items()})

    def resampled(self, measure: AnswerMeasure, seed: int) -> Resampled:
        """One measure of all ways, with its bootstrap samples of the users."""
        return over_users(self.scores, self.liked, self.users, measure=measure, seed=seed)


def way_rows(judged: Mapping[AnswerMeasure, Resampled]) -> tuple[WayRow, ...]:
    """AUC and UAUC of every way, in the order of the scores."""
    return tuple(
        WayRow.model_validate(
            _way_fields(name) | {measure: metric_estimate(judged[measure].interval(name)) for measure in MEASURES}
        )
        for name in judged["auc"].values
    )


def _way_fields(name: str) -> dict[str, object]:
    """How rows name a way, or a classical reference, which has neither adapter nor demonstrations."""
    way = _WAYS.get(name)
    return {"way": name, "tuned": way and way.tuned, "demos": None if way is None else way.demos}


def difference_rows(judged: Mapping[AnswerMeasure, Resampled]) -> tuple[DifferenceRow, ...]:
    """RecICL with fresh demonstrations minus every other way, what demonstrations gain, and whose gain is larger.

    The gain of a model is its figure with demonstrations minus its own without; ways that are missing are left out.
    """
    return tuple(row for measure in MEASURES for row in _differences(measure, judged[measure]))


def _differences(measure: AnswerMeasure, resampled: Resampled) -> list[DifferenceRow]:
    weights: dict[str, dict[str, float]] = {}
    for name in resampled.values:
        if name != RECICL.name:
            weights[f"{RECICL.name} minus {name}"] = {RECICL.name: 1.0, name: -1.0}
    for name, (fresh, bare) in _GAINS.items():
        weights[name] = {fresh.name: 1.0, bare.name: -1.0}
    weights[GAINS] = {RECICL.name: 1.0, RECICL_BARE.name: -1.0, TALLREC.name: -1.0, TALLREC_BARE.name: 1.0}
    return _difference_rows(measure, resampled, weights)


def _difference_rows(
    measure: AnswerMeasure, resampled: Resampled, weights: Mapping[str, Mapping[str, float]], period: int | None = None
) -> list[DifferenceRow]:
    """A row for each weighted sum of ways, by its name; sums with a way that is missing are left out."""
    return [
        DifferenceRow(name=name, measure=measure, period=period, apart=metric_estimate(resampled.combination(each)))
        for name, each in weights.items()
        if each.keys() <= resampled.values.keys()
    ]


def period_rows(
    answers: Answers, windows: Sequence[Window], *, seed: int
) -> tuple[tuple[PeriodRow, ...], tuple[DifferenceRow, ...]]:
    """AUC of every way in each window, and there RecICL with fresh demonstrations minus both TALLRec-style ways.

    A window without examples gives no rows.
    """
    rows: list[PeriodRow] = []
    apart: list[DifferenceRow] = []
    for number, window in enumerate(windows, start=1):
        part = answers.within(window)
        if part.examples:
            resampled = part.resampled("auc", seed)
            rows += [_period(name, resampled, part, number, window) for name in resampled.values]
            weights = {minus(RECICL, other): {RECICL.name: 1.0, other.name: -1.0} for other in (TALLREC_BARE, TALLREC)}
            apart += _difference_rows("auc", resampled, weights, period=number)
    return tuple(rows), tuple(apart)


def _period(name: str, resampled: Resampled, part: Answers, number: int, window: Window) -> PeriodRow:
    fields = {
        "period": number,
        "since": window.since,
        "until": window.until,
        "interactions": len(part.examples),
        "users": len(set(part.users)),
        "auc": metric_estimate(resampled.interval(name)),
    }
    return PeriodRow.model_validate(_way_fields(name) | fields)


def gains_at_10(lists: Sequence[CandidateList], scores: Floats) -> Floats:
    """NDCG@10 of the item really chosen in each list, from scores [list, candidate]; shape (lists,)."""
    return np.array([expected_ndcg(row, ranked.target) for ranked, row in zip(lists, scores, strict=True)])


def ranking_rows(
    lists: Sequence[CandidateList], scores: Mapping[tuple[Family | None, str], Floats], *, seed: int
) -> tuple[tuple[RankingRow, ...], tuple[DifferenceRow, ...]]:
    """Mean NDCG@10 of every (family, way), and in each family RecICL with demonstrations minus the others.

    Scores are [list, candidate]; family None is a classical reference, which is held against both families.
    """
    users = [row.user_id for row in lists]
    worth = {key: gains_at_10(lists, table) for key, table in scores.items()}
    rows = tuple(
        RankingRow(family=family, way=name, ndcg=measured_over_users(values, users, seed=seed))
        for (family, name), values in worth.items()
    )
    apart = tuple(
        DifferenceRow(
            name=f"{family}, {RECICL.name} minus {name}",
            measure="ndcg",
            apart=measured_over_users(worth[family, RECICL.name] - values, users, seed=seed),
        )
        for family in FAMILIES
        if (family, RECICL.name) in worth
        for (other, name), values in worth.items()
        if other in (family, None) and name != RECICL.name
    )
    return rows, apart


def measured_over_users(values: Floats, users: Sequence[str], *, seed: int) -> MetricEstimate:
    """Mean of `values` [row] with its interval over samples of users with all their rows."""
    return metric_estimate(mean_over_users(values, users, seed=seed, level=LEVEL))

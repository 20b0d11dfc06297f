"""What was measured of one arm, and which of several rows wins; read without any model library."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from core.comparison.arm import Arm
from core.metrics.binary import LEVEL
from core.question.case_spec import Scoring
from core.tuning.evaluation.record import MetricEstimate


class ArmRow(Arm):
    """One arm with one scoring. Intervals are over users; gains are paired with the same family without demonstrations.

    Lists where a demonstration shows the item really chosen are told apart from the others.
    """

    scoring: Scoring
    lists: int
    ndcg: MetricEstimate
    """NDCG@10 of the item really chosen."""
    gain: MetricEstimate
    """NDCG@10 minus that without demonstrations."""
    shows_target: float
    """Share of the lists where a demonstration shows the item really chosen, as its item or in its history."""
    gain_where_shown: MetricEstimate
    gain_where_not: MetricEstimate
    moved: MetricEstimate
    """Share of the lists in which the item really chosen stands at least two places from where it stands without."""
    demonstrations: float
    """Mean number of demonstrations in the prompt."""
    tokens: float
    """Mean tokens of the prompt with its longest candidate."""


def arm_of(arm: Arm) -> Arm:
    """The choices alone, of what is measured or kept with them."""
    return Arm.model_validate(arm.model_dump(include=set(Arm.model_fields)))


def winner(rows: Sequence[ArmRow]) -> ArmRow:
    """The row with the fewest tokens within one standard error of the highest NDCG@10, among those on all lists.

    That is the rule of Breiman and others (1984, section 3.4.3). Demonstrations win only where their gain over none has
    an interval above zero. Of rows with as many tokens the one with the higher NDCG@10 wins.
    """
    lists = max(row.lists for row in rows)
    whole = [row for row in rows if row.lists == lists and (not row.demos or (row.gain.low or 0.0) > 0)]
    best = max(whole, key=lambda row: row.ndcg.value or 0.0)
    least = (best.ndcg.value or 0.0) - standard_error(best.ndcg)
    near = [row for row in whole if (row.ndcg.value or 0.0) >= least]
    return min(near, key=lambda row: (row.tokens, -(row.ndcg.value or 0.0)))


def standard_error(estimate: MetricEstimate) -> float:
    """Of a mean, from the width of its interval under a normal distribution; 0 where it has none."""
    if estimate.low is None or estimate.high is None:
        return 0.0
    return (estimate.high - estimate.low) / (2 * NormalDist().inv_cdf((1 + LEVEL) / 2))

"""A choice of demonstrations whose figures follow a formula: for tests."""

from __future__ import annotations

from typing import Any

from core.comparison.arm import Arm
from core.comparison.arm_row import ArmRow
from core.comparison.kept_choice import Choice, choice_of
from core.data.records import Strategy
from core.question.case_spec import Scoring
from core.tuning.evaluation.record import MetricEstimate

NUMBERS = (1, 2, 4, 8, 16)
BARE = 0.35
GAINS: dict[Strategy, float] = {"neighbours": 0.012, "similar": 0.008, "recent": 0.0}
"""Gain of each demonstration of a strategy."""
EARLY = "recent"
"""The strategy that left the race after half of the lists."""


def ndcg(strategy: Strategy, demos: int) -> float:
    """NDCG@10 of a number of demonstrations."""
    return BARE + GAINS[strategy] * demos


def tokens(demos: int) -> float:
    """Tokens of a prompt with so many demonstrations."""
    return 60.0 + 80.0 * demos


def row(strategy: Strategy, demos: int, *, lists: int = 200, scoring: Scoring = "sum", **more: Any) -> ArmRow:
    """A measured arm; intervals reach 0.05 either way."""
    value = ndcg(strategy, demos) - (0.02 if scoring != "sum" else 0.0)
    arm = Arm(family=more.pop("family", "next_item"), strategy=strategy, demos=demos, **more)
    return ArmRow(
        **arm.model_dump(),
        scoring=scoring,
        lists=lists,
        ndcg=_estimate(value),
        gain=_estimate(value - BARE),
        shows_target=0.1,
        gain_where_shown=_estimate(0.2),
        gain_where_not=_estimate(0.1),
        moved=_estimate(0.6),
        demonstrations=float(demos),
        tokens=tokens(demos),
    )


def _estimate(value: float) -> MetricEstimate:
    return MetricEstimate(value=value, low=value - 0.05, high=value + 0.05)


def rows(most: int = 16) -> list[ArmRow]:
    """None, and three strategies with 1 to `most` demonstrations; one of them on half of the lists."""
    numbers = [number for number in NUMBERS if number <= most]
    curves = [
        row(strategy, number, lists=100 if strategy == EARLY else 200) for strategy in GAINS for number in numbers
    ]
    others = [row("neighbours", most, scoring="mean"), row("similar", most, order="nearest_first")]
    return [row("recent", 0), *curves, *others]


def choice(*, most: int = 16, **facts: Any) -> Choice:
    """`most` neighbours, or none where `most` gives no gain that is sure."""
    usual = {
        "dataset_id": "d" * 16,
        "dataset_name": "films",
        "model": "sample",
        "model_id": "m",
        "history": 5,
        "candidates": 20,
        "command": "demolens choose --dataset /data/films",
        "created": "2026-11-29T02:00:00+00:00",
    }
    return choice_of(rows(most), **(usual | facts))

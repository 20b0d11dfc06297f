"""The record of an evaluation of tuned models, a JSON file beside the adapter that the page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from core.data.records import Strategy
from core.errors import DataError
from core.prompt.families import Family
from core.question.task import Record
from core.tuning.evaluation.ways import ModelVariant

FILE = "evaluation.json"
"""Its name beside an adapter."""
LONGEST = 1_000_000
"""Most bytes of an evaluation's file."""
Metric = Literal["auc", "uauc", "ndcg"]


class MetricEstimate(Record):
    """A figure with the ends of its interval; none where it is not defined (one answer only, too few users)."""

    value: float | None
    low: float | None = None
    high: float | None = None


def metric_estimate(figures: Sequence[float]) -> MetricEstimate:
    """(value, low, high), or a value alone; what is not finite becomes none."""
    value, low, high = figures if len(figures) == 3 else (figures[0], math.nan, math.nan)
    return MetricEstimate(value=_finite(value), low=_finite(low), high=_finite(high))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class WayRow(Record):
    """How well one way tells liked from disliked interactions."""

    way: str
    tuned: ModelVariant | None
    """None for a classical reference."""
    demos: int | None
    """Demonstrations in the prompt; none for a reference."""
    auc: MetricEstimate
    uauc: MetricEstimate
    """Mean of per-user AUC over the users with both answers (`Evaluation.both_answers`)."""


class DifferenceRow(Record):
    """One figure minus another on the same interactions, with an interval from the same draws of users."""

    name: str
    measure: Metric
    period: int | None = None
    """Number of the later period, from 1; none over all of them."""
    apart: MetricEstimate


class PeriodRow(Record):
    """One way within one of the later periods of equal numbers of interactions."""

    way: str
    tuned: ModelVariant | None
    demos: int | None
    period: int
    """From 1, in order of time."""
    since: float | None
    until: float | None
    """Timestamps: since <= moment < until; none where the period is open."""
    interactions: int
    users: int
    auc: MetricEstimate


class RankingRow(Record):
    """Mean NDCG@10 of the item really chosen and liked among the candidates."""

    family: Family | None
    """None for a classical reference."""
    way: str
    ndcg: MetricEstimate


class BlendRow(Record):
    """NDCG@10 of a blend with popularity beside the model alone and popularity alone, from the same scores.

    Intervals are over users; differences are paired.
    """

    family: Family
    way: str
    scoring: str = "sum"
    """How a title's tokens become one score."""
    weight: float
    """Of log(1 + likes before the moment of each list); fitted on other lists, or named."""
    lists: int
    model: MetricEstimate
    """The model alone."""
    popularity: MetricEstimate
    """Likes before the moment of each list, alone."""
    blend: MetricEstimate
    over_model: MetricEstimate
    """Blend minus model alone."""
    over_popularity: MetricEstimate
    """Blend minus popularity alone."""


class StepCostRow(Record):
    """A personalisation step held against one full-prompt forward: medians over the steps, with quartiles.

    Demonstrations are the user's latest, or picked anew at every step. The forward is an ordinary call of the same
    model over the prompt and all candidates, one after the other.
    """

    family: Family
    strategy: Strategy = "recent"
    tuned: ModelVariant
    steps: int
    time_ratio: MetricEstimate
    token_ratio: MetricEstimate
    packed_ratio: MetricEstimate
    """Time of a step over that of our own pass from scratch, which runs what candidates share only once."""
    seconds: MetricEstimate
    """Of one step: a new interaction, demonstrations picked, and all candidates ranked again."""


class Evaluation(Record):
    """All figures of one evaluation, and on what they were measured."""

    format: Literal[1] = 1
    dataset_id: str
    dataset_name: str
    model_id: str
    model_name: str
    adapters: dict[str, str]
    """Adapter -> model id of the base model with it."""
    cut: float
    """Timestamp at which the test begins."""
    share: float = 0.8
    """Of all interactions, in order of time, that lie before it."""
    seed: int
    commit: str
    """What made it: a commit of the repository, or the version of the command."""
    created: str
    history: int
    """Most titles in each history."""
    interactions: int
    users: int
    """Whose interactions they are; over data without ratings, whose lists."""
    both_answers: int
    """Users with liked and disliked interactions among them."""
    liked_share: float | None
    """None over data without ratings, where only lists are ranked."""
    ranked: int
    """Cases that were ranked."""
    candidates: int
    """Items in each of them."""
    tokens: int
    """That went through the models, in rounds."""
    seconds: float
    """Of these forward passes."""
    level: float
    """Share of bootstrap draws of users inside an interval."""
    ways: tuple[WayRow, ...] = ()
    differences: tuple[DifferenceRow, ...] = ()
    periods: tuple[PeriodRow, ...] = ()
    ranking: tuple[RankingRow, ...] = ()
    blends: tuple[BlendRow, ...] = ()
    """For each way whose weight of popularity is given."""
    steps: tuple[StepCostRow, ...] = ()
    notices: tuple[str, ...] = ()
    """What a reader should know: which adapter was missing, what each reference saw."""


def read_evaluation(path: Path) -> Evaluation:
    """The evaluation in a file. Raises `DataError` for a missing, overlong or damaged one."""
    expected = "a file that demolens evaluate wrote"
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
    except OSError:
        raise DataError("the evaluation cannot be read", expected=expected, where=path.name) from None
    if len(content) > LONGEST:
        raise DataError(f"more than {LONGEST} bytes", expected=expected, where=path.name)
    try:
        return Evaluation.model_validate_json(content)
    except ValidationError:
        raise DataError("this is no evaluation", expected=expected, where=path.name) from None

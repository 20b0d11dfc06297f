"""The comparison of strategies as a record: accuracy, gain over no demonstrations, and tokens of each arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from core.comparison.arm import Arm
from core.comparison.arm_row import ArmRow, arm_of
from core.comparison.list_outcomes import ListOutcome, ListOutcomes
from core.data.dataset import Dataset
from core.data.item_prior import likes_before, log_popularity
from core.data.records import Case
from core.metrics.binary import LEVEL
from core.metrics.blend import BlendLists
from core.metrics.intervals import Floats
from core.metrics.ranking import expected_ndcg
from core.question.case_spec import Scoring
from core.question.task import Record
from core.tuning.evaluation.blends import WeightOf, blend_row, no_weight
from core.tuning.evaluation.evaluation_rows import measured_over_users
from core.tuning.evaluation.record import BlendRow, MetricEstimate

MOVED = 2
"""Places that the item really chosen must move to count as moved."""


class ArmDifference(Record):
    """NDCG@10 of one row minus that of another on the same lists, paired over users."""

    first: str
    second: str
    scoring: Scoring
    lists: int
    apart: MetricEstimate


class StrategyComparison(Record):
    """Strategies on the same lists of one data set."""

    dataset_id: str
    dataset_name: str
    model_id: str
    model_name: str
    period: str
    """From when the lists are."""
    lists: int
    users: int
    candidates: int
    history: int
    seed: int
    level: float
    """Of the intervals."""
    popularity: MetricEstimate
    """NDCG@10 of the order by likes before the moment."""
    rows: tuple[ArmRow, ...]
    differences: tuple[ArmDifference, ...] = ()
    """The best strategy minus every other one."""
    blends: tuple[BlendRow, ...] = ()
    """Each row with popularity beside it, where a weight is given."""
    tokens: int
    seconds: float
    made_by: str
    created: str
    notices: tuple[str, ...] = ()


def comparison_of(
    outcomes: ListOutcomes,
    arms: Sequence[Arm],
    lists: Sequence[Case],
    *,
    period: str,
    seed: int,
    made_by: str,
    scorings: Sequence[Scoring] = ("sum",),
    notices: Sequence[str] = (),
    weight_of: WeightOf = no_weight,
) -> StrategyComparison:
    """All figures of arms that are measured on all these lists; those of blends where popularity has a weight."""
    rows = tuple(row for arm in arms for row in arm_rows(outcomes, arm, lists, seed=seed, scorings=scorings))
    model = outcomes.models[arms[0].adapter]
    return StrategyComparison(
        dataset_id=outcomes.dataset.dataset_id,
        dataset_name=outcomes.dataset.name,
        model_id=model.model_id,
        model_name=model.name,
        period=period,
        lists=len(lists),
        users=len({case.user_id for case in lists}),
        candidates=max(len(case.candidates) for case in lists),
        history=outcomes.history,
        seed=seed,
        level=LEVEL,
        popularity=measured_over_users(popularity(outcomes.dataset, lists), _users(lists), seed=seed),
        rows=rows,
        differences=tuple(differences(outcomes, rows, lists, seed=seed)),
        blends=tuple(_blends(outcomes, rows, lists, weight_of, seed)),
        tokens=outcomes.tokens,
        seconds=outcomes.seconds,
        made_by=made_by,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notices=(*outcomes.dataset.notices, *notices),
    )


def blend_lists(outcomes: ListOutcomes, arm: Arm, scoring: Scoring, lists: Sequence[Case]) -> BlendLists:
    """The scores of an arm that are there, with the popularity of each candidate before each list's moment."""
    return BlendLists(
        tuple(np.array(outcomes.by_arm[arm][case].scores[scoring]) for case in lists),
        tuple(log_popularity(outcomes.dataset, case) for case in lists),
        tuple(case.candidates.index(str(case.target)) for case in lists),
        tuple(case.user_id for case in lists),
    )


def _blends(
    outcomes: ListOutcomes, rows: Sequence[ArmRow], lists: Sequence[Case], weight_of: WeightOf, seed: int
) -> Iterator[BlendRow]:
    """A row for each arm and scoring whose weight of popularity is above 0."""
    for row in rows:
        if weight := weight_of(row.adapter, row.family, row.scoring):
            numbers = blend_lists(outcomes, arm_of(row), row.scoring, lists)
            yield blend_row(numbers, weight, family=row.family, way=row.name, scoring=row.scoring, seed=seed)


def arm_rows(
    outcomes: ListOutcomes, arm: Arm, lists: Sequence[Case], *, seed: int, scorings: Sequence[Scoring]
) -> Iterator[ArmRow]:
    """A row for each scoring that the arm has."""
    for scoring in (name for name in scorings if name in arm.scorings):
        yield _row(outcomes, arm, scoring, lists, seed)


def _row(outcomes: ListOutcomes, arm: Arm, scoring: Scoring, lists: Sequence[Case], seed: int) -> ArmRow:
    users = _users(lists)
    ndcg = ndcg_of(outcomes, arm, scoring, lists)
    gain = ndcg - ndcg_of(outcomes, arm.bare, scoring, lists)
    seen = outcomes.shows_target(arm, lists)
    places, before = (outcomes.column(each, lists, lambda row: row.rank[scoring]) for each in (arm, arm.bare))
    moved = (np.abs(places - before) >= MOVED).astype(np.float64)
    return ArmRow(
        **arm.model_dump(),
        scoring=scoring,
        lists=len(lists),
        ndcg=measured_over_users(ndcg, users, seed=seed),
        gain=measured_over_users(gain, users, seed=seed),
        shows_target=float(seen.mean()),
        gain_where_shown=measured_over_users(
            gain[seen], [u for u, yes in zip(users, seen, strict=True) if yes], seed=seed
        ),
        gain_where_not=measured_over_users(
            gain[~seen], [u for u, yes in zip(users, seen, strict=True) if not yes], seed=seed
        ),
        moved=measured_over_users(moved, users, seed=seed),
        demonstrations=float(outcomes.column(arm, lists, lambda row: row.demos).mean()),
        tokens=float(outcomes.column(arm, lists, lambda row: row.tokens).mean()),
    )


def differences(
    outcomes: ListOutcomes, rows: Sequence[ArmRow], lists: Sequence[Case], *, seed: int
) -> Iterator[ArmDifference]:
    """The row with the highest NDCG@10 minus every other of its scoring; nothing for a single row."""
    best = max(rows, key=lambda row: row.ndcg.value or 0.0)
    first = ndcg_of(outcomes, arm_of(best), best.scoring, lists)
    for row in rows:
        if row is not best and row.scoring == best.scoring:
            apart = first - ndcg_of(outcomes, arm_of(row), row.scoring, lists)
            yield ArmDifference(
                first=best.name,
                second=row.name,
                scoring=row.scoring,
                lists=len(lists),
                apart=measured_over_users(apart, _users(lists), seed=seed),
            )


def ndcg_of(outcomes: ListOutcomes, arm: Arm, scoring: Scoring, lists: Sequence[Case]) -> Floats:
    """NDCG@10 of each list under an arm; shape (lists,)."""
    value: Callable[[ListOutcome], float] = lambda row: row.ndcg[scoring]  # noqa: E731
    return outcomes.column(arm, lists, value)


def popularity(dataset: Dataset, lists: Sequence[Case]) -> Floats:
    """NDCG@10 of the candidates in the order of their likes before each case's moment; shape (lists,)."""
    return np.array([_by_likes(dataset, case) for case in lists], dtype=np.float64)


def _by_likes(dataset: Dataset, case: Case) -> float:
    counts = likes_before(dataset, case).astype(np.float64)
    return expected_ndcg(counts, case.candidates.index(str(case.target)))


def _users(lists: Sequence[Case]) -> list[str]:
    return [case.user_id for case in lists]

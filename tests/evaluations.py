"""An evaluation with known figures, for what reads and shows it."""

from __future__ import annotations

from core.tuning.evaluation.record import DifferenceRow, Evaluation, MetricEstimate, PeriodRow, RankingRow, WayRow
from core.tuning.evaluation.ways import ANSWERING, RANKING, RECICL, TALLREC, TALLREC_BARE, minus

AUC = {"base": 0.5, "tallrec": 0.6, "recicl": 0.61}


def around(value):
    return MetricEstimate(value=value, low=round(value - 0.03, 4), high=round(value + 0.03, 4))


def auc_of(way):
    """The base model falls by demonstrations, the in-context tuned one gains 0.02 by each."""
    return round(AUC[way.tuned] + way.demos * {"base": -0.01, "tallrec": 0.0, "recicl": 0.02}[way.tuned], 4)


def made(ways=ANSWERING, references=(("popularity", 0.57), ("item mean", 0.63)), periods=2):
    rows = [
        WayRow(way=way.name, tuned=way.tuned, demos=way.demos, auc=around(auc_of(way)), uauc=around(0.55))
        for way in ways
    ]
    rows += [
        WayRow(way=name, tuned=None, demos=None, auc=around(value), uauc=MetricEstimate(value=None))
        for name, value in references
    ]
    later = [
        PeriodRow(
            way=row.way,
            tuned=row.tuned,
            demos=row.demos,
            period=number,
            since=100.0 * number,
            until=None if number == periods else 100.0 * (number + 1),
            interactions=250,
            users=40,
            auc=around(row.auc.value - 0.01 * number),
        )
        for number in range(1, periods + 1)
        for row in rows
    ]
    names = {row.way for row in rows}
    apart = [
        DifferenceRow(
            name=minus(RECICL, other),
            measure="auc",
            period=number,
            apart=MetricEstimate(value=0.05 if number == 1 else -0.02, low=-0.01, high=0.09),
        )
        for other in (TALLREC_BARE, TALLREC)
        for number in range(1, periods + 1)
        if {RECICL.name, other.name} <= names
    ]
    return Evaluation(
        dataset_id="d",
        dataset_name="things",
        model_id="m",
        model_name="tiny",
        adapters={"recicl": "a", "tallrec": "b"},
        cut=100.0,
        seed=0,
        commit="c",
        created="2026-01-01T00:00:00+00:00",
        history=3,
        interactions=1000,
        users=120,
        both_answers=70,
        liked_share=0.55,
        ranked=200,
        candidates=20,
        tokens=1_000_000,
        seconds=2_000.0,
        level=0.95,
        ways=tuple(rows),
        differences=tuple(apart),
        periods=tuple(later),
    )


def ranked():
    """The same with lists: `next_item` is 0.1 above `yes_no`, demonstrations gain 0.01 each, popularity has 0.6."""
    start = {"base": 0.2, "recicl": 0.4}
    rows = [
        RankingRow(family=family, way=way.name, ndcg=around(round(start[way.tuned] + more + 0.01 * way.demos, 4)))
        for family, more in (("yes_no", 0.0), ("next_item", 0.1))
        for way in RANKING
    ]
    rows.append(RankingRow(family=None, way="popularity", ndcg=around(0.6)))
    return made().model_copy(update={"ranking": tuple(rows)})

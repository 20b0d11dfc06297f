"""Which figures of an evaluation were promised, and are they reached?"""

from __future__ import annotations

import math

from bench.results_table import Row, row
from core.tuning.evaluation.record import DifferenceRow, Evaluation, MetricEstimate, RankingRow
from core.tuning.evaluation.reference_scores import FRESH_HISTORY
from core.tuning.evaluation.ways import GAINS, RECICL, RECICL_BARE, TALLREC_BARE, minus

LEAST_AUC = ">= 0.7"
LEAST_NDCG = ">= 0.45"
BETTER = "> 0"
MOST_STEP = "<= 0.6"
SURE = "> 0 with an interval above zero"
_OWN_BARE = minus(RECICL, RECICL_BARE)


def rows_of(evaluation: Evaluation) -> list[Row]:
    """All figures as rows; what was promised is held against its target."""
    return [
        *_way_rows(evaluation),
        *(_difference(one, evaluation) for one in evaluation.differences if one.measure != "ndcg"),
        *_period_rows(evaluation),
        *_ranking_rows(evaluation),
        *_step_rows(evaluation),
    ]


def _way_rows(evaluation: Evaluation) -> list[Row]:
    where = f"{evaluation.interactions} test interactions"
    users = f"{evaluation.both_answers} users with both answers"
    rows = []
    for one in evaluation.ways:
        target = LEAST_AUC if one.way == RECICL.name else None
        rows.append(row(f"AUC, {one.way} ({where})", figures_of(one.auc), target))
    return rows + [row(f"UAUC, {one.way} ({users})", figures_of(one.uauc)) for one in evaluation.ways]


def _difference(one: DifferenceRow, evaluation: Evaluation) -> Row:
    """A paired difference; some of those in AUC were promised."""
    where = "" if one.period is None else f", later period {one.period}"
    label, figures = f"{one.measure.upper()}, {one.name}{where}", figures_of(one.apart)
    if one.measure == "auc" and one.name == GAINS:
        return row(label, figures, SURE, met=figures[1] > 0)
    if one.measure == "auc" and one.name in _promised(evaluation):
        return row(label, figures, BETTER)
    return row(label, figures)


def _promised(evaluation: Evaluation) -> set[str]:
    """Differences promised to be above zero: from references that saw nothing of the test, and from plain tuning."""
    blind = [one.way for one in evaluation.ways if one.tuned is None and not one.way.endswith(FRESH_HISTORY)]
    return {minus(RECICL, TALLREC_BARE), *(f"{RECICL.name} minus {name}" for name in blind)}


def _period_rows(evaluation: Evaluation) -> list[Row]:
    return [
        row(f"AUC in later period {one.period}, {one.way} ({one.interactions} interactions)", figures_of(one.auc))
        for one in evaluation.periods
    ]


def _ranking_rows(evaluation: Evaluation) -> list[Row]:
    """The table of lists; the best family with demonstrations was promised a mean, and more than without them."""
    lists = f"({evaluation.ranked} lists of {evaluation.candidates})"
    apart = {one.name: figures_of(one.apart) for one in evaluation.differences if one.measure == "ndcg"}
    shown = [one for one in evaluation.ranking if one.way == RECICL.name]
    best = max(shown, key=lambda one: one.ndcg.value or 0.0, default=None)
    rows = [row(f"NDCG@10, {_family(one)}{one.way} {lists}", figures_of(one.ndcg)) for one in evaluation.ranking]
    rows += [row(f"NDCG@10, {name}", figures) for name, figures in apart.items()]
    if best is not None:
        label = f"NDCG@10, the better family with demonstrations: {_family(best)}{best.way}"
        rows.append(row(label, figures_of(best.ndcg), LEAST_NDCG))
        bare = apart.get(f"{best.family}, {_OWN_BARE}")
        if bare is not None:
            rows.append(row(f"{label}, minus its own zero-shot", bare, BETTER))
    return rows


def _family(one: RankingRow) -> str:
    return "" if one.family is None else f"{one.family}, "


def _step_rows(evaluation: Evaluation) -> list[Row]:
    rows = []
    for one in evaluation.steps:
        label = f"one personalisation step, {one.family} ({one.steps} steps)"
        forward = "one forward over its whole prompt with all candidates"
        rows += [
            row(
                f"{label}, time / {forward}",
                figures_of(one.time_ratio),
                MOST_STEP,
            ),
            row(f"{label}, tokens / those of that forward", figures_of(one.token_ratio)),
            row(
                f"{label}, time / our own pass from scratch, which runs shared words once", figures_of(one.packed_ratio)
            ),
            row(f"{label}, seconds", figures_of(one.seconds)),
        ]
    return rows


def figures_of(one: MetricEstimate) -> tuple[float, float, float]:
    """Value and ends of the interval; nan for what is missing."""
    value, low, high = (math.nan if end is None else end for end in (one.value, one.low, one.high))
    return value, low, high

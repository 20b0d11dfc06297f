"""The figures of an evaluation as rows, those that were promised with their targets."""

from __future__ import annotations

from collections.abc import Iterator

from bench.blended_rows import blended_rows
from bench.constants import ABOVE_ZERO, SURELY_ABOVE_ZERO
from bench.results_table import ResultRow, as_row
from bench.spread import figures_of
from core.tuning.evaluation.record import DifferenceRow, Evaluation, PeriodRow, RankingRow, StepCostRow
from core.tuning.evaluation.reference_scores import FRESH_HISTORY
from core.tuning.evaluation.ways import GAINS, RECICL, RECICL_BARE, TALLREC_BARE, minus

LEAST_AUC = ">= 0.7"
LEAST_NDCG = ">= 0.45"
MOST_STEP = "<= 0.6"
STEP_RATIOS = (
    ("time / one forward over its whole prompt with all candidates", "time_ratio", MOST_STEP),
    ("tokens / those of that forward", "token_ratio", None),
    ("time / our own pass from scratch, which runs shared words once", "packed_ratio", None),
    ("seconds", "seconds", None),
)
"""Label, field of a `StepCostRow`, and target of each cost of a personalisation step."""
_FROM_BARE = minus(RECICL, RECICL_BARE)


def rows_of(evaluation: Evaluation) -> list[ResultRow]:
    """All figures as rows; what was promised is compared with its target."""
    return [
        *_way_rows(evaluation),
        *(_difference(row, evaluation) for row in evaluation.differences if row.measure != "ndcg"),
        *map(_period_row, evaluation.periods),
        *_ranking_rows(evaluation),
        *_blends(evaluation),
        *(
            as_row(
                f"one personalisation step, {_played(step)} ({step.steps} steps), {label}",
                figures_of(getattr(step, name)),
                target if step.strategy == "recent" else None,
            )
            for step in evaluation.steps
            for label, name, target in STEP_RATIOS
        ),
    ]


def _way_rows(evaluation: Evaluation) -> Iterator[ResultRow]:
    for way in evaluation.ways:
        target = LEAST_AUC if way.way == RECICL.name else None
        yield as_row(f"AUC, {way.way} ({evaluation.interactions} test interactions)", figures_of(way.auc), target)
    for way in evaluation.ways:
        yield as_row(f"UAUC, {way.way} ({evaluation.both_answers} users with both answers)", figures_of(way.uauc))


def _difference(row: DifferenceRow, evaluation: Evaluation) -> ResultRow:
    """A paired difference; some of those in AUC were promised."""
    period = "" if row.period is None else f", later period {row.period}"
    label, figures = f"{row.measure.upper()}, {row.name}{period}", figures_of(row.apart)
    if row.measure == "auc" and row.name == GAINS:
        return as_row(label, figures, SURELY_ABOVE_ZERO, met=figures[1] > 0)
    promised = row.measure == "auc" and row.name in _promised(evaluation)
    return as_row(label, figures, ABOVE_ZERO if promised else None)


def _promised(evaluation: Evaluation) -> set[str]:
    """Differences promised to be above zero: from references that saw nothing of the test, and from plain tuning."""
    blind = [row.way for row in evaluation.ways if row.tuned is None and not row.way.endswith(FRESH_HISTORY)]
    return {minus(RECICL, TALLREC_BARE), *(f"{RECICL.name} minus {name}" for name in blind)}


def _period_row(row: PeriodRow) -> ResultRow:
    label = f"AUC in later period {row.period}, {row.way} ({row.interactions} interactions)"
    return as_row(label, figures_of(row.auc))


def _ranking_rows(evaluation: Evaluation) -> list[ResultRow]:
    """The table of lists; the best family with demonstrations was promised a mean, and more than without them."""
    lists = f"({evaluation.ranked} lists of {evaluation.candidates})"
    apart = {row.name: figures_of(row.apart) for row in evaluation.differences if row.measure == "ndcg"}
    with_demos = [row for row in evaluation.ranking if row.way == RECICL.name]
    best = max(with_demos, key=lambda row: row.ndcg.value or 0.0, default=None)
    rows = [as_row(f"NDCG@10, {_label(row)} {lists}", figures_of(row.ndcg)) for row in evaluation.ranking]
    rows += [as_row(f"NDCG@10, {name}", figures) for name, figures in apart.items()]
    if best is not None:
        label = f"NDCG@10, the better family with demonstrations: {_label(best)}"
        rows.append(as_row(label, figures_of(best.ndcg), LEAST_NDCG))
        from_bare = apart.get(f"{best.family}, {_FROM_BARE}")
        if from_bare is not None:
            rows.append(as_row(f"{label}, minus its own zero-shot", from_bare, ABOVE_ZERO))
    return rows


def _blends(evaluation: Evaluation) -> Iterator[ResultRow]:
    """Popularity at each moment, and what it adds to each way whose weight is given."""
    for row in evaluation.blends[:1]:
        yield as_row(f"NDCG@10, popularity before each moment ({row.lists} lists)", figures_of(row.popularity))
    for row in evaluation.blends:
        yield from blended_rows(row)


def _played(step: StepCostRow) -> str:
    """The family, and the strategy where it is not that of which a time was promised: the user's own latest."""
    return step.family if step.strategy == "recent" else f"{step.family}, {step.strategy}"


def _label(row: RankingRow) -> str:
    return row.way if row.family is None else f"{row.family}, {row.way}"

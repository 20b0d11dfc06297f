"""A comparison of strategies, and the choice of a data set's demonstrations, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.cli.output import aligned
from core.words import NOTHING, figure
from core.work.log import escaped

if TYPE_CHECKING:
    from core.comparison.arm_row import ArmRow
    from core.comparison.comparison import StrategyComparison
    from core.comparison.kept_choice import Choice
    from core.tuning.evaluation.record import BlendRow, MetricEstimate


def comparison_lines(comparison: StrategyComparison) -> Iterator[str]:
    """What was compared on what, a line for each row, the differences from the best, and the notices."""
    yield (
        f"{escaped(comparison.dataset_name)}: {comparison.lists} lists of {comparison.candidates} of"
        f" {comparison.users} users, {comparison.period}; NDCG@10 with intervals of {100 * comparison.level:.0f} % over"
        f" users; order by popularity {estimate(comparison.popularity)}"
    )
    yield ""
    yield aligned(rows_table(comparison.rows))
    if comparison.differences:
        yield ""
        lines = [("NDCG@10 of the best minus another", "value")]
        lines += [(f"{row.first} minus {row.second}", estimate(row.apart)) for row in comparison.differences]
        yield aligned(lines)
    if comparison.blends:
        yield ""
        yield aligned(blends_table(comparison.blends))
    yield ""
    yield from (escaped(notice) for notice in comparison.notices)


def choice_lines(choice: Choice) -> Iterator[str]:
    """What was chosen, and everything that took part, the best first."""
    yield escaped(choice.sentence)
    yield ""
    yield aligned(rows_table(sorted(choice.rows, key=lambda row: -(row.ndcg.value or 0.0))))


def blend_lines(choice: Choice) -> Iterator[str]:
    """The weight that is kept with a choice, the figures that it rests on, and other weights."""
    fit = choice.blend
    assert fit is not None
    yield escaped(choice.sentence)
    yield ""
    figures = [
        ("model alone", fit.model),
        ("popularity alone, likes before each moment", fit.popularity),
        ("blend, each list with the weight of other users", fit.blend),
        ("blend minus model alone", fit.over_model),
        ("blend minus popularity alone", fit.over_popularity),
    ]
    head = f"{fit.lists} lists of {fit.users} users"
    yield aligned([(head, "NDCG@10"), *((name, estimate(value)) for name, value in figures)])
    yield ""
    yield f"Fitted weight {fit.fitted:g} (conditional logit), kept {fit.weight:g}"
    grid = [(f"{point.weight:g}", figure(point.ndcg, 3)) for point in fit.grid]
    yield aligned([("weight on all lists", "NDCG@10"), *grid])


def blends_table(rows: Sequence[BlendRow]) -> list[tuple[str, ...]]:
    """A head and a line for each blend: the weight, NDCG@10 of model, popularity and blend, and what it gains."""
    head = (
        "blend with popularity",
        "weight",
        "model alone",
        "popularity alone",
        "blend",
        "over model",
        "over popularity",
    )
    figures = ("model", "popularity", "blend", "over_model", "over_popularity")
    return [
        head,
        *(
            (f"{row.family}, {row.way}", f"{row.weight:g}", *(estimate(getattr(row, name)) for name in figures))
            for row in rows
        ),
    ]


def rows_table(rows: Sequence[ArmRow]) -> list[tuple[str, ...]]:
    """A head and a line for each row."""
    head = ("demonstrations", "scoring", "lists", "NDCG@10", "gain over none")
    more = ("target shown", "gain there", "gain elsewhere", "moved 2 places", "tokens")
    return [(*head, *more), *map(_line, rows)]


def _line(row: ArmRow) -> tuple[str, ...]:
    plain = (row.name, row.scoring, str(row.lists), estimate(row.ndcg))
    if not row.demos:
        return (*plain, *[NOTHING] * 5, f"{row.tokens:.0f}")
    gains = (row.gain_where_shown, row.gain_where_not)
    moved = figure(row.moved.value)
    shown = f"{100 * row.shows_target:.0f} %"
    return (*plain, estimate(row.gain), shown, *map(estimate, gains), moved, f"{row.tokens:.0f}")


def estimate(value: MetricEstimate) -> str:
    """`0.512 [0.480, 0.545]`."""
    if value.value is None:
        return NOTHING
    ends = "" if value.low is None else f" [{figure(value.low, 3)}, {figure(value.high, 3)}]"
    return figure(value.value, 3) + ends

"""AUC of each way of recommending in later periods, with the weights left as they are."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.charts.ability import (
    AUC,
    DEMOS,
    WAY,
    auc_figure,
    best_reference,
    line,
    shifts,
    stroke,
    value_columns,
    value_text,
)
from app.charts.figure_cache import cached_figure
from app.charts.frame import hover, ticks
from app.charts.user_stream import when
from app.theme import Palette, interval, signed
from core.tuning.evaluation.record import DifferenceRow, Evaluation, PeriodRow
from core.tuning.evaluation.ways import (
    BASE,
    BASE_BARE,
    RECICL,
    TALLREC,
    TALLREC_BARE,
    VARIANT_LABELS,
    AnsweringWay,
    minus,
)

DRAWN = (RECICL, TALLREC, TALLREC_BARE, BASE, BASE_BARE)
"""Ways that are drawn; the table holds all of them."""
APART = 0.07
"""Shift of one way's marks against the next one's, in periods."""
PERIOD = "period"


@cached_figure
def figure(evaluation: Evaluation, colours: Palette) -> go.Figure:
    """AUC with its interval in each later period: filled marks with demonstrations, open ones without."""
    best = best_reference(evaluation)
    names = [*(way.name for way in DRAWN), *([] if best is None else [best.way])]
    ways = [rows for name in names if (rows := _rows(evaluation, name))]
    periods = sorted({row.period for row in evaluation.periods})
    return auc_figure(
        [_line(rows, shift, colours) for rows, shift in zip(ways, shifts(len(ways), APART), strict=True)],
        colours,
        xaxis={
            **ticks(periods, [str(period) for period in periods]),
            "title": {"text": "later period, in order of time"},
            "range": [min(periods, default=1) - 0.5, max(periods, default=1) + 0.5],
            "zeroline": False,
        },
    )


def _line(rows: Sequence[PeriodRow], shift: float, colours: Palette) -> go.Scatter:
    return line(
        _short(rows[0]),
        [row.period + shift for row in rows],
        [row.auc for row in rows],
        stroke(rows[0].tuned, colours),
        open_marks=rows[0].demos == 0,
        customdata=[row.period for row in rows],
        **hover(_hover(row) for row in rows),
    )


def _short(row: PeriodRow) -> str:
    """The way's name where room is short: `RecICL, 4 demos`."""
    return row.way if row.tuned is None else f"{VARIANT_LABELS[row.tuned]}, {row.demos} demos"


def _hover(row: PeriodRow) -> str:
    where = f"period {row.period}: {row.interactions} interactions of {row.users} users"
    return f"{row.way}<br>AUC {value_text(row.auc)}<br>{where}"


def alt(evaluation: Evaluation) -> str:
    """In how many later periods the in-context tuned model is above the plainly tuned one, and by how much."""
    if not evaluation.periods:
        return "No later period is measured yet."
    parts = [text for other in (TALLREC_BARE, TALLREC) if (text := _above(evaluation, other))]
    if not parts:
        count = len({row.period for row in evaluation.periods})
        return f"AUC in {count} later periods; RecICL and the TALLRec-style model were not both measured."
    return f"{RECICL.name}: {'; '.join(parts)}."


def _above(evaluation: Evaluation, other: AnsweringWay) -> str:
    """In how many periods the in-context tuned model is above another way; empty where they were not compared."""
    name = minus(RECICL, other)
    differences = [row for row in evaluation.differences if (row.name, row.measure) == (name, "auc")]
    rows = sorted((row for row in differences if row.period is not None), key=lambda row: row.period or 0)
    values = [row.apart.value for row in rows if row.apart.value is not None]
    if not values:
        return ""
    above = sum(value > 0 for value in values)
    each = ", ".join(_difference(row) for row in rows if row.apart.value is not None)
    return f"above {other.name} in {above} of {len(values)} later periods, AUC difference {each}"


def _difference(row: DifferenceRow) -> str:
    between = interval(row.apart.low, row.apart.high)
    return f"{signed(row.apart.value)}{f' ({between})' if between else ''}"


def table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per way and period: AUC with the ends of its interval, and on how many interactions and users."""
    rows = evaluation.periods
    return pd.DataFrame(
        {
            WAY: [row.way for row in rows],
            DEMOS: pd.array([row.demos for row in rows], dtype="Int64"),
            PERIOD: [row.period for row in rows],
            "since_utc": [when(row.since) for row in rows],
            "until_utc": [when(row.until) for row in rows],
            "interactions": [row.interactions for row in rows],
            "users": [row.users for row in rows],
            **value_columns(AUC, [row.auc for row in rows]),
        }
    )


def _rows(evaluation: Evaluation, way: str) -> Sequence[PeriodRow]:
    return sorted((row for row in evaluation.periods if row.way == way), key=lambda row: row.period)

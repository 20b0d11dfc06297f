"""How well each quality score predicts what a demonstration is really worth."""

from __future__ import annotations

from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import framed, hover, row_axis, ticks, upright, whiskers
from app.text import counted
from app.theme import Palette, between, interval, number, signed
from core import columns
from core.analysis.quality.score_rows import SCORES, TRUTHS, Truth
from core.analysis.quality.utility_task import UtilityReport, UtilityRow, verdict

ROW = 30
"""Pixels of one score's row."""
LINE = 24
"""Most characters in a line of the axis title, so that it stands below a narrow plot."""


@cached_figure
def figure(report: UtilityReport, colours: Palette, *, truth: Truth = "removal_score") -> go.Figure:
    """A dot and its interval per score: mean rank correlation with one truth; floors are hollow, below the rest.

    A filled dot predicts; an open circle does not; a diamond is a floor, and the dotted line the strongest floor.
    """
    rows = _rows(report, truth)
    groups = {
        "predicts": ("circle", [row for row in rows if row.predicts]),
        "predicts nothing": ("circle-open", [row for row in rows if not row.predicts and not row.is_floor]),
        "floor": ("diamond-open", [row for row in rows if row.is_floor]),
    }
    floor = next((row.floor for row in rows if row.floor is not None), None)
    lines = [] if floor is None else [upright(floor, colours.muted, width=1.2, dash="dot")]
    title = "<br>".join(wrap(f"mean rank correlation with the {TRUTHS[truth]}", LINE))
    texts = [signed(-1, 0), signed(-0.5, 1), "0", signed(0.5, 1), signed(1, 0)]
    return framed(
        [_dots(name, symbol, chosen, rows, colours) for name, (symbol, chosen) in groups.items()],
        colours,
        height=ROW * max(len(rows), 1) + 100,
        shapes=[upright(0, colours.neutral_mark), *lines],
        xaxis={
            **ticks([-1, -0.5, 0, 0.5, 1], texts),
            "range": [-1.05, 1.05],
            "title": {"text": title},
            "zeroline": False,
        },
        yaxis=row_axis([SCORES[row.score] for row in rows], colours),
    )


def _rows(report: UtilityReport, truth: Truth) -> list[UtilityRow]:
    """The rows of one truth in the order of `SCORES`: floors come last."""
    return sorted(report.of(truth), key=lambda row: list(SCORES).index(row.score))


def _dots(name: str, symbol: str, chosen: list[UtilityRow], rows: list[UtilityRow], colours: Palette) -> go.Scatter:
    measured = [row for row in chosen if row.mean is not None]
    means = [row.mean or 0.0 for row in measured]
    ink = colours.neutral_mark if name == "floor" else colours.ink
    return go.Scatter(
        name=name,
        mode="markers",
        x=means,
        y=[rows.index(row) for row in measured],
        customdata=[row.score for row in measured],
        marker={"symbol": symbol, "size": 11, "color": ink, "line": {"width": 2, "color": ink}},
        error_x=whiskers(
            means, [row.low for row in measured], [row.high for row in measured], ink, thickness=1.4, width=5
        ),
        **hover(_hover(row) for row in measured),
    )


def _hover(row: UtilityRow) -> str:
    left = f"<br>{row.left_out} left out" if row.left_out else ""
    ends = interval(row.low, row.high, number)
    return f"{SCORES[row.score]}: {number(row.mean)}{f', {ends}' if ends else ''}<br>{row.cases} cases{left}"


def alt(report: UtilityReport, truth: Truth = "removal_score") -> str:
    """Which scores predict this truth and which do not, with their numbers."""
    rows = [row for row in _rows(report, truth) if not row.is_floor]
    if not rows:
        return f"No score is measured against the {TRUTHS[truth]} yet."
    predictors = [row for row in rows if row.predicts]
    cases = counted(report.cases, "case")
    if not predictors:
        return f"On {cases} no score predicts the {TRUTHS[truth]}."
    best = sorted(predictors, key=lambda row: -(row.mean or 0.0))
    scores = "; ".join(f"{SCORES[row.score]} {between(row.mean, row.low, row.high)}" for row in best)
    rest = [SCORES[row.score] for row in rows if not row.predicts]
    nothing = f" Not: {'; '.join(rest)}." if rest else ""
    return f"On {cases} the {TRUTHS[truth]} is predicted by {scores}.{nothing}"


def table(report: UtilityReport, truth: Truth | None = None) -> pd.DataFrame:
    """One row per score and truth (all truths where none is named), with the verdict in words."""
    truths = list(TRUTHS) if truth is None else [truth]
    rows = [row for name in truths for row in _rows(report, name)]
    return pd.DataFrame(
        {
            "quality_score": [SCORES[row.score] for row in rows],
            "true_utility": [TRUTHS[row.truth] for row in rows],
            "mean_rank_correlation": [row.mean for row in rows],
            columns.LOW: [row.low for row in rows],
            columns.HIGH: [row.high for row in rows],
            "pooled_rank_correlation": [row.pooled for row in rows],
            "strongest_floor": [row.floor for row in rows],
            "cases": [row.cases for row in rows],
            "cases_left_out": [row.left_out for row in rows],
            "verdict": [verdict(row) for row in rows],
        }
    )

"""Which quality scores predict what a demonstration is really worth?"""

from __future__ import annotations

from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import whiskers
from app.theme import Palette, interval, number, signed, template
from core import columns
from core.analysis.quality.utility_task import SCORES, TRUTHS, Truth, UtilityReport, UtilityRow, verdict

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
    figure = go.Figure(layout={"template": template(colours), "height": ROW * max(len(rows), 1) + 100})
    for name, symbol, chosen in (
        ("predicts", "circle", [row for row in rows if row.predicts]),
        ("predicts nothing", "circle-open", [row for row in rows if not row.predicts and not row.is_floor]),
        ("floor", "diamond-open", [row for row in rows if row.is_floor]),
    ):
        figure.add_trace(_dots(name, symbol, chosen, rows, colours))
    floor = next((row.floor for row in rows if row.floor is not None), None)
    figure.add_vline(x=0, line={"color": colours.neutral_mark, "width": 1})
    if floor is not None:
        figure.add_vline(x=floor, line={"color": colours.muted, "width": 1.2, "dash": "dot"})
    figure.update_xaxes(
        title_text="<br>".join(wrap(f"mean rank correlation with the {TRUTHS[truth]}", LINE)),
        range=[-1.05, 1.05],
        tickvals=[-1, -0.5, 0, 0.5, 1],
        ticktext=[signed(-1, 0), signed(-0.5, 1), "0", signed(0.5, 1), signed(1, 0)],
        zeroline=False,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(rows))),
        ticktext=[SCORES[row.score] for row in rows],
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 12.5},
    )
    return figure


def _rows(report: UtilityReport, truth: Truth) -> list[UtilityRow]:
    """The rows of one truth in the order of `SCORES`: floors come last."""
    return sorted(report.of(truth), key=lambda row: list(SCORES).index(row.score))


def _dots(name: str, symbol: str, chosen: list[UtilityRow], rows: list[UtilityRow], colours: Palette) -> go.Scatter:
    shown = [row for row in chosen if row.mean is not None]
    means = [row.mean or 0.0 for row in shown]
    ink = colours.neutral_mark if name == "floor" else colours.ink
    return go.Scatter(
        name=name,
        mode="markers",
        x=means,
        y=[rows.index(row) for row in shown],
        customdata=[row.score for row in shown],
        marker={"symbol": symbol, "size": 11, "color": ink, "line": {"width": 2, "color": ink}},
        error_x=whiskers(means, [row.low for row in shown], [row.high for row in shown], ink, thickness=1.4, width=5),
        hovertext=[_hover(row) for row in shown],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _ends(row: UtilityRow, form: str) -> str:
    between = interval(row.low, row.high, number)
    return form.format(between) if between else ""


def _hover(row: UtilityRow) -> str:
    left = f"<br>{row.left_out} left out" if row.left_out else ""
    return f"{SCORES[row.score]}: {number(row.mean)}{_ends(row, ', {}')}<br>{row.cases} cases{left}"


def alt(report: UtilityReport, truth: Truth = "removal_score") -> str:
    """Which scores predict this truth and which do not, with their numbers."""
    rows = [row for row in _rows(report, truth) if not row.is_floor]
    if not rows:
        return f"No score is measured against the {TRUTHS[truth]} yet."
    found = [row for row in rows if row.predicts]
    cases = f"{report.cases} case{'' if report.cases == 1 else 's'}"
    if not found:
        return f"On {cases} no score predicts the {TRUTHS[truth]}."
    best = sorted(found, key=lambda row: -(row.mean or 0.0))
    said = "; ".join(f"{SCORES[row.score]} {number(row.mean)}{_ends(row, ' ({})')}" for row in best)
    rest = [SCORES[row.score] for row in rows if not row.predicts]
    nothing = f" Not: {'; '.join(rest)}." if rest else ""
    return f"On {cases} the {TRUTHS[truth]} is predicted by {said}.{nothing}"


def table(report: UtilityReport, truth: Truth | None = None) -> pd.DataFrame:
    """One row per score and truth (all truths where none is named), with the verdict in words."""
    truths = list(TRUTHS) if truth is None else [truth]
    rows = [row for one in truths for row in _rows(report, one)]
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

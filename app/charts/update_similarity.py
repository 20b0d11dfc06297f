"""In which layers is the in-context update like real fine-tuning, and is it more so than its controls?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts.figure_cache import cached_figure
from app.theme import Palette, number, signed, symmetric, template
from core import columns
from core.analysis.dual.updates_task import LABELS, SUBJECTS, Measure, Subject, UpdateRow, UpdatesReport

HEIGHT = 520
MARKS: dict[Subject, tuple[str, str]] = {
    "model": ("solid", "circle"),
    "random_weights": ("dash", "square"),
    "shuffled": ("dot", "diamond"),
}
"""Dash and marker of each subject, so that nothing rests on colour."""
BASELINES: dict[Measure, str] = {
    "sim_aou": "random change",
    "sim_am": "zero-shot",
    "sim_am_change": "random change",
    "attention_rank": "before fine-tuning",
}


@cached_figure
def figure(report: UpdatesReport, colours: Palette) -> go.Figure:
    """A panel per measure: similarity (-1 to 1) over layers, one line per subject and the model's own baseline.

    Raises `ValueError` for a report without rows.
    """
    _check(report)
    figure = make_subplots(rows=2, cols=2, subplot_titles=list(LABELS.values()), horizontal_spacing=0.09)
    figure.update_layout(
        template=template(colours),
        height=HEIGHT,
        showlegend=True,
        legend={"orientation": "h", "y": -0.14, "x": 0, "font": {"color": colours.ink}},
        margin={"t": 30, "b": 8},
    )
    for place, measure in enumerate(LABELS):
        rows = [row for row in report.rows if row.measure == measure]
        at = {"row": place // 2 + 1, "col": place % 2 + 1}
        for trace in (*(_line(row, colours, legend=place == 0) for row in rows), *_baseline(rows, colours, place == 0)):
            figure.add_trace(trace, **at)
        bound = min(1.1 * symmetric(_values(rows)), 1.05)
        figure.update_yaxes(range=[-bound, bound], **at)
        figure.update_xaxes(title_text="layer, from the first (0) to the last" if place > 1 else None, **at)
    figure.update_annotations(font={"size": 13, "color": colours.ink})
    return figure


def _line(row: UpdateRow, colours: Palette, *, legend: bool) -> go.Scatter:
    dash, symbol = MARKS[row.subject]
    shades = {"model": colours.ink, "random_weights": colours.muted, "shuffled": colours.neutral_mark}
    return go.Scatter(
        name=SUBJECTS[row.subject],
        legendgroup=row.subject,
        showlegend=legend,
        x=list(range(len(row.by_layer))),
        y=list(row.by_layer),
        mode="lines+markers",
        line={"dash": dash, "width": 2.4 if row.subject == "model" else 1.6, "color": shades[row.subject]},
        marker={"symbol": symbol, "size": 7, "color": shades[row.subject]},
        hovertext=[
            f"{LABELS[row.measure]}, {SUBJECTS[row.subject]}<br>layer {layer}: {signed(value, 3)}"
            for layer, value in enumerate(row.by_layer)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _baseline(rows: list[UpdateRow], colours: Palette, legend: bool) -> list[go.Scatter]:
    """The model's baseline as a thin line without marks."""
    return [
        go.Scatter(
            name="the model's baseline",
            legendgroup="baseline",
            showlegend=legend,
            x=list(range(len(row.baseline_by_layer))),
            y=list(row.baseline_by_layer),
            mode="lines",
            line={"dash": "longdashdot", "width": 1, "color": colours.neutral_mark},
            hovertext=[
                f"baseline ({BASELINES[row.measure]})<br>layer {layer}: {signed(value, 3)}"
                for layer, value in enumerate(row.baseline_by_layer)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        for row in rows
        if row.subject == "model"
    ]


def _values(rows: list[UpdateRow]) -> list[float]:
    return [value for row in rows for value in (*row.by_layer, *row.baseline_by_layer) if value is not None]


def _check(report: UpdatesReport) -> None:
    if not report.rows:
        raise ValueError("a chart of similarities needs rows")


def alt(report: UpdatesReport) -> str:
    """The conclusion in words, with the mean of each line."""
    if not report.rows:
        return "No similarities to show."
    means = "; ".join(
        f"{LABELS[row.measure]}, {SUBJECTS[row.subject]}: {number(row.mean, 3)}"
        for row in report.rows
        if row.subject == "model"
    )
    layers = len(report.rows[0].by_layer)
    return f"{len(LABELS)} measures over {layers} layers. {report.conclusion} Means over layers: {means}."


def table(report: UpdatesReport) -> pd.DataFrame:
    """One row per measure, subject and layer; similarity and its baseline, -1 to 1, empty where not defined."""
    cells = [(row, layer) for row in report.rows for layer in range(len(row.by_layer))]
    return pd.DataFrame(
        {
            "measure": [LABELS[row.measure] for row, _ in cells],
            "subject": [SUBJECTS[row.subject] for row, _ in cells],
            columns.LAYER: [layer for _, layer in cells],
            "similarity": [row.by_layer[layer] for row, layer in cells],
            "baseline": [row.baseline_by_layer[layer] for row, layer in cells],
        }
    )


def summary(report: UpdatesReport) -> pd.DataFrame:
    """One row per measure and subject: mean over layers, its range over the repeats, and the baseline's mean."""
    return pd.DataFrame(
        {
            "measure": [LABELS[row.measure] for row in report.rows],
            "subject": [SUBJECTS[row.subject] for row in report.rows],
            "mean": [row.mean for row in report.rows],
            columns.LOW: [row.low for row in report.rows],
            columns.HIGH: [row.high for row in report.rows],
            "baseline": [row.baseline for row in report.rows],
            "baseline_is": [BASELINES[row.measure] for row in report.rows],
        }
    )

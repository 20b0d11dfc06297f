"""How like real fine-tuning the in-context update is, layer by layer, beside its controls."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import LAYERS, axis_key, axis_name, framed, heading, hover, legend, panel_domains
from app.theme import Palette, number, signed, symmetric
from core import columns
from core.analysis.dual.updates_task import LABELS, SUBJECTS, Learner, Measure, UpdateRow, UpdatesReport

HEIGHT = 520
COLUMNS = panel_domains(2, 0.09)
ROWS = panel_domains(2, 0.25)[::-1]
"""Widths and heights of the four panels, the upper row first."""
MARKS: dict[Learner, tuple[str, str]] = {
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
    if not report.rows:
        raise ValueError("a chart of similarities needs rows")
    traces: list[go.Scatter] = []
    layout: dict[str, Any] = {"annotations": []}
    for panel, (measure, label) in enumerate(LABELS.items()):
        rows = [row for row in report.rows if row.measure == measure]
        lines = (*(_line(row, colours) for row in rows), *_baseline(rows, colours))
        x, y = axis_name("x", panel), axis_name("y", panel)
        traces += [trace.update(xaxis=x, yaxis=y, showlegend=panel == 0) for trace in lines]
        across, up = COLUMNS[panel % 2], ROWS[panel // 2]
        bound = min(1.1 * symmetric(_values(rows)), 1.05)
        title = {"title": {"text": LAYERS}} if panel > 1 else {}
        layout[axis_key("x", panel)] = {"anchor": y, "domain": across} | title
        layout[axis_key("y", panel)] = {"anchor": x, "domain": up, "range": [-bound, bound]}
        layout["annotations"].append(heading(label, sum(across) / 2, colours, y=up[1], xanchor="center"))
    return framed(
        traces,
        colours,
        height=HEIGHT,
        showlegend=True,
        legend=legend(colours, y=-0.14, yanchor=None),
        margin={"t": 30, "b": 8},
        **layout,
    )


def _line(row: UpdateRow, colours: Palette) -> go.Scatter:
    dash, symbol = MARKS[row.subject]
    shades = {"model": colours.ink, "random_weights": colours.muted, "shuffled": colours.neutral_mark}
    return go.Scatter(
        name=SUBJECTS[row.subject],
        legendgroup=row.subject,
        x=list(range(len(row.by_layer))),
        y=list(row.by_layer),
        mode="lines+markers",
        line={"dash": dash, "width": 2.4 if row.subject == "model" else 1.6, "color": shades[row.subject]},
        marker={"symbol": symbol, "size": 7, "color": shades[row.subject]},
        **hover(
            f"{LABELS[row.measure]}, {SUBJECTS[row.subject]}<br>layer {layer}: {signed(value, 3)}"
            for layer, value in enumerate(row.by_layer)
        ),
    )


def _baseline(rows: list[UpdateRow], colours: Palette) -> list[go.Scatter]:
    """The model's baseline as a thin line without marks."""
    return [
        go.Scatter(
            name="the model's baseline",
            legendgroup="baseline",
            x=list(range(len(row.baseline_by_layer))),
            y=list(row.baseline_by_layer),
            mode="lines",
            line={"dash": "longdashdot", "width": 1, "color": colours.neutral_mark},
            **hover(
                f"baseline ({BASELINES[row.measure]})<br>layer {layer}: {signed(value, 3)}"
                for layer, value in enumerate(row.baseline_by_layer)
            ),
        )
        for row in rows
        if row.subject == "model"
    ]


def _values(rows: list[UpdateRow]) -> list[float]:
    return [value for row in rows for value in (*row.by_layer, *row.baseline_by_layer) if value is not None]


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

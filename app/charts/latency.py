"""How long a new interaction takes to reach the list, and how much of the prompt is run for it."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts import lists
from app.charts.figure_cache import cached_figure
from app.charts.frame import BARE, framed, hover, legend, panel_domains
from app.theme import Palette, number
from core.personal.personalise_task import PersonaliseReport, PlayedModel
from core.words import duration

HEIGHT = 270
GAP = 0.12
"""Share of the width between the panels of time and of tokens."""


def share(report: PersonaliseReport, which: PlayedModel) -> float | None:
    """Median seconds of a step over those of one pass over the whole prompt; None where either is missing."""
    seconds = report.median_seconds(which)
    return None if seconds is None or not report.full_seconds else seconds / report.full_seconds


@cached_figure
def figure(report: PersonaliseReport, colours: Palette) -> go.Figure:
    """Left: seconds of every step, one line per model, and of one whole pass. Right: tokens run and in all."""
    which = lists.models(report)
    last = report.stream[-1].step if report.stream else 0
    traces = [_times(report, name, colours, strong=name == lists.leading(report)) for name in which]
    if report.full_seconds is not None:
        traces.append(_whole(report.full_seconds, last, colours))
    if which:
        traces += _tokens(report, lists.leading(report), colours)
    left, right = panel_domains(2, GAP)
    steps = {"range": [-0.6, last + 0.6], "dtick": max(1, -(-last // 12)), "tick0": 0, "title": {"text": "step"}} | BARE
    return framed(
        traces,
        colours,
        height=HEIGHT,
        xaxis=steps | {"domain": left},
        xaxis2=steps | {"domain": right, "anchor": "y2"},
        yaxis={"title": {"text": "seconds"}, "rangemode": "tozero", "zeroline": False},
        yaxis2={"title": {"text": "tokens"}, "rangemode": "tozero", "zeroline": False, "anchor": "x2"},
        barmode="overlay",
        showlegend=bool(which),
        legend=legend(colours),
        margin={"t": 36, "b": 40},
    )


def _times(report: PersonaliseReport, which: PlayedModel, colours: Palette, *, strong: bool) -> go.Scatter:
    played = report.lists_of(which)
    ink = colours.ink if strong else colours.neutral_mark
    steps = ["before the play" if row.step == 0 else f"step {row.step}" for row, _ in played]
    return go.Scatter(
        name=lists.NAMES[which],
        mode="lines+markers",
        x=[row.step for row, _ in played],
        y=[ranked.seconds for _, ranked in played],
        line={"width": 2.2 if strong else 1.4, "color": ink},
        marker={"size": 8, "symbol": "circle" if strong else "circle-open", "color": ink},
        **hover(
            f"{lists.NAMES[which]}, {step}<br>{duration(ranked.seconds)}"
            for step, (_, ranked) in zip(steps, played, strict=True)
        ),
    )


def _whole(seconds: float, last: int, colours: Palette) -> go.Scatter:
    return go.Scatter(
        name="one whole pass",
        mode="lines",
        x=[-0.6, last + 0.6],
        y=[seconds] * 2,
        line={"dash": "dash", "width": 1.4, "color": colours.muted},
        **hover([f"one pass over the last whole prompt<br>{duration(seconds)}"] * 2),
    )


def _tokens(report: PersonaliseReport, which: PlayedModel, colours: Palette) -> list[go.Bar]:
    played = report.lists_of(which)
    shared = {"x": [row.step for row, _ in played], "xaxis": "x2", "yaxis": "y2"} | hover(
        [f"step {row.step}<br>{ranked.tokens_run} of {ranked.tokens} tokens run" for row, ranked in played]
    )
    outline = {"color": "rgba(0,0,0,0)", "line": {"color": colours.neutral_mark, "width": 1.4}}
    run = {"color": colours.neutral_mark}
    return [
        go.Bar(name="whole prompt", y=[ranked.tokens for _, ranked in played], marker=outline, **shared),
        go.Bar(name="run", y=[ranked.tokens_run for _, ranked in played], marker=run, **shared),
    ]


def alt(report: PersonaliseReport) -> str:
    """Median time of a step of every model against one whole pass, and the share of tokens run."""
    which = [name for name in lists.models(report) if report.median_seconds(name) is not None]
    if not which:
        return "No step has been played yet."
    text = "Median step: " + ", ".join(f"{lists.NAMES[name]} {duration(report.median_seconds(name))}" for name in which)
    if report.full_seconds is not None:
        text += f"; one pass over the whole prompt {duration(report.full_seconds)}"
    percent = number(100 * (report.share_run(lists.leading(report)) or 0.0), 0)
    return f"{text}. The steps run {percent} % of their prompts' tokens; the rest was remembered."


def table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per model and step: seconds, tokens of the whole prompt and tokens run."""
    return pd.DataFrame(
        [
            {
                "model": lists.NAMES[which],
                "step": row.step,
                "seconds": ranked.seconds,
                "tokens": ranked.tokens,
                "tokens_run": ranked.tokens_run,
                "picking_seconds": row.picking_seconds,
                "whole_pass_seconds": report.full_seconds,
            }
            for which in lists.models(report)
            for row, ranked in report.lists_of(which)
        ]
    )

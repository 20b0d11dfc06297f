"""How long does a new interaction take to reach the list, and how much of the prompt is run for it?"""

from __future__ import annotations

import statistics

import pandas as pd
import plotly.graph_objects as go

from app.charts import lists
from app.charts.figure_cache import cached_figure
from app.charts.frame import legend
from app.theme import Palette, number, template
from core.personal.personalise_task import PersonaliseReport, Which
from core.words import duration

HEIGHT = 270
GAP = 0.12
"""Share of the width between the panels of time and of tokens."""


def median(report: PersonaliseReport, which: Which) -> float | None:
    """Median seconds of the steps after the first list; None before any was played."""
    found = [one.seconds for row, one in lists.listed(report, which) if row.step > 0]
    return statistics.median(found) if found else None


def share(report: PersonaliseReport, which: Which) -> float | None:
    """That median over the seconds of one pass over the whole prompt; None where either is missing."""
    took = median(report, which)
    return None if took is None or not report.full_seconds else took / report.full_seconds


@cached_figure
def figure(report: PersonaliseReport, colours: Palette) -> go.Figure:
    """Left: seconds of every step, one line per model, and of one whole pass. Right: tokens run and in all."""
    which = lists.models(report)
    last = report.stream[-1].step if report.stream else 0
    figure = go.Figure(layout={"template": template(colours), "height": HEIGHT})
    for name in which:
        figure.add_trace(_times(report, name, colours, strong=name == lists.leading(report)))
    if report.full_seconds is not None:
        _whole(figure, report.full_seconds, last, colours)
    if which:
        figure.add_traces(_tokens(report, lists.leading(report), colours))
    steps = {"range": [-0.6, last + 0.6], "dtick": max(1, -(-last // 12)), "tick0": 0, "showgrid": False}
    middle = 0.5 - GAP / 2
    figure.update_layout(
        xaxis=steps | {"domain": [0, middle], "title_text": "step", "zeroline": False},
        xaxis2=steps | {"domain": [1 - middle, 1], "anchor": "y2", "title_text": "step", "zeroline": False},
        yaxis={"title_text": "seconds", "rangemode": "tozero", "zeroline": False},
        yaxis2={"title_text": "tokens", "rangemode": "tozero", "zeroline": False, "anchor": "x2"},
        barmode="overlay",
        showlegend=bool(which),
        legend=legend(colours),
        margin={"t": 36, "b": 40},
    )
    return figure


def _times(report: PersonaliseReport, which: Which, colours: Palette, *, strong: bool) -> go.Scatter:
    played = lists.listed(report, which)
    ink = colours.ink if strong else colours.neutral_mark
    return go.Scatter(
        name=lists.NAMES[which],
        mode="lines+markers",
        x=[row.step for row, _ in played],
        y=[one.seconds for _, one in played],
        line={"width": 2.2 if strong else 1.4, "color": ink},
        marker={"size": 8, "symbol": "circle" if strong else "circle-open", "color": ink},
        hovertext=[
            f"{lists.NAMES[which]}, {'before the play' if row.step == 0 else f'step {row.step}'}"
            f"<br>{duration(one.seconds)}"
            for row, one in played
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _whole(figure: go.Figure, seconds: float, last: int, colours: Palette) -> None:
    figure.add_trace(
        go.Scatter(
            name="one whole pass",
            mode="lines",
            x=[-0.6, last + 0.6],
            y=[seconds] * 2,
            line={"dash": "dash", "width": 1.4, "color": colours.muted},
            hovertext=f"one pass over the last whole prompt<br>{duration(seconds)}",
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )


def _tokens(report: PersonaliseReport, which: Which, colours: Palette) -> list[go.Bar]:
    played = lists.listed(report, which)
    said = [f"step {row.step}<br>{one.tokens_run} of {one.tokens} tokens run" for row, one in played]
    shared = {
        "x": [row.step for row, _ in played],
        "xaxis": "x2",
        "yaxis": "y2",
        "hovertext": said,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    outline = {"color": "rgba(0,0,0,0)", "line": {"color": colours.neutral_mark, "width": 1.4}}
    return [
        go.Bar(name="whole prompt", y=[one.tokens for _, one in played], marker=outline, **shared),
        go.Bar(name="run", y=[one.tokens_run for _, one in played], marker={"color": colours.neutral_mark}, **shared),
    ]


def alt(report: PersonaliseReport) -> str:
    """Median time of a step of every model against one whole pass, and the share of tokens run."""
    which = [name for name in lists.models(report) if median(report, name) is not None]
    if not which:
        return "No step has been played yet."
    text = "Median step: " + ", ".join(f"{lists.NAMES[name]} {duration(median(report, name))}" for name in which)
    if report.full_seconds is not None:
        text += f"; one pass over the whole prompt {duration(report.full_seconds)}"
    steps = [one for row, one in lists.listed(report, lists.leading(report)) if row.step > 0]
    share_run = sum(one.tokens_run for one in steps) / max(1, sum(one.tokens for one in steps))
    return f"{text}. The steps run {number(100 * share_run, 0)} % of their prompts' tokens; the rest was remembered."


def table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per model and step: seconds, tokens of the whole prompt and tokens run."""
    return pd.DataFrame(
        [
            {
                "model": lists.NAMES[which],
                "step": row.step,
                "seconds": one.seconds,
                "tokens": one.tokens,
                "tokens_run": one.tokens_run,
                "whole_pass_seconds": report.full_seconds,
            }
            for which in lists.models(report)
            for row, one in lists.listed(report, which)
        ]
    )

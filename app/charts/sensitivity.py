"""Other words of the prompt beside other demonstrations: how far each moves the list and the demonstrations' effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import (
    axis_key,
    axis_name,
    framed,
    hover,
    panel_domains,
    row_axis,
    whiskers,
)
from app.text import capital
from app.theme import Palette, between, number, ordinal, signed
from core import columns
from core.analysis.robustness.robustness_task import Estimate, RewritingRow, RobustnessReport, SensitivityRow
from core.analysis.robustness.sensitivity_words import SOURCE_WORDS, sensitivity_sentence

ROW, AROUND = 62, 62
"""Pixels of one source's row, and of the axis."""
TOP, SPREAD, MEAN = -0.36, 0.4, 0.26
"""From a row's middle: where its first prompt stands, over which height all of them are spread, and their mean below
them; in rows."""
GAP = 0.07
"""Room between two panels, as a share of the figure."""


@dataclass(frozen=True)
class _Measure:
    """One thing that changes."""

    name: Literal["place", "order", "effect"]
    title: str
    digits: int

    def change(self, row: RewritingRow) -> float | None:
        """Signed where it has a direction."""
        value: float | None = getattr(row, f"{self.name}_change")
        return value

    def mean(self, row: SensitivityRow) -> Estimate | None:
        value: Estimate | None = getattr(row, self.name)
        return value


PLACE = _Measure("place", "target (places)", 1)
ORDER = _Measure("order", "candidates (places)", 1)
EFFECT = _Measure("effect", "effect (nats)", 2)


@cached_figure
def figure(report: RobustnessReport, colours: Palette) -> go.Figure:
    """Sizes of the changes: a row for each source, a small mark for each prompt, a diamond for their mean.

    A panel each for places and for the demonstrations' effect where it is defined. Raises `ValueError` for a report
    that compares nothing.
    """
    sources = _sources(report)
    if not sources:
        raise ValueError("a chart of the sensitivity needs prompts in other words or with other demonstrations")
    measures = _measures(report)
    traces = [
        trace
        for panel, measure in enumerate(measures)
        for line, source in enumerate(sources)
        for trace in _marks(report, source, measure, panel, line, colours)
    ]
    names = [SOURCE_WORDS[source.source].replace("demonstrations", "demos") for source in sources]
    return framed(
        traces,
        colours,
        height=ROW * len(sources) + AROUND,
        yaxis=row_axis(names, colours),
        showlegend=False,
        margin={"t": 8, "b": 44},
        **_axes(measures, colours),
    )


def _axes(measures: Sequence[_Measure], colours: Palette) -> dict[str, object]:
    """A horizontal axis for each measure, from 0, panels side by side."""
    zero = {"rangemode": "tozero", "zeroline": True, "zerolinecolor": colours.neutral_mark}
    pairs = zip(measures, panel_domains(len(measures), GAP), strict=True)
    return {
        axis_key("x", panel): {"domain": domain, "anchor": "y", "title": {"text": measure.title}, **zero}
        for panel, (measure, domain) in enumerate(pairs)
    }


def alt(report: RobustnessReport) -> str:
    """The comparison in words."""
    return sensitivity_sentence(report) or "Other words and other demonstrations are not compared yet."


def table(report: RobustnessReport) -> pd.DataFrame:
    """One row per prompt, then the mean sizes of the changes with the ends of their 90 % intervals."""
    prompts = [
        {
            "source": capital(SOURCE_WORDS[row.source]),
            "prompt": row.words,
            "target_rank": row.place,
            "places_moved": row.place_change,
            "order_moved": row.order_change,
            "demo_effect": row.effect,
            "effect_change": row.effect_change,
        }
        for row in report.rewritings
    ]
    return pd.DataFrame([*prompts, *map(_mean_row, _sources(report))])


def _mean_row(row: SensitivityRow) -> dict[str, object]:
    cells: dict[str, object] = {
        "source": capital(SOURCE_WORDS[row.source]),
        "prompt": f"mean size over {row.count}",
    }
    sizes = {"places_moved": row.place, "order_moved": row.order, "effect_change": row.effect}
    for name, size in sizes.items():
        cells[name] = None if size is None else size.mean
        cells[f"{name}_{columns.LOW}"] = None if size is None else size.low
        cells[f"{name}_{columns.HIGH}"] = None if size is None else size.high
    return cells


def _marks(
    report: RobustnessReport, source: SensitivityRow, measure: _Measure, panel: int, line: int, colours: Palette
) -> list[go.Scatter]:
    """The prompts of one source, and their mean below them."""
    rows = [row for row in report.rewritings if row.source == source.source and measure.change(row) is not None]
    mean = measure.mean(source)
    if mean is None:
        return []
    name, axis = SOURCE_WORDS[source.source], axis_name("x", panel)
    text = f"{capital(name)}, mean of {source.count}: {between(mean.mean, mean.low, mean.high, measure.digits)}"
    sizes = [abs(measure.change(row) or 0.0) for row in rows]
    prompts = go.Scatter(
        name=name,
        mode="markers",
        x=sizes,
        y=_spread(line, len(rows)),
        xaxis=axis,
        marker={"symbol": "circle", "size": 7, "color": colours.muted},
        **hover(_hover(row, measure) for row in rows),
    )
    middle = go.Scatter(
        name=f"mean, {name}",
        mode="markers",
        x=[mean.mean],
        y=[line + MEAN],
        xaxis=axis,
        marker={"symbol": "diamond", "size": 10, "color": colours.ink},
        error_x=whiskers([mean.mean], [mean.low], [mean.high], colours.ink, thickness=1.6),
        **hover([text]),
    )
    return [prompts, middle]


def _spread(line: int, count: int) -> list[float]:
    """Heights of a row's prompts, so that equal values stay apart."""
    return [line + TOP + SPREAD * place / max(1, count - 1) for place in range(count)]


def _hover(row: RewritingRow, measure: _Measure) -> str:
    head = capital(row.words)
    if measure is EFFECT:
        return f"{head}<br>effect {signed(row.effect)} nats, changed by {signed(row.effect_change)}"
    where = "" if row.place is None else f"<br>the target is {ordinal(row.place)}, {_moved(row.place_change or 0.0)}"
    return f"{head}{where}<br>a candidate moves {number(row.order_change, 1)} places on average"


def _moved(change: float) -> str:
    """How far a place is from that of the unchanged prompt; a change above 0 is a fall."""
    if change == 0:
        return "as with the unchanged prompt"
    return f"{abs(change):g} place{'' if abs(change) == 1 else 's'} {'lower' if change > 0 else 'higher'}"


def _sources(report: RobustnessReport) -> list[SensitivityRow]:
    return [row for row in report.sensitivity if row.source != "difference"]


def _measures(report: RobustnessReport) -> Sequence[_Measure]:
    sources = _sources(report)
    place = PLACE if all(row.place is not None for row in sources) else ORDER
    return [place, EFFECT] if any(row.effect is not None for row in sources) else [place]

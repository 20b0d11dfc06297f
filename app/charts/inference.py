"""Is there a way of recommending that is more stable than the plain model and no worse?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from app.text import plain, safe_mark
from app.theme import Palette, number, template, value_missing

LABEL = 40
"""Characters of a setting's name beside its mark."""
HEIGHT = 420


@dataclass(frozen=True)
class Standing:
    """One way of recommending, measured over cases: means with the ends of their intervals; None where undefined."""

    name: str
    ndcg: float | None
    """Mean NDCG@10."""
    ndcg_low: float | None
    ndcg_high: float | None
    flips: float | None
    """Share of perturbed prompts whose first place changes, 0 to 1."""
    flips_low: float | None
    flips_high: float | None


def figure(standings: Sequence[Standing], colours: Palette) -> go.Figure:
    """A mark per setting, NDCG@10 across and flip rate up, both with their intervals; the plain model comes first.

    The plain model is a diamond and two dotted lines; a filled circle flips less than it at no lower NDCG@10.
    """
    figure = go.Figure(layout={"template": template(colours), "height": HEIGHT})
    drawn = _drawn(standings)
    reference = standings[0] if standings and standings[0] in drawn else None
    middle = sum(_ends(drawn)) / 2
    for row in drawn:
        is_plain = row is reference
        better = reference is not None and _is_better(row, reference)
        ink = colours.ink if is_plain or better else colours.neutral_mark
        figure.add_trace(
            go.Scatter(
                name=safe_mark(row.name, LABEL),
                x=[row.ndcg],
                y=[row.flips],
                mode="markers+text",
                text=[safe_mark(row.name, LABEL)],
                textposition="top right" if (row.ndcg or 0.0) <= middle else "top left",
                textfont={"size": 12, "color": colours.ink if is_plain or better else colours.muted},
                error_x=_whiskers(row.ndcg, row.ndcg_low, row.ndcg_high, ink),
                error_y=_whiskers(row.flips, row.flips_low, row.flips_high, ink),
                marker={
                    "symbol": "diamond" if is_plain else "circle" if better else "circle-open",
                    "size": 12 if is_plain else 10,
                    "color": ink,
                    "line": {"width": 2, "color": ink},
                },
                hovertext=[_hover(row)],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    if reference is not None:
        line = {"color": colours.neutral_mark, "width": 1, "dash": "dot"}
        figure.add_shape(type="line", x0=reference.ndcg, x1=reference.ndcg, y0=0, y1=1, yref="paper", line=line)
        figure.add_shape(type="line", y0=reference.flips, y1=reference.flips, x0=0, x1=1, xref="paper", line=line)
    figure.update_xaxes(title_text="NDCG@10 (higher is better)", zeroline=False, tickformat="~g")
    figure.update_yaxes(title_text="top-1 flip rate (lower is better)", zeroline=False, tickformat=".0%")
    return figure


def _drawn(standings: Sequence[Standing]) -> list[Standing]:
    return [row for row in standings if not (value_missing(row.ndcg) or value_missing(row.flips))]


def _ends(drawn: Sequence[Standing]) -> tuple[float, float]:
    """The lowest and the highest NDCG@10; a label is put on the side where there is room."""
    means = [row.ndcg for row in drawn if row.ndcg is not None]
    return min(means, default=0.0), max(means, default=0.0)


def _is_better(row: Standing, reference: Standing) -> bool:
    """Whether it flips less at no lower NDCG; both rows have numbers."""
    assert row.flips is not None
    assert row.ndcg is not None
    assert reference.flips is not None
    assert reference.ndcg is not None
    return row.flips < reference.flips and row.ndcg >= reference.ndcg


def _whiskers(value: float | None, low: float | None, high: float | None, ink: str) -> dict[str, object] | None:
    if value is None or low is None or high is None or value_missing(low) or value_missing(high):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value],
        "arrayminus": [value - low],
        "color": ink,
        "thickness": 1,
        "width": 3,
    }


def _hover(row: Standing) -> str:
    return (
        f"{safe_mark(row.name, 60)}<br>NDCG@10 {_with_interval(row.ndcg, row.ndcg_low, row.ndcg_high)}"
        f"<br>flip rate {_with_interval(row.flips, row.flips_low, row.flips_high)}"
    )


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    ends = "" if value_missing(low) or value_missing(high) else f" ({number(low)} to {number(high)})"
    return f"{number(value)}{ends}"


def alt(standings: Sequence[Standing]) -> str:
    """Whether any setting flips less than the plain model (the first row) at no lower NDCG@10, and which least."""
    drawn = _drawn(standings)
    if not standings or standings[0] not in drawn:
        return "The plain model is not measured yet."
    reference, others = drawn[0], drawn[1:]
    ours = f"the plain model has a flip rate of {number(reference.flips)} at NDCG@10 {number(reference.ndcg)}"
    better = [row for row in others if _is_better(row, reference)]
    if not better:
        return f"None of {len(others)} settings flips less than the plain model at no lower NDCG@10; {ours}."
    best = min(better, key=lambda row: (row.flips or 0.0, -(row.ndcg or 0.0)))
    verb = "flips" if len(better) == 1 else "flip"
    return (
        f"{len(better)} of {len(others)} settings {verb} less than the plain model at no lower NDCG@10. "
        f"Fewest flips: {plain(best.name)}, {number(best.flips)} at NDCG@10 {number(best.ndcg)}; {ours}."
    )


def table(standings: Sequence[Standing]) -> pd.DataFrame:
    """One row per setting in the order given; flip rates are shares."""
    return pd.DataFrame(
        {
            "setting": [row.name for row in standings],
            "ndcg_at_10": [row.ndcg for row in standings],
            "ndcg_low": [row.ndcg_low for row in standings],
            "ndcg_high": [row.ndcg_high for row in standings],
            "flip_rate": [row.flips for row in standings],
            "flip_low": [row.flips_low for row in standings],
            "flip_high": [row.flips_high for row in standings],
        }
    )

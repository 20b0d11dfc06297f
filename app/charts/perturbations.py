"""Which changes of a case flip its first place, where does each candidate go, and how far does the score move?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import numbers, targets
from app.charts.figure_cache import cached_figure
from app.charts.frame import legend, whiskers
from app.text import plain, safe_mark
from app.theme import Palette, nats, number, ordinal, signed, symmetric, template, with_interval
from core import columns
from core.analysis.robustness.kinds import NAMES, Kind
from core.analysis.robustness.robustness_task import (
    Estimate,
    KindRow,
    Mode,
    RankLine,
    RobustnessReport,
    VariantRow,
    kinds_of,
)

ROW = 28
FLOW = 470
BAR = 46
"""Pixels of one kind in the chart of score changes."""
SHORT: dict[Kind, str] = {
    "history_drop": "drop items",
    "history_swap": "swap items",
    "history_shuffle": "shuffle items",
    "popular_replace": "replace items",
    "inject": "inject items",
    "demo_permute": "permute demos",
    "demo_drop": "drop demos",
    "demo_duplicate": "duplicate demos",
    "label_flip": "flip answers",
    "typos": "typos",
}
"""Names of the kinds where room is short."""
MODES: dict[Mode, tuple[str, str]] = {"plain": ("circle", "plain model"), "changed": ("diamond-open", "changed model")}
KIND, STRENGTH, MODEL, COUNT = "kind", "strength", "model", "variants"


@cached_figure
def flips(report: RobustnessReport, colours: Palette, *, mode: Mode = "plain") -> go.Figure:
    """Kinds (rows) x strengths (columns), share of variants whose first place differs, darker for more.

    An invisible marker in every cell carries `[kind, strength]`. Raises `ValueError` for a report without rows.
    """
    rows = _rows(report, mode)
    kinds, strengths = kinds_of(rows), _strengths(rows)
    at = {(row.kind, row.strength): row for row in rows}
    z = [[_mean(at.get((kind, strength))) for strength in strengths] for kind in kinds]
    figure = go.Figure(layout={"template": template(colours), "height": ROW * len(kinds) + 64})
    figure.add_trace(
        go.Heatmap(
            z=z,
            x=list(range(len(strengths))),
            y=list(range(len(kinds))),
            zmin=0,
            zmax=1,
            colorscale=[[0, colours.neutral], [1, colours.ink]],
            xgap=2,
            ygap=2,
            hoverinfo="skip",
            showscale=False,
        )
    )
    figure.add_traces(numbers(z, percent, lambda share: _grey(share, colours), size=12))
    figure.add_trace(_cells(kinds, strengths, at))
    quiet = {"tickmode": "array", "showgrid": False, "zeroline": False}
    figure.update_xaxes(
        **quiet,
        tickvals=list(range(len(strengths))),
        ticktext=[percent(strength) for strength in strengths],
        side="top",
        range=[-0.5, len(strengths) - 0.5],
        title_text="share touched",
    )
    figure.update_yaxes(
        **quiet,
        tickvals=list(range(len(kinds))),
        ticktext=[SHORT[kind] for kind in kinds],
        range=[len(kinds) - 0.5, -0.5],
        tickfont={"color": colours.ink, "size": 12.5},
    )
    figure.update_layout(margin={"t": 52, "b": 8})
    return figure


def _grey(share: float, colours: Palette) -> str:
    """The colour of a share on the scale from neutral to ink, as `#rrggbb`."""
    ends = [[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in (colours.neutral, colours.ink)]
    return "#" + "".join(f"{round(low + (high - low) * share):02X}" for low, high in zip(*ends, strict=True))


def _cells(kinds: Sequence[Kind], strengths: Sequence[float], at: dict[tuple[Kind, float], KindRow]) -> go.Scatter:
    places = [
        (column, line, at[kind, strength])
        for line, kind in enumerate(kinds)
        for column, strength in enumerate(strengths)
        if (kind, strength) in at
    ]
    return targets(
        [(column, line) for column, line, _ in places],
        [[row.kind, row.strength] for _, _, row in places],
        [_hover(row) for _, _, row in places],
        size=ROW - 4,
    )


def _hover(row: KindRow) -> str:
    return (
        f"{NAMES[row.kind]}, {percent(row.strength)}<br>{percent(row.flips.mean)} of {row.count} variants "
        "put another item first"
        f"<br>Kendall tau {_said(row.tau)}, rank-biased overlap {_said(row.overlap)}"
    )


def flips_alt(report: RobustnessReport, *, mode: Mode = "plain") -> str:
    """The most and the least harmful kinds in words."""
    rows = [row for row in report.rows if row.mode == mode]
    if not rows:
        return "No change has been tried yet."
    worst = max(rows, key=lambda row: row.flips.mean)
    still = [kind for kind in kinds_of(rows) if all(row.flips.mean == 0 for row in rows if row.kind == kind)]
    text = f"{len(kinds_of(rows))} kinds of change at {len(_strengths(rows))} strengths. "
    if worst.flips.mean == 0:
        return f"{text}None puts another item first."
    text += (
        f"Another item comes first most often with {NAMES[worst.kind]}, {percent(worst.strength)} touched: in "
        f"{percent(worst.flips.mean)} of the variants."
    )
    return f"{text} Never with: {', '.join(NAMES[kind] for kind in still)}." if still else text


@cached_figure
def flow(report: RobustnessReport, colours: Palette, *, item: str | None = None) -> go.Figure:
    """A line per candidate over the variants (the case as it is comes first), kinds side by side; rank 1 on top.

    Raises `ValueError` for a report without variants.
    """
    if not report.variants:
        raise ValueError("a rank flow needs variants")
    figure = go.Figure(layout={"template": template(colours), "height": FLOW})
    lines = list(enumerate(report.lines))
    for place, line in sorted(lines, key=lambda pair: (pair[1].is_target, pair[1].item_id == item)):
        figure.add_trace(_line(report, place, line, colours, strong=line.is_target or line.item_id == item))
    last = len(report.variants)
    ticks = []
    for kind, first, stop in _stretches(report.variants):
        figure.add_vline(x=first - 0.5, line={"color": colours.rule, "width": 1})
        ticks.append(((first + stop - 1) / 2, SHORT[kind]))
    figure.update_xaxes(
        range=[-0.8, last + 0.8],
        tickmode="array",
        tickvals=[0, *(at for at, _ in ticks)],
        ticktext=["as it is", *(name for _, name in ticks)],
        tickangle=-45,
        showgrid=False,
        zeroline=False,
    )
    deepest = max(line.rank for line in report.lines)
    deepest = max([deepest, *(rank for row in report.variants for rank in row.ranks)])
    figure.update_yaxes(range=[deepest + 0.7, 0.3], showgrid=False, zeroline=False, title_text="rank", dtick=5, tick0=0)
    figure.update_layout(margin={"t": 10, "b": 8})
    return figure


def _line(report: RobustnessReport, place: int, line: RankLine, colours: Palette, *, strong: bool) -> go.Scatter:
    shown = [line.rank, *(row.ranks[place] for row in report.variants)]
    said = ["as it is", *(f"{SHORT[row.kind]}: {safe_mark(row.words, 90)}" for row in report.variants)]
    return go.Scatter(
        name=line.item_id,
        x=list(range(len(shown))),
        y=shown,
        mode="lines+markers",
        customdata=[line.item_id] * len(shown),
        line={"width": 2.6 if strong else 1, "color": colours.ink if strong else colours.neutral_mark, "shape": "hv"},
        marker={
            "size": 7 if strong else 4,
            "symbol": "diamond" if line.is_target else "circle",
            "color": colours.ink if strong else colours.neutral_mark,
        },
        hovertext=[
            f"{safe_mark(line.title, 60)}<br>{ordinal(rank)}<br>{words}"
            for rank, words in zip(shown, said, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _stretches(rows: Sequence[VariantRow]) -> list[tuple[Kind, int, int]]:
    """Kind, first place and the place after its last, for each run of variants of one kind; places from 1."""
    found, at = [], 1
    for kind, members in groupby(row.kind for row in rows):
        size = len(list(members))
        found.append((kind, at, at + size))
        at += size
    return found


def flow_alt(report: RobustnessReport) -> str:
    """How far the target and the first place move, in words."""
    if not report.variants or not report.lines:
        return "No change has been tried yet."
    count = len(report.variants)
    target = next((place for place, line in enumerate(report.lines) if line.is_target), None)
    first = report.lines[0]
    changed = sum(row.flips for row in report.variants)
    text = f"{plain(first.title)} comes first in {count - changed} of {count} variants."
    if target is None:
        return text
    places = [row.ranks[target] for row in report.variants]
    line = report.lines[target]
    return (
        f"{text} The target, {plain(line.title)}, is {ordinal(line.rank)} as it is and goes from "
        f"{ordinal(min(places))} to {ordinal(max(places))}."
    )


def flow_table(report: RobustnessReport) -> pd.DataFrame:
    """One row per variant: what was done, what comes first, the changes, and the rank of every candidate drawn."""
    names = {line.item_id: line for line in report.lines}
    rows = []
    for row in report.variants:
        top = names.get(row.top)
        cells: dict[str, object] = {
            KIND: NAMES[row.kind],
            STRENGTH: row.strength,
            "what_was_done": row.words,
            "first_item": row.top,
            "first_title": None if top is None else top.title,
            "flips": row.flips,
            "kendall_tau": row.tau,
            "rank_biased_overlap": row.overlap,
            "ndcg_change": row.ndcg,
            "score_change_nats": row.score,
        }
        cells |= {f"{columns.RANK}_{line.item_id}": rank for line, rank in zip(report.lines, row.ranks, strict=True)}
        rows.append(cells)
    return pd.DataFrame(rows)


@cached_figure
def scores(report: RobustnessReport, colours: Palette) -> go.Figure:
    """Mean change of the target score, in nats, per kind (rows) and strength, with its 90 % interval.

    Kinds have room for one mark per strength and way of recommending. Raises `ValueError` where no change is known.
    """
    rows = [row for row in report.rows if row.score is not None]
    if not rows:
        raise ValueError("a chart of score changes needs a target score")
    kinds, strengths = kinds_of(rows), _strengths(rows)
    modes = [mode for mode in MODES if any(row.mode == mode for row in rows)]
    slots = [(mode, strength) for mode in modes for strength in strengths]
    figure = go.Figure(layout={"template": template(colours), "height": BAR * len(kinds) + 80})
    for slot, (mode, strength) in enumerate(slots):
        mine = [row for row in rows if (row.mode, row.strength) == (mode, strength)]
        shift = (slot + 0.5) / len(slots) - 0.5
        figure.add_trace(_dots(mine, mode, strength, [kinds.index(row.kind) + 0.7 * shift for row in mine], colours))
    figure.add_vline(x=0, line={"color": colours.neutral_mark, "width": 1})
    bound = 1.1 * symmetric(value for row in rows for value in _ends(row.score))
    figure.update_xaxes(range=[-bound, bound], title_text="change of the target's score (nats)", zeroline=False)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(kinds))),
        ticktext=[SHORT[kind] for kind in kinds],
        range=[len(kinds) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 12.5},
    )
    figure.update_layout(margin={"t": 40, "b": 40}, showlegend=len(slots) > 1, legend=legend(colours))
    return figure


def _dots(rows: list[KindRow], mode: Mode, strength: float, y: list[float], colours: Palette) -> go.Scatter:
    """Marks of one strength: the larger the strength, the larger the mark."""
    symbol, name = MODES[mode]
    ink = colours.ink if mode == "plain" else colours.muted
    ends = [_ends(row.score) for row in rows]
    means, lows, highs = ([each[place] for each in ends] for place in range(3))
    return go.Scatter(
        name=f"{percent(strength)}, {name}",
        mode="markers",
        x=means,
        y=y,
        marker={"symbol": symbol, "size": 6 + 7 * strength, "color": ink},
        error_x=whiskers(means, lows, highs, ink, thickness=1.4, width=3),
        customdata=[row.kind for row in rows],
        hovertext=[
            f"{NAMES[row.kind]}, {percent(strength)}, {name}<br>{nats(mean)}{with_interval(low, high)}"
            for row, (mean, low, high) in zip(rows, ends, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def scores_alt(report: RobustnessReport, *, mode: Mode = "plain") -> str:
    """The largest mean changes of the target score, in words."""
    rows = [(row.score.mean, row) for row in report.rows if row.score is not None and row.mode == mode]
    if not rows:
        return "The change of the target score is not known: the case has no target among its candidates."
    text = []
    for word, pick, sign in (("falls", min, -1), ("rises", max, 1)):
        mean, row = pick(rows, key=lambda pair: pair[0])
        if mean * sign > 0 and row.score is not None:
            text.append(
                f"The target's score {word} most with {NAMES[row.kind]}, {percent(row.strength)} touched: mean change "
                f"{nats(mean)}{with_interval(row.score.low, row.score.high)}."
            )
    return " ".join(text) or "No kind of change moves the target score."


def table(report: RobustnessReport) -> pd.DataFrame:
    """One row per kind, strength and way of recommending: each mean with the ends of its 90 % interval."""
    rows = []
    for row in report.rows:
        cells: dict[str, object] = {
            KIND: NAMES[row.kind],
            STRENGTH: row.strength,
            MODEL: row.mode,
            COUNT: row.count,
        }
        measured = {
            "flip_rate": row.flips,
            "kendall_tau": row.tau,
            "rank_biased_overlap": row.overlap,
            "ndcg_change": row.ndcg,
            "score_change_nats": row.score,
        }
        for name, value in measured.items():
            cells[name] = None if value is None else value.mean
            cells[f"{name}_{columns.LOW}"] = None if value is None else value.low
            cells[f"{name}_{columns.HIGH}"] = None if value is None else value.high
        rows.append(cells)
    return pd.DataFrame(rows)


def percent(share: float | None) -> str:
    """`25 %`; a dash where there is no number."""
    return "–" if share is None else f"{number(100 * share, 0)} %"


def _rows(report: RobustnessReport, mode: Mode) -> list[KindRow]:
    rows = [row for row in report.rows if row.mode == mode]
    if not rows:
        raise ValueError(f"a map of flips needs rows of the {MODES[mode][1]}")
    return rows


def _strengths(rows: Sequence[KindRow]) -> list[float]:
    return sorted({row.strength for row in rows})


def _mean(row: KindRow | None) -> float | None:
    return None if row is None else row.flips.mean


def _ends(value: Estimate | None) -> tuple[float, float, float]:
    """Mean, low and high; the mean thrice where there is no interval."""
    assert value is not None
    if value.low is None or value.high is None:
        return value.mean, value.mean, value.mean
    return value.mean, value.low, value.high


def _said(value: Estimate | None) -> str:
    return "not defined" if value is None else signed(value.mean)

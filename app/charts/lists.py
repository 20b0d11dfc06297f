"""The rank of each candidate while the user's stream goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import from_to
from app.charts.figure_cache import cached_figure
from app.charts.frame import axis_key, axis_name, panel_domains, panel_headings, upright
from app.charts.rank_flow import ROW, FlowLine, list_axis, rank_flow
from app.text import capital, plain, safe_mark
from app.theme import Palette, ordinal
from core import columns
from core.metrics.ranking import Rank, best_first
from core.personal.personalise_task import ListRow, PersonaliseReport, PlayedModel, StepRow
from core.personal.target_steps import steps_of, target_index

NAMES: dict[PlayedModel, str] = {"base": "base model", "adapter": "with the adapter"}
LEGIBLE = 15
"""Pixels from one rank to the next below which only the strong lines have room for their title."""
TICKS = 12
"""Most steps that are written under one panel."""
LABELS = 0.33
"""Share of the width that the titles need."""
GAP = 0.05
"""Share of the width between two panels."""


@dataclass(frozen=True)
class RankChange:
    """The rank of one candidate before the play and after a step."""

    index: int
    """Place among the report's candidates."""
    before: Rank
    after: Rank

    @property
    def climb(self) -> Rank:
        """Places won; negative: lost."""
        return self.before - self.after


def models(report: PersonaliseReport) -> tuple[PlayedModel, ...]:
    """The models that have played so far, the base first."""
    played = {ranked.which for row in report.stream for ranked in row.lists}
    return tuple(which for which in NAMES if which in played)


def leading(report: PersonaliseReport) -> PlayedModel:
    """The model that the page speaks of: the adapter where it plays."""
    return "adapter" if "adapter" in models(report) else "base"


def moves(report: PersonaliseReport, which: PlayedModel, step: int | None = None) -> list[RankChange]:
    """Every candidate's move from the list before the play to that of `step` (none: the last), in their order."""
    lists = _until(report, which, step)
    if not lists or len(lists[-1].ranks) != len(report.candidates):
        return []
    ranks = zip(lists[0].ranks, lists[-1].ranks, strict=True)
    return [RankChange(index, before, after) for index, (before, after) in enumerate(ranks)]


def _until(report: PersonaliseReport, which: PlayedModel, step: int | None) -> list[ListRow]:
    """The lists of this model up to `step`; none: all."""
    return [ranked for row, ranked in report.lists_of(which) if step is None or row.step <= step]


def _ranked(report: PersonaliseReport, which: PlayedModel) -> list[int]:
    """Candidates by their place in the last list of this model."""
    changes = moves(report, which)
    return best_first([move.after for move in changes], report.candidates) if changes else []


def climber(report: PersonaliseReport, which: PlayedModel) -> RankChange | None:
    """The candidate that rises most, of equals the better placed; None where none rises."""
    changes = moves(report, which)
    best = max(
        (changes[index] for index in _ranked(report, which)), key=lambda move: (move.climb, -move.after), default=None
    )
    return best if best is not None and best.climb > 0 else None


def drawn(report: PersonaliseReport, limit: int, item: str | None = None) -> list[int]:
    """Candidates to draw, best last rank first: at most `limit`, and always the target, the selected, the climber."""
    ranked = _ranked(report, leading(report))
    top = climber(report, leading(report))
    always = [
        index
        for index in ranked[limit:]
        if report.candidates[index].is_target
        or report.candidates[index].item_id == item
        or (top is not None and top.index == index)
    ]
    return ranked[:limit] + always


@cached_figure
def flow(
    report: PersonaliseReport, colours: Palette, *, limit: int, item: str | None = None, step: int | None = None
) -> go.Figure:
    """A line per candidate from the list before the play to the last, rank 1 on top; one panel per model.

    Every point carries the candidate's id. `item` is drawn strong like the target; `step` is marked.
    """
    which, last = models(report), report.stream[-1].step if report.stream else 0
    lines = [_line(report, name, index, item) for name in which for index in drawn(report, limit, item)]
    deepest = max((rank for line in lines for rank in line.ranks), default=1)
    plot = ROW * max(min(deepest, limit), 4)
    domains = panel_domains(len(which), GAP, width=1 - LABELS) if which else []
    marked = [] if step is None else [axis_name("x", panel) for panel in range(len(which))]
    axes: dict[str, Any] = {axis_key("x", panel): _steps(last, domain) for panel, domain in enumerate(domains)}
    return rank_flow(
        lines,
        colours,
        height=plot + 72,
        deepest=deepest,
        titles={"x": domains[-1][1] if domains else 0, "xref": "paper", "xshift": 6},
        crowded=plot / deepest < LEGIBLE,
        margin={"t": 60, "b": 8},
        annotations=panel_headings([NAMES[name] for name in which], domains, colours),
        shapes=[upright(step or 0, colours.neutral_mark, dash="dot", axis=axis) for axis in marked],
        **axes,
    )


def _steps(last: int, domain: list[float]) -> dict[str, Any]:
    steps = range(0, last + 1, max(1, math.ceil(last / TICKS)))
    names = ["before" if step == 0 else str(step) for step in steps]
    return list_axis(steps, names, [-0.35, last + 0.35], domain=domain)


def _line(report: PersonaliseReport, which: PlayedModel, index: int, item: str | None) -> FlowLine:
    row, played = report.candidates[index], report.lists_of(which)
    return FlowLine(
        row.item_id,
        row.title,
        [ranked.ranks[index] for _, ranked in played],
        [
            f"{safe_mark(row.title, 60)}<br>{ordinal(ranked.ranks[index])}, {NAMES[which]}<br>{news(step, safe_mark)}"
            for step, ranked in played
        ],
        row.is_target,
        row.item_id == item,
        row=_ranked(report, which).index(index) + 1 if which == models(report)[-1] else None,
        name=f"{which} {row.item_id}",
        x=[step.step for step, _ in played],
        axis=axis_name("x", models(report).index(which)),
    )


def news(step: StepRow, safe: Callable[[str], str] = plain) -> str:
    """What is new at a step: `step 2: Fargo (1996), liked`; `safe` makes the title fit for where it is shown."""
    if step.title is None:
        return "before the play"
    by_hand = ", added by hand" if step.kind == "added" else ""
    return f"step {step.step}: {safe(step.title)}, {'liked' if step.liked else 'not liked'}{by_hand}"


def flow_alt(report: PersonaliseReport) -> str:
    """The largest climb and drop of every model, in words."""
    parts = []
    for which in models(report):
        changes, best = moves(report, which), climber(report, which)
        text = "no candidate changes its place"
        if best is not None:
            worst = min((changes[index] for index in _ranked(report, which)), key=lambda move: (move.climb, move.after))
            text = f"largest climb {_from_to(report, best)}; largest drop {_from_to(report, worst)}"
        parts.append(f"{capital(NAMES[which])}: {text}.")
    return " ".join(parts) or "No list has been made yet."


def _from_to(report: PersonaliseReport, move: RankChange) -> str:
    return from_to(report.candidates[move.index].title, move.before, move.after)


def flow_table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per model and candidate: its rank before the play and after every step."""
    rows = []
    for which in models(report):
        for index, row in enumerate(report.candidates):
            cells: dict[str, object] = {"model": NAMES[which], columns.ITEM: row.item_id, columns.TITLE: row.title}
            for step, ranked in report.lists_of(which):
                cells["before" if step.step == 0 else f"step_{step.step}"] = ranked.ranks[index]
            rows.append(cells)
    return pd.DataFrame(rows)


def target_table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per step: what was new, and place and margin (nats) of the item really chosen next in each list."""
    target = target_index(report)
    if target is None:
        return pd.DataFrame()
    first = leading(report)
    data: dict[str, list[object]] = {
        "step": [row.step for row, _ in report.lists_of(first)],
        "new_interaction": [row.title for row, _ in report.lists_of(first)],
        "liked": [row.liked for row, _ in report.lists_of(first)],
    }
    for which in sorted(models(report), key=lambda name: name != first):
        prefix, steps = "" if which == first else f"{which}_", steps_of(report, which, target)
        data[f"{prefix}{columns.RANK}"] = [step.place for step in steps]
        data[f"{prefix}margin"] = [step.margin for step in steps]
    return pd.DataFrame(data)


def target_alt(report: PersonaliseReport) -> str:
    """The place of the item really chosen next from step to step, in words."""
    target = target_index(report)
    if target is None or not report.stream:
        return "The item really chosen next is not among the candidates."
    steps = steps_of(report, leading(report), target)
    places = ", ".join(ordinal(step.place) for step in steps)
    return f"{plain(report.candidates[target].title)}, step by step: {places}."


def table(report: PersonaliseReport, step: int | None = None) -> pd.DataFrame:
    """One row per candidate, best first: rank and score (nats) before the play and after `step` (none: the last).

    The columns of the base model stand beside those of the adapter where both play.
    """
    first = leading(report)
    data: dict[str, list[object]] = {
        columns.ITEM: [row.item_id for row in report.candidates],
        columns.TITLE: [row.title for row in report.candidates],
        "chosen_next": [row.is_target for row in report.candidates],
    }
    for which in sorted(models(report), key=lambda name: name != first):
        prefix = "" if which == first else f"{which}_"
        changes, lists = moves(report, which, step), _until(report, which, step)
        if not changes:
            continue
        data |= {
            f"{prefix}{columns.RANK}": [move.after for move in changes],
            f"{prefix}rank_before": [move.before for move in changes],
            f"{prefix}climb": [move.climb for move in changes],
            f"{prefix}{columns.SCORE}": list(lists[-1].scores),
            f"{prefix}score_before": list(lists[0].scores),
        }
    table = pd.DataFrame(data)
    if columns.RANK not in table:
        return table
    return table.sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)

"""How does each candidate's place change while the user's stream goes on?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import heading
from app.text import plain, safe_mark
from app.theme import Palette, ordinal, template
from core import columns
from core.metrics.ranking import Rank, best_first
from core.personal.personalise_task import ListRow, PersonaliseReport, StepRow, Which

NAMES: dict[Which, str] = {"base": "base model", "adapter": "with the adapter"}
ROW = 22
"""Pixels of one candidate's row."""
LEGIBLE = 15
"""Pixels from one rank to the next below which only the strong lines have room for their title."""
TICKS = 12
"""Most steps that are written under one panel."""
LABELS = 0.33
"""Share of the width that the titles need."""
GAP = 0.05
"""Share of the width between two panels."""


@dataclass(frozen=True)
class Move:
    """Where one candidate stood before the play and where it stands after a step."""

    index: int
    """Place among the report's candidates."""
    before: Rank
    after: Rank

    @property
    def climb(self) -> Rank:
        """Places won; negative: lost."""
        return self.before - self.after


def models(report: PersonaliseReport) -> tuple[Which, ...]:
    """The models that have played so far, the base first."""
    made = {one.which for row in report.stream for one in row.lists}
    return tuple(which for which in NAMES if which in made)


def leading(report: PersonaliseReport) -> Which:
    """The model that the page speaks of: the adapter where it plays."""
    return "adapter" if "adapter" in models(report) else "base"


def listed(report: PersonaliseReport, which: Which) -> list[tuple[StepRow, ListRow]]:
    """Every step that this model has played, with its list."""
    return [(row, one) for row in report.stream for one in row.lists if one.which == which]


def moves(report: PersonaliseReport, which: Which, step: int | None = None) -> list[Move]:
    """Every candidate's move from the list before the play to that of `step` (none: the last), in their order."""
    played = listed(report, which)
    after = [one for row, one in played if step is None or row.step <= step]
    if not after or len(after[-1].ranks) != len(report.candidates):
        return []
    ranks = zip(played[0][1].ranks, after[-1].ranks, strict=True)
    return [Move(index, before, now) for index, (before, now) in enumerate(ranks)]


def _ranked(report: PersonaliseReport, which: Which) -> list[int]:
    """Candidates by their place in the last list of this model."""
    found = moves(report, which)
    return best_first([move.after for move in found], report.candidates) if found else []


def climber(report: PersonaliseReport, which: Which) -> Move | None:
    """The candidate that rises most, of equals the better placed; None where none rises."""
    found = moves(report, which)
    ordered = [found[index] for index in _ranked(report, which)]
    best = max(ordered, key=lambda move: (move.climb, -move.after), default=None)
    return best if best is not None and best.climb > 0 else None


def drawn(report: PersonaliseReport, limit: int, item: str | None = None) -> list[int]:
    """Candidates to draw, best last rank first: at most `limit`, and always the target, the selected, the climber."""
    ranked = _ranked(report, leading(report))
    top = climber(report, leading(report))
    wanted = [
        index
        for index in ranked[limit:]
        if report.candidates[index].is_target
        or report.candidates[index].item_id == item
        or (top is not None and top.index == index)
    ]
    return ranked[:limit] + wanted


@cached_figure
def flow(
    report: PersonaliseReport, colours: Palette, *, limit: int, item: str | None = None, step: int | None = None
) -> go.Figure:
    """A line per candidate from the list before the play to the last, rank 1 on top; one panel per model.

    Every point carries the candidate's id. `item` is drawn strong like the target; `step` is marked.
    """
    shown, which = drawn(report, limit, item), models(report)
    ranks = [one.ranks[index] for name in which for _, one in listed(report, name) for index in shown]
    deepest = max(ranks, default=1)
    height = ROW * max(min(deepest, limit), 4) + 72
    roomy = (height - 72) / deepest >= LEGIBLE
    figure = go.Figure(layout={"template": template(colours), "height": height})
    last = report.stream[-1].step if report.stream else 0
    for panel, name in enumerate(which):
        axis = "x" if panel == 0 else f"x{panel + 1}"
        for index in sorted(shown, key=lambda one: _strong(report, one, item)):
            figure.add_trace(_line(report, name, index, colours, axis, strong=_strong(report, index, item) > 0))
        figure.update_layout({axis.replace("x", "xaxis"): _steps(panel, len(which), last)})
        figure.add_annotation(heading(NAMES[name], _domain(panel, len(which))[0], colours))
        if step is not None:
            line = {"color": colours.neutral_mark, "width": 1, "dash": "dot"}
            figure.add_shape(type="line", xref=axis, yref="paper", x0=step, x1=step, y0=0, y1=1, line=line)
    for index in shown:
        if which and (roomy or _strong(report, index, item)):
            figure.add_annotation(_title(report, which[-1], index, colours, len(which), item))
    figure.update_yaxes(range=[deepest + 0.7, 0.3], showgrid=False, zeroline=False, dtick=5, tick0=0, title_text="rank")
    figure.update_layout(margin={"t": 60, "b": 8})
    return figure


def _strong(report: PersonaliseReport, index: int, item: str | None) -> int:
    row = report.candidates[index]
    return 2 if row.item_id == item else int(row.is_target)


def _domain(panel: int, count: int) -> list[float]:
    width = (1 - LABELS - GAP * (count - 1)) / count
    start = panel * (width + GAP)
    return [start, start + width]


def _steps(panel: int, count: int, last: int) -> dict[str, object]:
    every = max(1, math.ceil(last / TICKS))
    shown = list(range(0, last + 1, every))
    return {
        "domain": _domain(panel, count),
        "range": [-0.35, last + 0.35],
        "tickmode": "array",
        "tickvals": shown,
        "ticktext": ["before" if step == 0 else str(step) for step in shown],
        "side": "top",
        "showgrid": False,
        "zeroline": False,
    }


def _line(
    report: PersonaliseReport, which: Which, index: int, colours: Palette, axis: str, *, strong: bool
) -> go.Scatter:
    row, played = report.candidates[index], listed(report, which)
    ink = colours.ink if strong else colours.neutral_mark
    return go.Scatter(
        name=f"{which} {row.item_id}",
        x=[step.step for step, _ in played],
        y=[one.ranks[index] for _, one in played],
        xaxis=axis,
        mode="lines+markers",
        customdata=[row.item_id] * len(played),
        line={"width": 2.6 if strong else 1.2, "color": ink},
        marker={"size": 9 if strong else 6, "symbol": "diamond" if row.is_target else "circle", "color": ink},
        hovertext=[
            f"{safe_mark(row.title, 60)}<br>{ordinal(one.ranks[index])}, {NAMES[which]}<br>{said(step, safe_mark)}"
            for step, one in played
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def said(step: StepRow, safe: Callable[[str], str] = plain) -> str:
    """What is new at a step: `step 2: Fargo (1996), liked`; `safe` makes the title fit for where it is shown."""
    if step.title is None:
        return "before the play"
    by_hand = ", added by hand" if step.kind == "added" else ""
    return f"step {step.step}: {safe(step.title)}, {'liked' if step.liked else 'not liked'}{by_hand}"


def _title(
    report: PersonaliseReport, which: Which, index: int, colours: Palette, count: int, item: str | None
) -> dict[str, object]:
    row, strong = report.candidates[index], _strong(report, index, item) > 0
    text = safe_mark(row.title, 26)
    return {
        "x": _domain(count - 1, count)[1],
        "xref": "paper",
        "xanchor": "left",
        "xshift": 6,
        "y": _ranked(report, which).index(index) + 1,
        "text": f"<b>{text}</b>" if strong else text,
        "showarrow": False,
        "font": {"size": 12, "color": colours.ink if strong else colours.muted},
    }


def flow_alt(report: PersonaliseReport) -> str:
    """The largest climb and drop of every model, in words."""
    parts = []
    for which in models(report):
        found = moves(report, which)
        best = climber(report, which)
        if best is None:
            parts.append(f"{_capital(NAMES[which])}: no candidate changes its rank.")
            continue
        worst = min((found[index] for index in _ranked(report, which)), key=lambda move: (move.climb, move.after))
        parts.append(
            f"{_capital(NAMES[which])}: largest climb {_went(report, best)}; largest drop {_went(report, worst)}."
        )
    return " ".join(parts) or "No list has been made yet."


def _went(report: PersonaliseReport, move: Move) -> str:
    title = plain(report.candidates[move.index].title)
    return f"{title}, from {ordinal(move.before)} to {ordinal(move.after)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def flow_table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per model and candidate: its rank before the play and after every step."""
    rows = []
    for which in models(report):
        for index, row in enumerate(report.candidates):
            cells: dict[str, object] = {"model": NAMES[which], columns.ITEM: row.item_id, columns.TITLE: row.title}
            for step, one in listed(report, which):
                cells["before" if step.step == 0 else f"step_{step.step}"] = one.ranks[index]
            rows.append(cells)
    return pd.DataFrame(rows)


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
        found = moves(report, which, step)
        if not found:
            continue
        played = [one for row, one in listed(report, which) if step is None or row.step <= step]
        data |= {
            f"{prefix}{columns.RANK}": [move.after for move in found],
            f"{prefix}rank_before": [move.before for move in found],
            f"{prefix}climb": [move.climb for move in found],
            f"{prefix}{columns.SCORE}": list(played[-1].scores),
            f"{prefix}score_before": list(played[0].scores),
        }
    made = pd.DataFrame(data)
    if columns.RANK not in made:
        return made
    return made.sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)


def moved(climb: Rank) -> str:
    """`▲ 8`, `▼ 2`, `=`."""
    return "=" if climb == 0 else f"{'▲' if climb > 0 else '▼'} {abs(climb):g}"

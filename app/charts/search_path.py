"""The search for demonstrations: its path, its shortlist, and what the best set does to the case."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import UNFADED, framed, hover, quiet_line
from app.charts.user_stream import when
from app.text import counted, plain, safe_mark
from app.theme import Palette, number, ordinal, signed
from core import columns
from core.data.strategies import STRATEGIES
from core.metrics.ranking import Rank
from core.selection.confirm import Rival
from core.selection.improve_task import ImproveReport, Outcome, PathRow, ShortlistRow
from core.selection.verdict import choice_words

HEIGHT = 300
MAYBE = ("answer", columns.POSITION, "neighbours", "embedding", "effect")
"""Columns of the shortlist that not every search has."""
MOVES = {
    "zero-shot": "no demonstrations",
    "start": "a set to start from",
    "grow": "one more at the end",
    "reorder": "another order, or one fewer",
    "exchange": "one exchanged or added",
}
SETS = {
    "zero_shot": "no demonstrations",
    "current": "the case's own demonstrations",
    "start": "the earlier set",
    "best": "the set found",
}
RIVALS: dict[Rival, str] = {
    "chance": "sets that chance draws",
    "zero_shot": "no demonstrations",
    "current": "the case's own demonstrations",
}
STOPS = {
    "budget": "The budget is spent.",
    "plateau": "It stopped because nothing better came for several steps.",
    "optimum": "No set one change away is better.",
}


@cached_figure
def figure(report: ImproveReport, colours: Palette) -> go.Figure:
    """Objective J of the best set so far over full-prompt passes, each step's best, and two sets to compare with."""
    path = report.path
    references = [
        (name, row, dash)
        for name, row, dash in (("zero_shot", report.zero_shot, "dash"), ("current", report.current, "dot"))
        if row is not None and path
    ]
    grey = {"width": 1.4, "color": colours.neutral_mark}
    lines = [
        quiet_line(SETS[name], [0, path[-1].passes], [row.objective] * 2, dash=dash, **grey)
        for name, row, dash in references
    ]
    passes, bests = [row.passes for row in path], [row.best for row in path]
    best = quiet_line("best", passes, bests, shape="hv", width=2.6, color=colours.ink)
    at_the_right = {"x": 1, "xref": "paper", "xanchor": "right", "yanchor": "bottom", "showarrow": False}
    return framed(
        [*lines, best, _steps(report, colours)],
        colours,
        height=HEIGHT,
        annotations=[at_the_right | {"y": row.objective, "text": SETS[name]} for name, row, _ in references],
        xaxis={"title": {"text": "cost so far (full passes)"}, "rangemode": "tozero", "zeroline": False},
        yaxis={"title": {"text": f"objective J ({report.task.judged_by.unit})"}, "zeroline": False},
    )


def _steps(report: ImproveReport, colours: Palette) -> go.Scatter:
    """The best set of each step: filled where it is better than all before."""
    path = report.path
    return go.Scatter(
        name="steps",
        mode="markers",
        x=[row.passes for row in path],
        y=[row.objective for row in path],
        customdata=[row.step for row in path],
        marker={
            "size": [10 if row.improved else 7 for row in path],
            "symbol": ["circle" if row.improved else "circle-open" for row in path],
            "color": [colours.ink if row.improved else colours.neutral_mark for row in path],
        },
        **hover(_hover(report, row) for row in path),
        **UNFADED,
    )


def _hover(report: ImproveReport, row: PathRow) -> str:
    titles = "<br>".join(safe_mark(title, 40) for title in _titles(report, row)) or "no demonstrations"
    return (
        f"step {row.step}: {MOVES[row.move]}<br>{titles}<br>J {signed(row.objective)} = mean {signed(row.mean)}"
        f" minus lambda times spread {number(row.spread)}<br>cost so far {number(row.passes, 1)} full passes"
    )


def _titles(report: ImproveReport, row: PathRow) -> list[str]:
    """The titles of a set, in its order; one that the shortlist does not hold has none."""
    titles = {entry.demo_id: entry.title for entry in report.shortlist}
    return [titles.get(demo, "an earlier demonstration") for demo in row.demo_ids]


def alt(report: ImproveReport) -> str:
    """Whether a better set was found, and by how much."""
    best, bare = report.best, report.zero_shot
    if best is None or bare is None:
        return "No set has been judged yet."
    ends = f" {STOPS[report.stop]}" if report.stop is not None else ""
    so_far = "" if report.stage == "complete" else " so far"
    ends += " The search is not finished." if so_far else ""
    if not best.demo_ids:
        return f"No set{so_far} is better than no demonstrations (J {in_unit(report, bare.objective)}).{ends}"
    above = f"{in_unit(report, best.objective - bare.objective)} above no demonstrations"
    if report.current is not None:
        above += f" and {in_unit(report, best.objective - report.current.objective)} against the case's own"
    size = counted(len(best.demo_ids), "demonstration")
    return f"The best set{so_far}, {size}, has J {in_unit(report, best.objective)}: {above}.{ends}"


def in_unit(report: ImproveReport, value: float) -> str:
    """A signed figure in the objective's unit: `+0.42 nats`."""
    return f"{signed(value)} {report.task.judged_by.unit}"


def confirm_table(report: ImproveReport) -> pd.DataFrame:
    """One row per rival of the set found on the confirming choices, in the objective's unit."""
    rows = report.confirmed or ()
    return pd.DataFrame(
        {
            "against": [RIVALS[row.against] for row in rows],
            "mean": [row.mean for row in rows],
            "rival_mean": [row.rival_mean for row in rows],
            "gap": [row.gap for row in rows],
            "p": [row.p for row in rows],
            "choices": [row.choices for row in rows],
        }
    )


def confirm_alt(report: ImproveReport) -> str:
    """The set found against each rival on choices that the search had not read."""
    rows = report.confirmed or ()
    if not rows:
        return "The set found is not tested."
    against = [f"{in_unit(report, row.gap)} against {RIVALS[row.against]} (p = {number(row.p)})" for row in rows]
    return (
        f"On {counted(rows[0].choices, choice_words(report.task).confirming)} the set found is at {', '.join(against)}."
    )


def table(report: ImproveReport) -> pd.DataFrame:
    """One row per step of the search, in the objective's unit."""
    rows = report.path
    return pd.DataFrame(
        {
            "step": [row.step for row in rows],
            "move": [MOVES[row.move] for row in rows],
            columns.DEMO: [" ".join(row.demo_ids) for row in rows],
            "titles": ["; ".join(_titles(report, row)) for row in rows],
            "objective": [row.objective for row in rows],
            "mean": [row.mean for row in rows],
            "spread": [row.spread for row in rows],
            "best": [row.best for row in rows],
            "improved": [row.improved for row in rows],
            "passes": [row.passes for row in rows],
        }
    )


def shortlist_table(report: ImproveReport) -> pd.DataFrame:
    """One row per shortlisted demonstration, the most relevant first; criteria that were not measured are left out."""
    rows = report.shortlist
    best = report.best.demo_ids if report.best is not None else ()
    places = {demo: place for place, demo in enumerate(best, start=1)}
    data: dict[str, object] = {
        columns.DEMO: [row.demo_id for row in rows],
        columns.TITLE: [row.title for row in rows],
        "answer": [row.answer for row in rows],
        "place_in_best": pd.array([places.get(row.demo_id) for row in rows], dtype="Int64"),
        "taken_from": [_source(report, row) for row in rows],
        "relevance": [row.relevance for row in rows],
        **_recency(report),
        "neighbours": [row.neighbours for row in rows],
        "bm25": [row.bm25 for row in rows],
        "embedding": [row.embedding for row in rows],
        "effect": [row.effect for row in rows],
    }
    table = pd.DataFrame(data)
    return table.drop(columns=[name for name in MAYBE if name in table and table[name].isna().all()])


def _source(report: ImproveReport, row: ShortlistRow) -> str:
    """Where stage one has a demonstration from."""
    if not report.task.case.imported:
        return STRATEGIES[row.source].source
    return "this case" if row.user_id == report.task.case.case else f"case {row.user_id}"


def _recency(report: ImproveReport) -> dict[str, object]:
    """How new each shortlisted demonstration is: its time, or its place in the history where the data have no times."""
    if any(row.timestamp is not None for row in report.held_out):
        return {"time_utc": [when(row.recency, "%Y-%m-%d %H:%M:%S") for row in report.shortlist]}
    return {columns.POSITION: [row.recency for row in report.shortlist]}


def shortlist_alt(report: ImproveReport) -> str:
    """How many there are, which answers, and the most relevant."""
    rows = report.shortlist
    if not rows:
        return "There is no shortlist yet."
    yes = sum(row.answer == "Yes" for row in rows)
    answers = "" if rows[0].answer is None else f", {yes} answered Yes and {len(rows) - yes} No"
    return f"{len(rows)} demonstrations to choose from{answers}. Most relevant: {plain(rows[0].title)}."


def outcomes_table(report: ImproveReport) -> pd.DataFrame:
    """One row per set: how it is judged on the held-out choices, and the case's own target under it."""
    judged = {"zero_shot": report.zero_shot, "current": report.current, "start": report.start, "best": report.best}
    after = {row.which: row for row in report.outcomes or ()}
    names = [name for name in SETS if judged[name] is not None or name in after]
    sets = [judged[name] for name in names]
    outcomes = [after.get(name) for name in names]  # type: ignore[call-overload]
    return pd.DataFrame(
        {
            "set": [SETS[name] for name in names],
            "objective": [None if row is None else row.objective for row in sets],
            "mean": [None if row is None else row.mean for row in sets],
            "spread": [None if row is None else row.spread for row in sets],
            "target_score": [None if row is None else row.score for row in outcomes],
            "target_margin": [None if row is None else row.margin for row in outcomes],
            "target_rank": _rank_column([None if row is None else row.rank for row in outcomes]),
            "ndcg_at_10": [None if row is None else row.ndcg for row in outcomes],
        }
    )


def _rank_column(ranks: list[Rank | None]) -> object:
    """Ranks as a column, without decimals where nothing is shared."""
    shared = any(isinstance(rank, float) for rank in ranks)
    return pd.array(ranks, dtype="Float64" if shared else "Int64")


def outcomes_alt(report: ImproveReport) -> str:
    """What the best set does to the case's own target, which had no part in the search."""
    after = {row.which: row for row in report.outcomes or ()}
    if "best" not in after:
        return "The case's own target is not scored."
    words = {"zero_shot": "without demonstrations", "current": "with the case's own ones"}
    others = [f"{ordinal(after[name].rank)} {word}" for name, word in words.items() if name in after]
    return f"The {report.task.case.truth} stands {_place(after['best'])} with the best set, {' and '.join(others)}."


def _place(row: Outcome) -> str:
    return f"{ordinal(row.rank)} (NDCG@10 {number(row.ndcg)})"

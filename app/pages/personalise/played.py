"""A play on the screen: its stream, the list before and after, where candidates go, what moved them, what it costs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Self

import pandas as pd
import streamlit as st
from pydantic import Field

from app import cached
from app.charts import latency, lists, moved
from app.charts import user_stream as timeline
from app.headings import headings
from app.pages.personalise import stream_words as words
from app.session import Selection
from app.settings import SETTINGS
from app.text import option, safe_html, unique_labels
from app.theme import climb_mark
from app.widgets import downloads, tab
from app.widgets.candidate_picker import candidate_picker
from app.widgets.panel import literal, panel, section, twin
from core import columns
from core.personal.personalise_task import PersonaliseReport, PersonaliseTask
from core.question.case_spec import Text
from core.question.task import Task
from core.words import NOTHING, duration

STEP, ITEM = "pick-step", "pick-listed"


class PlaySelection(Selection):
    """A step and a candidate."""

    after: Annotated[int, Field(ge=0, le=999)] | None = None
    """The step whose list is shown; None stands for the newest."""
    item: Text | None = None
    """Id of the candidate."""

    def after_run(self, before: Task | None, task: Task) -> Self:  # noqa: ARG002
        """The candidate stays."""
        return self.model_copy(update={"after": None})


def stream(report: PersonaliseReport, step: int | None) -> None:
    """The user's stream with what is played marked."""
    task, history = report.task, met(report.task)
    end = len(history) if task.known is None else task.known
    marks = timeline.marks(report, history, max(0, end - task.steps))
    earlier = len(marks) - len(timeline.drawn(marks))
    panel(
        "stream",
        "The stream",
        "Oldest on the left. Filled mark: liked; open mark: not liked. A number names the step that plays it."
        + (f" {earlier} earlier ones are in the table only." if earlier else ""),
        figure=lambda: timeline.figure(marks, tab.colours(), step=step),
        table=lambda: timeline.table(marks),
        alt=timeline.alt(marks),
        on_pick=partial(tab.pick, after=int),
    )


def met(task: PersonaliseTask) -> list[timeline.RatedTitle]:
    """The user's rated interactions before the case's moment; empty where the data cannot be opened any more."""
    subject, least = cached.preview(task), cached.like_threshold(task.case)
    if isinstance(subject, str):
        return []
    return [
        timeline.RatedTitle(
            row.position,
            subject.items[row.item_id].title,
            least is None or (row.rating is not None and row.rating >= least),
            row.timestamp,
        )
        for row in subject.case.history
        if least is None or row.rating is not None
    ]


def bar(report: PersonaliseReport) -> tuple[int | None, str | None]:
    """Which step and which candidate does every view show? By keyboard as well as by click."""
    steps = {row.step: option(lists.news(row, lambda title: title), 60) for row in report.stream}
    names = unique_labels([(row.item_id, row.title) for row in report.candidates])
    selection, newest = tab.selection(PlaySelection), report.stream[-1].step
    chosen = selection.after if selection.after in steps and selection.after != newest else None
    item = selection.item if selection.item in names else None
    with st.container(key="selection", gap="xsmall"), st.container(horizontal=True, vertical_alignment="bottom"):
        if len(steps) > 1:
            st.session_state[STEP] = newest if chosen is None else chosen
            st.selectbox(
                "List after",
                list(steps),
                format_func=lambda step: steps.get(step, str(step)),
                key=STEP,
                on_change=_step_picked,
                args=(newest,),
                help="The step after which every list and chart is shown.",
                filter_mode=None,
                width=360,
            )
        candidate_picker(ITEM, names, item, "Marked in every list and chart.")
        st.button(
            "Clear",
            key="clear-selection",
            on_click=partial(tab.select, after=None, item=None),
            disabled=item is None and chosen is None,
            help="Shows the newest step and marks no candidate.",
        )
    return chosen, item


def _step_picked(newest: int) -> None:
    step = st.session_state[STEP]
    tab.select(after=None if step == newest else step)


def changes(report: PersonaliseReport, step: int | None) -> None:
    """Which demonstrations joined the prompt at a step and which left it; those of all steps in a table."""
    row = next((row for row in report.stream if row.step == step), report.stream[-1])
    table = timeline.changes_table(report)
    if row.step == 0 and table.empty:
        return
    section("Demonstrations that came and went", words.changed(report, row))
    if not table.empty:
        with st.expander("Every step"):
            twin("changes", table, alt=f"{len(table)} changes of the demonstrations, step by step")


def before_and_after(report: PersonaliseReport, step: int | None, item: str | None) -> None:
    """The list before the play and after a step, with moves; a row selects its candidate."""
    full = lists.table(report, step)
    if columns.RANK not in full:
        return
    last = report.stream[-1].step if step is None else step
    note = f"After step {last}, best first. ◆ was really chosen next; ▲ ▼ places won or lost since before the play."
    if f"base_{columns.RANK}" in full:
        note += " Columns named base are those of the model without the adapter."
    section("The list, before and after", note, "place, score in nats")
    cells = literal(full)
    titles = zip(cells[columns.TITLE], full["chosen_next"], strict=True)
    cells[columns.TITLE] = [f"◆ {title}" if chosen else title for title, chosen in titles]
    prefixes = [prefix for prefix in ("", "base_") if f"{prefix}climb" in full]
    for prefix in prefixes:
        cells[f"{prefix}climb"] = [climb_mark(climb) for climb in full[f"{prefix}climb"]]
    ids = list(full[columns.ITEM])
    at = [place for place, listed in enumerate(ids) if listed == item]
    key = f"personalise-list-{tab.current().revisions['item']}"
    st.dataframe(
        cells,
        hide_index=True,
        key=key,
        height="content" if len(cells) < 26 else 738,
        on_select=lambda: _row(key, ids),
        selection_mode="single-row",
        selection_default={"selection": {"rows": at}} if at else None,
        placeholder=NOTHING,
        alt=lists.flow_alt(report),
        column_order=list(_WIDTHS),
        column_config=_config(full),
    )
    downloads.buttons("list", full)


_WIDTHS = {
    columns.RANK: 60,
    "climb": 68,
    columns.TITLE: 230,
    "rank_before": 68,
    columns.SCORE: 92,
    f"base_{columns.RANK}": 92,
    "base_climb": 100,
    "base_rank_before": 100,
    f"base_{columns.SCORE}": 124,
}
"""Columns of the list on the screen, in their order, and their widths in pixels."""


def _config(table: pd.DataFrame) -> dict[str, Any]:
    """Headings and widths of the list; a move is a text, since it has an arrow."""
    config, shown = st.column_config, headings("list", table)
    texts = (columns.TITLE, "climb", "base_climb")
    return {
        name: config.TextColumn(shown[name].label, width=width)
        if name in texts
        else config.NumberColumn(shown[name].label, format=shown[name].digits, width=width)
        for name, width in _WIDTHS.items()
        if name in shown
    }


def _row(key: str, ids: list[str]) -> None:
    if (place := tab.picked_row(key)) is not None:
        tab.select(item=ids[place], in_table=True)


def flow(report: PersonaliseReport, step: int | None, item: str | None) -> None:
    """Ranks over the steps, one panel per model; where nothing is selected, the candidate that rises most is strong."""
    best = lists.climber(report, lists.leading(report))
    if item is None and best is not None:
        item = report.candidates[best.index].item_id
    panel(
        "flow",
        "Where each candidate goes",
        "Place after every step, 1 on top. Thick lines: the item really chosen next (diamonds) and the selected "
        "candidate; without a selection, the one that rises most.",
        figure=lambda: lists.flow(report, tab.colours(), limit=SETTINGS.candidates_drawn, item=item, step=step),
        table=lambda: lists.flow_table(report),
        alt=lists.flow_alt(report),
        on_pick=partial(tab.pick, item=str),
    )
    steps = lists.target_table(report)
    if not steps.empty:
        with st.expander("The item really chosen next, step by step"):
            twin("target-steps", steps, alt=lists.target_alt(report))


def cause(report: PersonaliseReport, item: str | None) -> None:
    """Which demonstration moved what, by leaving its text out."""
    rows = moved.rows_of(report, lists.leading(report))
    if not rows:
        return
    names = "; ".join(
        safe_html(moved.demo_words(row, place, lambda title: title), 60) for place, row in enumerate(rows)
    )
    panel(
        "matrix",
        "Which demonstration moved the list",
        "Nats by which a candidate's margin over the field falls when the demonstration's text is left out of the last "
        "prompt, one at a time; + and blue, it falls; − and orange, it rises. Under the pointer and in the table: the "
        f"measured place without it, and the own score. {names}.",
        figure=lambda: moved.figure(report, tab.colours(), limit=SETTINGS.candidates_drawn, item=item),
        table=lambda: moved.table(report),
        alt=moved.alt(report),
        on_pick=partial(tab.pick, item=lambda cell: str(cell[1])),
    )


def times(report: PersonaliseReport) -> None:
    """Time and tokens of every step, picking demonstrations told apart."""
    if len(report.stream) < 2:
        return
    share = report.share_run(lists.leading(report)) or 0.0
    panel(
        "latency",
        "What one new interaction costs",
        "Left: time from the new interaction to the new list. Right: tokens of the whole prompt with all candidates, "
        f"and the tokens that were run, {100 * share:.0f} % of them in the steps; the others were remembered from "
        f"the step before. {words.reuse(report)} The play took {duration(report.seconds)} in all.",
        figure=lambda: latency.figure(report, tab.colours()),
        table=lambda: latency.table(report),
        alt=latency.alt(report),
    )

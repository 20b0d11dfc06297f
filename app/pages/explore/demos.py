"""The demonstrations in the prompt, what each adds, and the draft of others in their place: one table for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from app import cached
from app.list_reading import target_without
from app.pages.explore.demo_rows import Addition, RowState, changes, edited, ids_of, rows_of, with_addition
from app.pages.explore.drawn_rows import colours_of, columns_of, drawn_rows, shows
from app.pages.explore.replacement import Offer, picked, predicted_rows
from app.pages.explore.selection import selected_demo
from app.session import question_of
from app.text import capital, counted, safe_html
from app.widgets import downloads, failures, preview, tab
from app.widgets.browser_component import message
from app.widgets.demo_table import component
from app.widgets.demo_table.messages import edit_of, selected_of
from app.widgets.panel import section
from app.widgets.pickers import picking_strategy
from core import columns
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.analysis.quality.quality_task import QualityReport, QualityTask
from core.prompt.families import FAMILIES
from core.question.case_spec import CaseSpec
from core.question.shown_candidates import shown_sentence

WITHOUT = "place_without"
TABLE, ADDED, POOL = "demos-table", "demos-added", "demos-pool-open"
SAME_CASE = ("cases", "case", "dataset", "user", "split")
"""Choices of a case that its demonstrations belong to."""


def demos(explanation: Explanation) -> None:
    """The demonstrations in prompt order: to read, to select, and to change for the next run."""
    note = f"{_few(explanation)}In prompt order. Untick, drag or replace them for the next run."
    section("Demonstrations", note, "nats effect")
    if not explanation.demos:
        failures.note("None: this is the zero-shot ranking. Set a number on the left, or add some.")
    rows = rows_now(explanation)
    if rows:
        _table(explanation, rows)
    _next_run(explanation, rows)
    if shows := shown_sentence(explanation.demos, explanation.chosen_next, truth=explanation.task.case.truth):
        failures.note(shows)
    _as_read(explanation)
    if explanation.demos:
        downloads.buttons("demonstrations", table(explanation))


def _few(explanation: Explanation) -> str:
    """How many of those asked for there are, where they are fewer."""
    count, case = len(explanation.demos), explanation.task.case
    short = case.demo_ids is None and not case.imported and count < case.demos
    return f"Only {count} of the {case.demos} asked for. " if short else ""


def table(explanation: Explanation) -> pd.DataFrame:
    """One row per demonstration, in prompt order; contributions in nats."""
    answer = explanation.contributions
    return pd.DataFrame(
        [
            {
                columns.DEMO: row.label,
                columns.TITLE: row.title,
                "answer": row.answer,
                columns.CONTRIBUTION: answer.values[index] if answer else None,
                columns.LOW: answer.low[index] if answer and answer.low else None,
                columns.HIGH: answer.high[index] if answer and answer.high else None,
                **_place(explanation, index),
                "tokens": row.tokens,
                "shows": shows(row, explanation),
                columns.SOURCE: row.source,
                "demo_id": row.demo_id,
                "text": row.text,
            }
            for index, row in enumerate(explanation.demos)
        ]
    )


def _place(explanation: Explanation, demo: int) -> dict[str, object]:
    """The target's place without a demonstration, and whether it was measured; nothing where neither is there."""
    place = target_without(explanation, demo)
    if place is None:
        return {}
    return {
        WITHOUT: place.value,
        f"{WITHOUT}_low": place.low,
        f"{WITHOUT}_high": place.high,
        f"{WITHOUT}_measured": place.measured,
    }


def _as_read(explanation: Explanation) -> None:
    """The text of the selected demonstration."""
    if (chosen := selected_demo(explanation)) is not None:
        row = explanation.demos[chosen]
        st.html(f'<p class="dl-note"><strong>{row.label}</strong> as the model reads it: {safe_html(row.text)}</p>')


# ---- the rows, and what is drawn of them


def editable(explanation: Explanation, draft: Explain) -> bool:
    """Whether the next run is about the same case, so that its demonstrations are these, changed."""
    return all(getattr(draft.case, name) == getattr(explanation.task.case, name) for name in SAME_CASE)


def only_rows_changed(before: CaseSpec, now: CaseSpec) -> bool:
    """Whether a case differs from the one before in demonstrations by hand alone, which the table itself shows."""
    rows = {"demo_ids", "strategy"}
    return now.demo_ids is not None and before.model_dump(exclude=rows) == now.model_dump(exclude=rows)


def rows_now(explanation: Explanation) -> list[RowState]:
    """The rows of the result as the draft has changed them."""
    draft = tab.draft(Explain)
    by_hand = draft.case.demo_ids if editable(explanation, draft) else None
    labelled = FAMILIES[explanation.task.case.family].labelled
    return rows_of(explanation.demos, by_hand, _additions(draft, by_hand), labelled=labelled)


def _additions(draft: Explain, ids: Sequence[str] | None) -> Mapping[str, Addition]:
    """Id -> what is known of each demonstration of the draft; nothing where it cannot be run."""
    subject = cached.preview(draft) if ids else ""
    if isinstance(subject, str):
        return {}
    return {demo.demo_id: Addition(subject.items[demo.item_id], demo.liked) for demo in subject.demos}


def _table(explanation: Explanation, rows: list[RowState]) -> None:
    chosen, quality = selected_demo(explanation), _quality(explanation)
    labelled = FAMILIES[explanation.task.case.family].labelled
    shown_columns = columns_of(explanation, quality, labelled=labelled)
    chosen_key = next((row.key for row in rows if chosen is not None and row.index == chosen), None)
    data = {
        "of": explanation.key,
        "answered": tab.current().controls.get(TABLE, 0),
        "label": "Demonstrations in prompt order",
        "columns": [column.name for column in shown_columns],
        "heads": {column.name: asdict(column) for column in shown_columns},
        "colours": colours_of(tab.colours()),
        "rows": drawn_rows(explanation, rows, quality, predicted_rows(explanation, rows)),
        "selected": chosen_key,
        "editable": editable(explanation, tab.draft(Explain)),
    }
    component.show(
        data,
        key=TABLE,
        on_select=partial(_selected, rows),
        on_edit=partial(_edited, explanation, rows, labelled),
    )


def _quality(explanation: Explanation) -> QualityReport | None:
    """The quality scores of the same question, where they were measured."""
    job = cached.job_of(QualityTask(**question_of(explanation.task)))
    report = None if job is None else job.report
    return report if isinstance(report, QualityReport) else None


# ---- what a person does


def _selected(rows: Sequence[RowState]) -> None:
    place = selected_of(message(TABLE, "select"), [row.key for row in rows])
    index = None if place is None else rows[place].index
    if index is not None:
        tab.select(demo=index + 1)


def _edited(explanation: Explanation, rows: Sequence[RowState], labelled: bool) -> None:
    edit = edit_of(message(TABLE, "edit"), [row.key for row in rows], labelled=labelled)
    if edit is None or not editable(explanation, tab.draft(Explain)):
        return
    tab.current().controls[TABLE] = edit.sequence
    use_rows(explanation, edited(rows, edit))


def use_rows(explanation: Explanation, rows: Sequence[RowState]) -> None:
    """Make the rows the draft by hand; those of the result as they are give the draft its own choices back."""
    if changes(rows):
        tab.change(demo_ids=ids_of(rows), strategy="manual")
    else:
        _undo(explanation.task.case)


def _undo(case: CaseSpec) -> None:
    """The demonstrations that the result has."""
    tab.change(demo_ids=case.demo_ids, strategy=case.strategy)


def _drop() -> None:
    tab.change(demo_ids=None, strategy=picking_strategy(tab.current().draft.case))


def _run() -> None:
    if not isinstance(cached.preview(tab.current().draft), str):  # Else the page says what is wrong.
        tab.run()


def _add_typed(rows: Sequence[RowState]) -> None:
    """Add the typed ids behind the others."""
    typed = st.session_state[ADDED].split()
    if typed:
        tab.change(demo_ids=(*ids_of(rows), *typed), strategy="manual")
    if not tab.view().notice:
        st.session_state[ADDED] = ""


def _take(rows: Sequence[RowState], offer: Offer, instead: int | None) -> None:
    """Put what was picked behind the others, or in the place of the result's demonstration `instead`."""
    more = with_addition(rows, offer.demo_id, offer.item, offer.answer, instead)
    tab.change(demo_ids=ids_of(more), strategy="manual")
    tab.current().controls[POOL] = False


def _open_pool() -> None:
    controls = tab.current().controls
    controls[POOL] = not controls.get(POOL, False)


# ---- the next run


def _next_run(explanation: Explanation, rows: Sequence[RowState]) -> None:
    """What was changed, and the buttons that run or drop it."""
    draft, case = tab.draft(Explain), explanation.task.case
    if not editable(explanation, draft):
        failures.note("The next run is about another case: run it first, then change its demonstrations.")
        return
    changed = changes(rows) or _back_to_strategy(draft, case)
    _line(changed, draft)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="demos-buttons"):
        st.button("Run with these", key="use-demos", type="primary", on_click=_run, disabled=not changed)
        st.button("Undo changes", key="undo-demos", on_click=_undo, args=(case,), disabled=not changed)
        own = draft.case.demo_ids is None
        back = "Back to those logged" if case.imported else "Back to the strategy's own"
        st.button(back, key="drop-demos", on_click=_drop, disabled=own)
        chosen = selected_demo(explanation)
        label = "Replace or add\u2026" if chosen is None else f"Replace D{chosen + 1} or add\u2026"
        st.button(label, key="pool-demos", on_click=_open_pool)
    if tab.current().controls.get(POOL):
        _pool(explanation, rows)


def _pool(explanation: Explanation, rows: Sequence[RowState]) -> None:
    """What could be shown instead, with its predicted effect, and the buttons that take it into the draft."""
    chosen = selected_demo(explanation)
    replaced = next((row for row in rows if row.index is not None and row.index == chosen and row.stays), None)
    with st.container(border=True, key="demos-pool-box"):
        offer = picked(explanation, rows)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            label = "Replace the selected one" if replaced is None else f"Replace {replaced.label}"
            st.button(
                label,
                key="replace-demo",
                on_click=_take,
                args=(rows, offer, chosen),
                disabled=offer is None or replaced is None,
                help="Select a demonstration in the table first." if replaced is None else None,
            )
            st.button(
                "Add at the end", key="add-demo", on_click=_take, args=(rows, offer, None), disabled=offer is None
            )
            st.text_input(
                "Add by id",
                key=ADDED,
                placeholder=_an_id(explanation.task.case),
                max_chars=200,
                width=180,
                on_change=_add_typed,
                args=(rows,),
                help="case:dN, demonstration N of a case of the file"
                if explanation.task.case.imported
                else "user:position, the position counted from 0 in that user's history; add :yes or :no to set the "
                "answer",
            )


def _an_id(case: CaseSpec) -> str:
    """What the id of a demonstration looks like."""
    return f"{case.case}:d1" if case.imported else f"{case.user}:3"


def _back_to_strategy(draft: Explain, case: CaseSpec) -> str:
    """That the next run picks its demonstrations where this result has some by hand; empty where it has none."""
    back = draft.case.demo_ids is None and case.demo_ids is not None
    if back and case.imported:
        return "the demonstrations as they were logged"
    return f"{counted(draft.case.demos, 'demonstration')} that the strategy picks" if back else ""


def _line(changed: str, draft: Explain) -> None:
    if changed:
        st.html(f'<p class="dl-unrun" role="status">{safe_html(f"{capital(changed)}: not run yet.")}</p>')
        subject = cached.preview(draft)
        if isinstance(subject, str):
            failures.note(subject)
        elif subject.awaits_model:
            failures.note(preview.picked_later(subject))

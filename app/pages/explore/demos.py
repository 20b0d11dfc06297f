"""The demonstrations in the prompt, what each adds, and an editor for others in their place."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app import cached
from app.headings import without_minus_zero
from app.list_reading import candidate_index, place_without
from app.pages.explore.selection import selected_demo
from app.sentences import SOURCES, pairs
from app.text import counted, safe_html
from app.widgets import downloads, failures, preview, tab
from app.widgets.panel import literal, switched
from app.widgets.pickers import picking_strategy
from core import columns
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.prompt.families import ANSWERS, FAMILIES
from core.question.shown_candidates import shown_sentence
from core.question.task import DemoRow
from core.words import NOTHING

READ, EDIT = "Read", "Edit"
SHOWS = "shows"
WITHOUT = "place_without"
SHOWS_HELP = "A candidate that stands in this demonstration, as what was chosen or in the history before it."
EDITOR, ADDED = "demos-editor", "demos-added"
DECIMALS = 2
"""Of a contribution and the ends of its interval, in nats."""


def demos(explanation: Explanation) -> None:
    """The demonstrations in prompt order, to read or to edit."""
    count, case = len(explanation.demos), explanation.task.case
    short = case.demo_ids is None and count < case.demos
    few = f"Only {count} of the {case.demos} asked for. " if short else ""
    note = f"{few}In prompt order. Contribution: nats of what is explained, with the ends of the 90 % interval."
    form = switched("demos", "Demonstrations", note, [READ, EDIT])
    if form == READ and (shown := shown_sentence(explanation.demos, explanation.chosen_next)):
        failures.note(shown)
    if form == READ and (joint := pairs(explanation)):
        failures.note(joint)
    if form == EDIT:
        _edit(explanation)
    elif not explanation.demos:
        failures.note("None: this is the zero-shot ranking. Set a number on the left, or name some with Edit.")
    else:
        _read(explanation)


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
                SHOWS: _shown(row, explanation),
                columns.SOURCE: row.source,
                "demo_id": row.demo_id,
                "text": row.text,
            }
            for index, row in enumerate(explanation.demos)
        ]
    )


def _place(explanation: Explanation, demo: int) -> dict[str, object]:
    """The target's place without a demonstration, and whether it was measured; nothing where neither is there."""
    answer = explanation.contributions
    at = None if answer is None else candidate_index(explanation, answer.target.item_id)
    place = None if at is None else place_without(explanation, demo, at)
    if place is None:
        return {}
    return {
        WITHOUT: place.value,
        f"{WITHOUT}_low": place.low,
        f"{WITHOUT}_high": place.high,
        f"{WITHOUT}_measured": place.measured,
    }


def _shown(demo: DemoRow, explanation: Explanation) -> str:
    """Titles of the candidates that a demonstration shows, the item really chosen next marked and first."""
    rows = [row for row in explanation.candidates if row.item_id in demo.shows]
    rows.sort(key=lambda row: not row.is_target)
    return "; ".join(f"\u25c6 chosen next: {row.title}" if row.is_target else f"\u25c7 {row.title}" for row in rows)


def _read(explanation: Explanation) -> None:
    full = table(explanation)
    chosen = selected_demo(explanation)
    key = f"demos-table-{tab.current().revisions['demo']}"
    st.dataframe(
        literal(_rounded(full).assign(source=full[columns.SOURCE].map(lambda name: SOURCES.get(name, name)))),
        hide_index=True,
        key=key,
        height="content" if len(full) <= 12 else 440,
        on_select=lambda: _picked(key),
        selection_mode="single-row",
        selection_default={"selection": {"rows": [chosen]}} if chosen is not None else None,
        placeholder=NOTHING,
        column_order=_columns(explanation),
        column_config=_config(),
        alt="Demonstrations in prompt order with their contributions",
    )
    if chosen is not None:
        row = explanation.demos[chosen]
        st.html(f'<p class="dl-note"><strong>{row.label}</strong> as the model reads it: {safe_html(row.text)}</p>')
    downloads.buttons("demonstrations", full)


def _columns(explanation: Explanation) -> list[str]:
    answers = ["answer"] if any(row.answer for row in explanation.demos) else []
    answer = explanation.contributions
    amounts = [columns.CONTRIBUTION] if answer else []
    spread = [columns.LOW, columns.HIGH] if answer and answer.low else []
    spread += [WITHOUT, f"{WITHOUT}_measured"] if explanation.list_effects is not None else []
    shows = [SHOWS] if any(row.shows for row in explanation.demos) else []
    return [columns.DEMO, columns.TITLE, *answers, *amounts, *spread, "tokens", *shows, columns.SOURCE]


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    amounts = [name for name in (columns.CONTRIBUTION, columns.LOW, columns.HIGH) if name in table]
    return table.assign(**{name: without_minus_zero(pd.to_numeric(table[name]), DECIMALS) for name in amounts})


def _config() -> dict[str, Any]:
    config = st.column_config
    return {
        columns.DEMO: config.TextColumn("", width=44),
        columns.TITLE: config.TextColumn("title", width="medium"),
        "answer": config.TextColumn("answer", width=64),
        columns.CONTRIBUTION: config.NumberColumn("contribution", format=f"%+.{DECIMALS}f", width=100),
        columns.LOW: config.NumberColumn("low", format=f"%+.{DECIMALS}f", width=64),
        columns.HIGH: config.NumberColumn("high", format=f"%+.{DECIMALS}f", width=64),
        WITHOUT: config.NumberColumn("place without it", format="%.1f", width=110),
        f"{WITHOUT}_measured": config.CheckboxColumn("measured", width=76),
        "tokens": config.NumberColumn("tokens", width=64),
        SHOWS: config.TextColumn("shows candidate", width="small", help=SHOWS_HELP),
        columns.SOURCE: config.TextColumn("picked as", width="small"),
        "text": config.TextColumn("text", width="large"),
    }


def _picked(key: str) -> None:
    if (place := tab.picked_row(key)) is not None:
        tab.select(demo=place + 1, in_table=True)


def _edit(explanation: Explanation) -> None:
    """Include, order and answers of the draft's demonstrations; "Run with these" makes them the draft by hand."""
    page, draft = tab.current(), tab.draft(Explain)
    frame = editable(explanation, draft)
    if isinstance(frame, str):
        failures.note(frame)
        return
    labelled = FAMILIES[draft.case.family].labelled
    config = st.column_config
    edited = st.data_editor(
        literal(frame),
        hide_index=True,
        key=f"{EDITOR}-{draft.model_dump_json()}",
        disabled=["title", "id"],
        height="content",
        column_order=["include", "order", "title", *(["answer"] if labelled else [])],
        column_config={
            "include": config.CheckboxColumn("include", width=70),
            "order": config.NumberColumn("order", min_value=1, max_value=99, step=1, width=64),
            "title": config.TextColumn("title", width="large"),
            "answer": config.SelectboxColumn("answer", options=["Yes", "No"], required=True, width=80),
        },
        alt="Demonstrations to edit",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        added = st.text_input(
            "Add by id",
            key=ADDED,
            placeholder=f"{draft.case.user}:3",
            max_chars=200,
            width=220,
            help="user:position, the position counted from 0 in that user's history; add :yes or :no to set the answer",
        )
        ids = chosen_ids(edited, frame, added)
        same = page.task is not None and ids == draft.case.demo_ids == page.task.case.demo_ids
        st.button("Run with these", key="use-demos", type="primary", on_click=_use, args=(ids,), disabled=same)
        st.button("Back to the strategy's own", key="drop-demos", on_click=_drop, disabled=draft.case.demo_ids is None)
    failures.note(f"{counted(len(ids), 'demonstration')} in this order: {', '.join(ids) or 'none'}")


def editable(explanation: Explanation, draft: Explain) -> pd.DataFrame | str:
    """The draft's demonstrations in prompt order, or one sentence saying why there are none to edit.

    Those that the model picks are known once an explanation of the same choices is there.
    """
    subject = cached.preview(draft)
    if isinstance(subject, str):
        return subject
    rows = [(subject.items[demo.item_id].title, demo.liked, demo.demo_id) for demo in subject.demos]
    if subject.awaits_model:
        if explanation.task.case != draft.case:
            return f"{preview.picked_later(subject)} Press Run, then edit them."
        rows = [(row.title, row.answer != ANSWERS[1], row.demo_id) for row in explanation.demos]
    return pd.DataFrame(
        {
            "include": [True] * len(rows),
            "order": list(range(1, len(rows) + 1)),
            "title": [title for title, _, _ in rows],
            "answer": ["Yes" if liked else "No" for _, liked, _ in rows],
            "id": [demo_id for _, _, demo_id in rows],
        }
    )


def chosen_ids(edited: pd.DataFrame, before: pd.DataFrame, added: str) -> tuple[str, ...]:
    """Ids in the edited order; a flipped answer is written behind the id."""
    rows = edited.assign(was=before["answer"], real=before["id"])
    rows = rows[rows["include"]].sort_values("order", kind="stable")
    ids = [
        _with_answer(str(row["real"]), str(row["answer"]), row["answer"] != row["was"]) for _, row in rows.iterrows()
    ]
    return (*ids, *added.split())


def _with_answer(demo_id: str, answer: str, flipped: bool) -> str:
    return f"{demo_id.removesuffix(':yes').removesuffix(':no')}:{answer.lower()}" if flipped else demo_id


def _use(ids: tuple[str, ...]) -> None:
    tab.change(demo_ids=ids, strategy="manual")
    if not tab.view().notice and not isinstance(cached.preview(tab.current().draft), str):
        st.session_state[ADDED] = ""  # Else the page says what is wrong.
        tab.run()


def _drop() -> None:
    tab.change(demo_ids=None, strategy=picking_strategy(tab.current().draft.case))

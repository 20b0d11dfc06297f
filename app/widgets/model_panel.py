"""What was found of the chosen model, beside its picker: before Run, and without loading it unasked."""

from __future__ import annotations

import html

import streamlit as st

from app import cached
from app.settings import SETTINGS
from app.text import safe_html
from app.widgets import failures, preview, tab
from core.question.case_spec import CaseSpec

KEY = "model-panel"
LOAD = "Load and check"
HINT = "Loads the model now, compares packed and remembered passes with plain ones, and keeps it for the next run."


def model_panel() -> None:
    """A popover that says what was found of the draft's model; nothing is asked while it is closed."""
    case = tab.current().draft.case
    popover = st.popover(
        "About this model",
        key=KEY,
        on_change=_opened,
        type="tertiary",
        help="Family, sizes, memory, the self-check against plain passes, and why a model is refused.",
    )
    if popover.open:
        with popover:
            _about(case)


def _opened() -> None:
    """Look anew each time it is opened: a run may have loaded the model meanwhile."""
    case = tab.current().draft.case
    if st.session_state.get(KEY) and cached.agreed(case):
        cached.desk().examine(case, again=True)


def _about(case: CaseSpec) -> None:
    if not cached.agreed(case):
        failures.note(preview.consent(case))
        return
    examination = cached.desk().examine(case)
    facts = examination.facts
    if facts is not None and facts.refusal is not None:
        failures.box("This model cannot be used", facts.refusal)
    if examination.sentence:
        failures.box("No answer", examination.sentence)
    if examination.state != "done":
        _wait(case)
    elif examination.loaded:
        failures.note("Loaded on this machine and checked against plain passes.")
    else:
        refused = facts is not None and facts.refusal is not None
        st.button("Look again" if refused else LOAD, key="load-model", on_click=_load, args=(case,), help=HINT)
    if facts is not None:
        rows = "".join(f"<dt>{html.escape(row.label)}</dt><dd>{safe_html(row.text, 400)}</dd>" for row in facts.rows)
        st.html(f'<dl class="dl-facts dl-model">{rows}</dl>')


def _load(case: CaseSpec) -> None:
    cached.agree(*filter(None, (case.model, case.adapter)))
    cached.desk().examine(case, load=True)


def _wait(case: CaseSpec) -> None:
    """How far the worker is; the page is drawn anew when it has answered."""

    @st.fragment(run_every=SETTINGS.poll_seconds)
    def waiting() -> None:
        examination = cached.desk().examine(case)
        if examination.state == "done":
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center"):
            label = examination.label or "waiting for the worker"
            failures.note(f"{label[0].upper()}{label[1:]} …")
            st.button("Cancel", key="cancel-model", on_click=cached.desk().cancel, args=(examination.key,))

    waiting()

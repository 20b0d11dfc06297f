"""One case: its cuts, tinted and corrected in place, its answer options, and the way to Explore."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from app.pages.prompts.cut_editor import component
from app.pages.prompts.cut_editor.messages import Correction, corrected, correction_of
from app.pages.prompts.intake import OPTION_WORDS, SOURCE_WORDS, for_screen
from app.pages.prompts.part_kinds import PART_ROWS, drawn_parts, part_label
from app.pages.prompts.prompts_view import CaseDraft, PromptsView, current
from app.session import View
from app.text import capital, counted, safe_html, unique_labels
from app.widgets import failures, next_steps, tab
from app.widgets.browser_component import message
from app.widgets.panel import section
from core.errors import DemoLensError
from core.prompt.imported.case_file import OptionsFrom, PromptCase
from core.prompt.imported.corrections import set_options, set_target
from core.prompt.imported.leaks import findings_of
from core.prompt.imported.stored_cases import with_changes
from core.question.case_spec import OF_BUILT_CASES, CaseSpec
from core.question.task import TargetTask

EDITOR = "cut-editor"
KIND, TARGET, LABELS, TITLES = (f"in-case-{name}" for name in ("options", "target", "labels", "titles"))
FAULT = "prompts-fault"
"""Where a sentence about the last press waits for the redraw."""
MOST_STATES = 200
"""Corrections that can be undone."""
MOST_RIVALS = 1_000
"""Cases at the beginning of the file whose answers a logged answer is held against."""
MOST_SHOWN = 30
"""Options in the list."""
UNKNOWN = ""
"""Stands for no true answer."""


@st.fragment
def case_section(name: str, case_id: str) -> None:
    """The case of that file and id; a press inside draws this section only."""
    view = current()
    if (name, case_id) != (view.name, view.case_id):
        st.rerun(scope="app")
    try:
        _section(view, view.draft)
    except DemoLensError as fault:  # The file is not what it was.
        failures.note(str(fault))


def _section(view: PromptsView, draft: CaseDraft) -> None:
    _head(view, draft)
    if fault := st.session_state.pop(FAULT, ""):
        failures.note(fault)
    findings = findings_of(draft.case)
    failures.notices([finding.sentence for finding in findings if finding.leak], "The true answer is given away")
    _editor(view, draft)
    _options(draft)
    others = [finding.sentence for finding in findings if not finding.leak]
    failures.notices(list(dict.fromkeys([*draft.case.notices, *others])))


def _head(view: PromptsView, draft: CaseDraft) -> None:
    case = draft.case
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="case-head"):
        st.html(
            f'<h2 class="dl-section">Case {safe_html(case.case_id, 60)}</h2><p class="dl-note">{_facts(case)}</p>',
            width="stretch",
        )
        with st.container(horizontal=True, width="content", gap="small"):
            count = counted(len(view.changes), "case")
            hint = f"Stores a new case file with {count} as corrected here; the old one stays."
            st.button(
                "Save corrections", key="prompts-save", on_click=_press_save, help=hint, disabled=not view.changes
            )
            hint = "Opens Explore with this prompt and runs it; nothing else needs to be chosen."
            if st.button("Explain", key="prompts-explain", type="primary", help=hint, shortcut="Ctrl+Enter"):
                _explain(view)


def _facts(case: PromptCase) -> str:
    history = len({part.number for part in case.parts if part.kind == "history"})
    letters = sum(len(part.text) for part in case.parts)
    facts = [counted(case.demo_count, "demonstration")]
    facts += [counted(history, "history item")] if history else []
    facts += [f"{letters:,} characters", f"answer options from {SOURCE_WORDS[case.options_from]}"]
    facts += ["corrected by hand"] if case.cuts_from == "hand" else []
    return ", ".join(facts) + "."


def _editor(view: PromptsView, draft: CaseDraft) -> None:
    dark = tab.colours().kind == "dark"
    component.show(
        {
            "of": f"{view.name} {view.case_id}",
            "revision": draft.revision,
            "active": min(draft.active, len(draft.case.parts) - 1),
            "news": draft.news,
            "undo": len(draft.states) > 1,
            "parts": drawn_parts(draft.case),
            "kinds": [
                {"kind": row.kind, "words": row.words, "help": row.help, "letter": row.letter} for row in PART_ROWS
            ],
            "colours": {row.kind: row.dark if dark else row.light for row in PART_ROWS},
        },
        key=EDITOR,
        on_correct=_correct,
    )
    failures.note(
        "Click into the text and press Enter to cut there. P, D, H and Q set the kind of a part, J joins it with the "
        "next, B makes it belong to the demonstration before, Z undoes; Alt and arrow keys go from part to part."
    )


def _correct() -> None:
    """Take in what the browser sent; what is of another form, or of an earlier state, is passed over."""
    correction, draft = correction_of(message(EDITOR, component.EVENT)), current().draft
    if correction is not None and correction.revision == draft.revision:
        draft.revision += 1
        _apply(draft, correction)


def _apply(draft: CaseDraft, correction: Correction) -> None:
    if correction.action == "undo":
        if len(draft.states) > 1:
            draft.states.pop()
        draft.news = "Undone"
        return
    try:
        case, draft.active = corrected(draft.case, correction)
    except DemoLensError as fault:
        draft.news = str(fault)
        return
    _keep(draft, case)
    parts, place = case.parts, min(draft.active, len(case.parts) - 1)
    draft.news = f"Part {place + 1} of {len(parts)}: {part_label(parts[place], parts[place - 1] if place else None)}"


def _keep(draft: CaseDraft, case: PromptCase) -> None:
    draft.states = [draft.states[0], *draft.states[1:][-MOST_STATES:], case]


# ---- answer options


def _options(draft: CaseDraft) -> None:
    case = draft.case
    section("Answer options", "The model chooses from these: each becomes a candidate with a score.")
    left, right = st.columns(2)
    with left:
        _source(case)
    with right:
        _true_answer(case)
    items = "".join(_option(option.text, option.option_id == case.target) for option in case.options[:MOST_SHOWN])
    more = f"<li>and {len(case.options) - MOST_SHOWN} more</li>" if len(case.options) > MOST_SHOWN else ""
    st.html(f'<ol class="dl-list">{items}{more}</ol>')


def _option(text: str, true: bool) -> str:
    mark = " <strong>the true answer</strong>" if true else ""
    return f"<li>{safe_html(text, 300)}{mark}</li>"


def _source(case: PromptCase) -> None:
    kinds: tuple[OptionsFrom, ...] = get_args(OptionsFrom)
    st.session_state[KIND] = case.options_from
    st.selectbox(
        "Where they come from",
        kinds,
        format_func=lambda name: OPTION_WORDS[name],
        key=KIND,
        on_change=_change_options,
        help="For this case alone; for the whole file it is chosen when the file is imported.",
        filter_mode=None,
    )
    texts = [option.text for option in case.options]
    if case.options_from == "labels":
        st.session_state[LABELS] = ", ".join(texts)
        st.text_input("Labels, separated by commas", key=LABELS, max_chars=10_000, on_change=_change_labels)
    if case.options_from == "titles":
        st.session_state[TITLES] = "\n".join(texts)
        st.text_area("Titles, one a line", key=TITLES, max_chars=100_000, on_change=_change_titles)


def _true_answer(case: PromptCase) -> None:
    names = unique_labels([(option.option_id, option.text) for option in case.options])
    st.session_state[TARGET] = UNKNOWN if case.target is None else case.target
    st.selectbox(
        "True answer",
        [UNKNOWN, *names],
        format_func=lambda name: names.get(name, "not known"),
        key=TARGET,
        on_change=lambda: _changed(lambda case: set_target(case, st.session_state[TARGET] or None)),
        help="What the user really chose, where it is known; without it the explained option is chosen in Explore.",
        filter_mode="fuzzy",
    )


def _change_options() -> None:
    source = st.session_state[KIND]
    texts = [option.text for option in current().draft.case.options]
    rivals = _rivals(current()) if source == "completion" else ()
    titles = texts if source == "titles" else ()
    _changed(lambda case: set_options(case, source, titles=titles, others=rivals))


def _change_labels() -> None:
    labels = [label.strip() for label in st.session_state[LABELS].split(",") if label.strip()]
    if len(set(labels)) > 1:
        _changed(lambda case: set_options(case, "labels", labels=tuple(dict.fromkeys(labels))))


def _change_titles() -> None:
    titles = [line.strip() for line in st.session_state[TITLES].splitlines() if line.strip()]
    _changed(lambda case: set_options(case, "titles", titles=titles))


def _changed(change: Any) -> None:
    """Change the case in hand; what cannot be done is said."""
    draft = current().draft
    try:
        case = change(draft.case)
    except DemoLensError as fault:
        st.session_state[FAULT] = capital(for_screen(str(fault))) + "."
        return
    draft.revision += 1
    _keep(draft, case)


def _rivals(view: PromptsView) -> tuple[str, ...]:
    """Logged answers of the first cases of the file."""
    cases = view.cases
    rows = (cases.logged(case_id) for case_id in cases.case_ids[:MOST_RIVALS])
    return tuple(dict.fromkeys(row.completion.strip() for row in rows if row.completion and row.completion.strip()))


# ---- where it goes


def _press_save() -> None:
    _save()


def _save() -> str | None:
    """Store the corrections as a new case file and look at it; None, with a sentence, where that fails."""
    view = current()
    assert view.name is not None
    try:
        if view.changes:
            view.open(with_changes(view.name, view.changes), view.case_id)
    except DemoLensError as fault:
        st.session_state[FAULT] = capital(str(fault)) + "."
        return None
    return view.name


def _explain(view: PromptsView) -> None:
    """Open Explore on this case and run it; every other choice stays as it was there."""
    name = _save()
    if name is None:
        return
    shared: View = tab.view()
    usual = {field: CaseSpec.model_fields[field].default for field in OF_BUILT_CASES}
    chosen = {"demo_ids": None, "cases": name, "case": view.case_id}
    question = TargetTask(case=shared.shared.case.model_copy(update=usual | chosen))
    next_steps.go("explain", question, runs=True)

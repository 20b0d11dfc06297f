"""The side bar of the Personalise page: how far the user's stream goes, and what is added to it by hand."""

from __future__ import annotations

import streamlit as st

from app import cached
from app.text import safe_html, safe_label, unique_labels
from app.widgets import failures, fields, tab
from core.errors import DemoLensError
from core.lm.loading.adapter import is_there
from core.personal.personalise_task import PersonaliseTask

MOST_TITLES = 30
"""That a search offers."""
MOST_ADDED = 20
ANSWERS = {"yes": "liked", "no": "not liked"}
FIND, PICK, ANSWER, USER = "find-title", "pick-title", "pick-answer", "personalise-user"
MISSING = "no adapter comes with this copy."
TUNE = "demolens tune makes one for your own data; name its folder under Advanced."


def controls() -> None:
    """The end of the play, its length, interactions by hand, and the base model beside the adapter."""
    subject = cached.preview(tab.draft(PersonaliseTask))
    total = None if isinstance(subject, str) else len(subject.case.history)
    _another_user(total)
    draft = tab.draft(PersonaliseTask)
    _stepping(draft.known, total)
    hint = "How many of the newest known ones are played, one step each."
    fields.number("steps", "Interactions played", 0, 50, hint)
    with st.expander("Add an interaction by hand", expanded=bool(draft.added)):
        _by_hand(draft)
    if draft.case.adapter is not None:
        hint = "Plays the stream with both models; takes twice as long."
        fields.toggle("compare", "Base model beside the adapter", hint)
    elif is_there("recicl"):
        failures.note("The base model plays alone. Choose the shipped adapter under Advanced to play the tuned model.")
    else:
        failures.note(f"The base model plays alone: {MISSING} {TUNE}")


def _another_user(total: int | None) -> None:
    """The place in one user's stream says nothing about another's; items made by hand belong to their data set.

    `total`: interactions before the case's moment, None where the case cannot be made.
    """
    page, draft = tab.current(), tab.draft(PersonaliseTask)
    case, before = draft.case, st.session_state.get(USER)
    st.session_state[USER] = (case.dataset, case.user, case.split)
    arrived = page.task is not None and page.task.case == case
    beyond = draft.known is not None and total is not None and draft.known >= total
    if before is not None and before != st.session_state[USER] and not arrived:
        added = draft.added if before[0] == case.dataset else ()
        page.draft = draft.model_copy(update={"known": None, "added": added})
    elif beyond and not arrived:
        page.draft = draft.model_copy(update={"known": None})


def _stepping(end: int | None, total: int | None) -> None:
    """Two buttons that move the end of the play by one interaction."""
    end = end if total is None or end is not None else total
    if total is None or end is None:
        words = "These choices cannot be run, so the place in the stream is not known."
    elif total == 0:
        words = "Nothing of this user is known before this moment, so there is nothing to play."
    else:
        words = f"<strong>{end} of {total}</strong> interactions before this moment are known."
    st.html(f'<p class="dl-note" role="status" aria-live="polite">{words}</p>')
    back, forward = st.columns(2, gap="small", wrap=False)
    back.button(
        "Step back",
        key="step-back",
        on_click=_step,
        args=(end, total, -1),
        disabled=end is None or end <= 1,
        width="stretch",
        help="One interaction fewer is known; press Run to play it.",
    )
    forward.button(
        "Step forward",
        key="step-forward",
        on_click=_step,
        args=(end, total, 1),
        disabled=end is None or total is None or end >= total,
        width="stretch",
        help="One interaction more is known; press Run to play it.",
    )


def _step(end: int, total: int | None, by: int) -> None:
    tab.change(known=None if end + by == total else end + by)


def _by_hand(draft: PersonaliseTask) -> None:
    """Search a title, say whether it was liked, add it; what was added, each with a button that removes it."""
    dataset, added = draft.case.dataset, draft.added
    search = st.text_input(
        "Find a title",
        key=FIND,
        max_chars=200,
        placeholder="part of a title, or an id",
        help="Searches the items of this data set.",
    ).strip()
    names = unique_labels(_titles(dataset, search))
    if st.session_state.get(PICK) not in names:  # Of an earlier search, or none.
        st.session_state[PICK] = next(iter(names), None)
    st.selectbox(
        "Title",
        list(names),
        format_func=lambda item: names.get(item, item),
        key=PICK,
        disabled=not names,
        placeholder="search first" if not search else "nothing found",
        help="The item that the user meets next.",
        filter_mode=None,
    )
    st.segmented_control(
        "Answer",
        list(ANSWERS),
        format_func=ANSWERS.__getitem__,
        default="yes",
        required=True,
        key=ANSWER,
        help="What the user thinks of it; the demonstration says Yes or No.",
    )
    st.button(
        "Add",
        key="add-title",
        on_click=_add,
        args=(added,),
        disabled=not names or len(added) >= MOST_ADDED,
        help="Appends it to the stream; press Run to play it.",
    )
    if search and not names:
        failures.note("No title contains these words.")
    for place in range(len(added)):
        _row(dataset, added, place)


def _titles(dataset: str, search: str) -> list[tuple[str, str]]:
    if not search:
        return []
    try:
        return cached.titles(dataset, search, MOST_TITLES)
    except DemoLensError as fault:
        failures.note(str(fault))
        return []


def _row(dataset: str, added: tuple[str, ...], place: int) -> None:
    item, _, answer = added[place].rpartition(":")
    title = cached.title_of(dataset, item)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        st.html(f'<p class="dl-note">{safe_html(title, 40)}, {ANSWERS.get(answer, safe_html(answer, 10))}</p>')
        st.button(
            "Remove",
            key=f"remove-added-{place}",
            on_click=tab.change,
            kwargs={"added": (*added[:place], *added[place + 1 :])},
            help=f"Take {safe_label(title)} out again.",
        )


def _add(added: tuple[str, ...]) -> None:
    item = st.session_state.get(PICK)
    if item is not None:
        tab.change(added=(*added, f"{item}:{st.session_state.get(ANSWER) or 'yes'}"))

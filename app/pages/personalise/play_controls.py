"""How far has the user's stream gone, and what is added to it by hand? The sidebar of the Personalise page."""

from __future__ import annotations

import streamlit as st

from app import cached
from app.session import TaskView
from app.text import safe_html, safe_label, unique_labels
from app.widgets import failures
from app.widgets import task_options as options
from app.widgets import task_page as task
from core.errors import DemoLensError
from core.lm.loading.adapter import is_there
from core.personal.personalise_task import PersonaliseTask

KIND = "personalise"
FOUND = 30
"""Most titles that a search offers."""
MOST_ADDED = 20
ANSWERS = {"yes": "liked", "no": "not liked"}
FIND, PICK, ANSWER, USER = "find-title", "pick-title", "pick-answer", "personalise-user"
MISSING = "no adapter comes with this copy."
TUNE = "demolens tune makes one for your own data; name its folder under Advanced."


def asked(mine: TaskView) -> PersonaliseTask:
    """What the controls say."""
    assert isinstance(mine.draft, PersonaliseTask)
    return mine.draft


def controls(mine: TaskView) -> None:
    """The end of the play, its length, interactions by hand, and the base model beside the adapter."""
    total = _total(mine)
    _another_user(mine, total)
    _stepping(mine, total)
    options.number(
        KIND,
        mine,
        "steps",
        "Interactions played",
        0,
        50,
        step=1,
        hint="How many of the newest known ones are played, one step each.",
    )
    with st.expander("Add an interaction by hand", expanded=bool(asked(mine).added)):
        _by_hand(mine)
    if asked(mine).case.adapter is not None:
        options.toggle(
            KIND,
            mine,
            "compare",
            "Base model beside the adapter",
            "Plays the stream with both models; takes twice as long.",
        )
    elif is_there("recicl"):
        failures.note("The base model plays alone. Choose the shipped adapter under Advanced to play the tuned model.")
    else:
        failures.note(f"The base model plays alone: {MISSING} {TUNE}")


def _total(mine: TaskView) -> int | None:
    """Interactions before the case's moment; None where the case cannot be made."""
    found = cached.preview(asked(mine).case)
    return None if isinstance(found, str) else len(found.case.history)


def _another_user(mine: TaskView, total: int | None) -> None:
    """The place in one user's stream says nothing about another's; items made by hand belong to their data set."""
    case, draft = asked(mine).case, asked(mine)
    before = st.session_state.get(USER)
    st.session_state[USER] = (case.dataset, case.user, case.split)
    arrived = mine.shown is not None and mine.shown.case == case
    if before is None or before == st.session_state[USER] or arrived:
        if draft.known is not None and total is not None and draft.known >= total and not arrived:
            _change(mine, known=None)
        return
    _change(mine, known=None, **({} if before[0] == case.dataset else {"added": ()}))


def _change(mine: TaskView, **fields: object) -> None:
    mine.draft = mine.draft.model_copy(update=fields)


def _stepping(mine: TaskView, total: int | None) -> None:
    """Two buttons that move the end of the play by one interaction."""
    known = asked(mine).known if total is None or asked(mine).known is not None else total
    if total is None or known is None:
        words = "These choices cannot be run, so the place in the stream is not known."
    elif total == 0:
        words = "Nothing of this user is known before this moment, so there is nothing to play."
    else:
        words = f"<strong>{known} of {total}</strong> interactions before this moment are known."
    st.html(f'<p class="dl-note" role="status" aria-live="polite">{words}</p>')
    back, forward = st.columns(2, gap="small", wrap=False)
    back.button(
        "Step back",
        key="step-back",
        on_click=_step,
        args=(known, total, -1),
        disabled=known is None or known <= 1,
        width="stretch",
        help="One interaction fewer is known; press Run to play it.",
    )
    forward.button(
        "Step forward",
        key="step-forward",
        on_click=_step,
        args=(known, total, 1),
        disabled=known is None or total is None or known >= total,
        width="stretch",
        help="One interaction more is known; press Run to play it.",
    )


def _step(known: int, total: int | None, by: int) -> None:
    task.change(KIND, known=None if known + by == total else known + by)


def _by_hand(mine: TaskView) -> None:
    """Search a title, say whether it was liked, add it; what was added, each with a button that removes it."""
    case, added = asked(mine).case, asked(mine).added
    search = st.text_input(
        "Find a title",
        key=FIND,
        max_chars=200,
        placeholder="part of a title, or an id",
        help="Searches the items of this data set.",
    ).strip()
    found = _found(case.dataset, search)
    names = unique_labels(found)
    if st.session_state.get(PICK) not in names:  # An earlier search, which may have found nothing.
        st.session_state[PICK] = next(iter(names), None)
    st.selectbox(
        "Title",
        list(names),
        format_func=lambda one: names.get(one, one),
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
    for place, one in enumerate(added):
        _row(case.dataset, added, place, one)


def _found(dataset: str, search: str) -> list[tuple[str, str]]:
    if not search:
        return []
    try:
        return cached.titles(dataset, search, FOUND)
    except DemoLensError as fault:
        failures.note(str(fault))
        return []


def _row(dataset: str, added: tuple[str, ...], place: int, one: str) -> None:
    item, _, answer = one.rpartition(":")
    title = cached.title_of(dataset, item)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        st.html(f'<p class="dl-note">{safe_html(title, 40)}, {ANSWERS.get(answer, safe_html(answer, 10))}</p>')
        st.button(
            "Remove",
            key=f"remove-added-{place}",
            on_click=_keep,
            args=((*added[:place], *added[place + 1 :]),),
            help=f"Take {safe_label(title)} out again.",
        )


def _add(added: tuple[str, ...]) -> None:
    item = st.session_state.get(PICK)
    if item is not None:
        _keep((*added, f"{item}:{st.session_state.get(ANSWER) or 'yes'}"))


def _keep(added: tuple[str, ...]) -> None:
    task.change(KIND, added=added)

"""What this browser tab looks at, and how a press changes it: the draft, the task that is shown, the selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st

from app import cached, links
from app.session import Selection, TaskView, View
from app.theme import Palette, palette
from core.errors import DemoLensError
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.command_line import MATERIAL, own_fields
from core.question.task import TargetTask, Task

VIEW = "view"
SHARED = {*CaseSpec.model_fields, *own_fields(TargetTask)}
T = TypeVar("T", bound=Task)
S = TypeVar("S", bound=Selection)


def colours() -> Palette:
    """The palette of the theme this tab shows."""
    return palette(st.context.theme.type)


def view() -> View:
    """What this tab looks at."""
    view: View = st.session_state[VIEW]
    return view


def current() -> TaskView:
    """What its page looks at."""
    return view().current


def draft(kind: type[T]) -> T:
    """What the controls of the page say, which is about tasks of this kind."""
    task = current().draft
    assert isinstance(task, kind)
    return task


def selection(kind: type[S]) -> S:
    """What is selected on the page, which selects things of this kind."""
    selection = current().selection
    assert isinstance(selection, kind)
    return selection


def change(**choices: object) -> None:
    """Change the draft; a combination that cannot be run leaves it as it was, with a notice.

    Who types the name of data, a model or an adapter agrees that they are looked at.
    """
    tab, page = view(), current()
    tab.notice = ""
    cached.agree(*(str(choices[name]) for name in MATERIAL if choices.get(name)))
    of_page = links.page_fields(type(page.draft))
    shared = {name: value for name, value in choices.items() if name in SHARED and name not in of_page}
    try:
        page.draft, tab.shared = _changed(page.draft, choices), _changed(tab.shared, shared)
    except DemoLensError as fault:
        tab.notice = str(fault)


def _changed(task: T, choices: Mapping[str, object]) -> T:
    """The task with other choices of its case and its own; those that it does not have are left out."""
    kind = type(task)
    case = {name: choices.get(name, value) for name, value in task.case.model_dump().items()}
    fields = {name: choices.get(name, getattr(task, name)) for name in own_fields(kind)}
    return checked(kind, "choice", fields | {"case": case})


def run(task: Task | None = None) -> None:
    """Hand in a task, or what the controls say, and show its report; the same task twice is one job.

    Who runs what is shown insists: a packaged example is computed here.
    """
    tab, page = view(), current()
    task = page.draft if task is None else task
    tab.notice = ""
    cached.agree(*links.foreign(task.case))
    try:
        page.key = cached.desk().submit(task, insist=task == page.task)
    except DemoLensError as fault:
        tab.notice = str(fault)
        return
    page.selection = page.selection.after_run(page.task, task)
    page.revisions.update(list(type(page.selection).model_fields))
    page.draft = page.task = task
    page.opened = True
    tab.share(task)


def select(*, in_table: bool = False, **values: Any) -> None:
    """Select something for every view of the page, None for nothing; what is not named stays.

    `in_table`: the row was clicked in its own table, which shows it already.
    """
    page = current()
    before, page.selection = page.selection, page.selection.model_copy(update=values)
    if not in_table:
        page.revisions.update(name for name, value in values.items() if getattr(before, name) != value)


def pick(key: str, **values: Callable[[Any], object]) -> None:
    """Select what the points that a person clicked in the chart `key` stand for, by their `customdata`.

    A redraw that empties the chart's selection selects nothing.
    """
    chart = st.session_state.get(key)
    for point in chart["selection"]["points"] if chart else []:
        if (data := point.get("customdata")) is not None:
            selected: dict[str, Any] = {name: value(data) for name, value in values.items()}
            select(**selected)


def picked_row(key: str) -> int | None:
    """Place of the row that a person selected in the table `key`, by the row or a cell of it.

    None when a redraw emptied the selection.
    """
    selection = st.session_state[key]["selection"]
    rows = [*(row for row, _ in selection.get("cells", ())), *selection["rows"]]
    return rows[0] if rows else None


def drawn_from() -> object:
    """Everything that only the whole page shows: its choices, its jobs and its notice."""
    tab = view()
    return tab.page, tab.notice, {kind: (page.key, page.draft) for kind, page in tab.tasks.items()}


def whole_page_after_change(drawn: object) -> None:
    """Draw the page anew where a press inside a fragment changed more than the fragment shows.

    Streamlit answers a press inside a fragment by that fragment alone, with the arguments it had: a new job or a new
    choice would stay unseen. `drawn` is what `drawn_from` gave when the page was drawn.
    """
    if drawn_from() != drawn:
        st.rerun(scope="app")

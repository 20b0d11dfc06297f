"""What does this browser tab look at? The view in the session, kept in step with the link."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from app import cached, links
from app.links import Choices
from app.session import View, leave
from app.theme import Palette, palette
from core.analysis.explain.explanation import Explanation
from core.question.case_spec import CaseSpec, checked_case
from core.analysis.robustness.inference_settings import PLAIN
from core.errors import DemoLensError
from core.work.kinds import Asked

VIEW = "view"
MATERIAL = ("dataset", "model", "adapter")


def colours() -> Palette:
    """The palette of the theme this tab shows."""
    return palette(st.context.theme.type)


def opened() -> View:
    """This tab's view: from the link on arrival and after a person changed it, else as it was."""
    link = {name: st.query_params.get_all(name) for name in st.query_params}
    view: View | None = st.session_state.get(VIEW)
    if view is not None and view.page != "explain":
        _come_back(view, link)
    if view is None or (view.written is not None and link != view.written):
        choices, notice = links.read(link)
        tasks = view.tasks if view is not None else {}
        inference = choices.inference or PLAIN
        seen = view.seen if view is not None else None
        view = View(shown=choices, draft=choices.request, notice=notice, tasks=tasks, inference=inference, seen=seen)
        st.session_state[VIEW] = view
        cached.doubt(choices.request)
        arrive(view)
    return view


def _come_back(view: View, link: dict[str, list[str]]) -> None:
    """From another page: an empty link says nothing, what was shown is shown again, or the case just looked at."""
    leave(view)
    view.page, view.notice, view.written = "explain", "", {} if link else None
    if not link and view.key is None:
        view.shown = Choices(view.draft)
        arrive(view)


def arrive(view: View) -> None:
    """Find the jobs of a link; start them, unless they ask for material that a person must agree to load."""
    view.key, beside = None, links.beside(view.shown)
    try:
        view.key = key_on_arrival(view.shown.request)
        if beside is not None:
            key_on_arrival(beside)
    except DemoLensError as fault:
        view.notice = str(fault)


def key_on_arrival(asked: Asked) -> str | None:
    """The job of what a link asks for, handed in where there is none; None where a person must agree first.

    Raises `DemoLensError` where it cannot be handed in.
    """
    key = cached.known_key(asked)
    if key is None or cached.desk().job(key) is not None:
        return key
    return cached.desk().submit(asked)


def write_link() -> None:
    """Put the shown choices into the address bar."""
    view: View = st.session_state[VIEW]
    link = links.written(view.shown)
    if link != view.written:
        st.query_params.from_dict(link)
        view.written = link


def run(request: Request) -> None:
    """Hand in a request and show it; the same request twice is one job."""
    view: View = st.session_state[VIEW]
    view.notice = ""
    cached.agree(*links.foreign(request))
    try:
        view.key = cached.desk().submit(request)
    except DemoLensError as fault:
        view.notice = str(fault)
        return
    keep = request.demo_ids == view.shown.request.demo_ids and request.user == view.shown.request.user
    shown = replace(view.shown, request=request) if keep else Choices(request)
    same = links.beside(shown) == links.beside(view.shown)
    view.shown = shown if same else replace(shown, inference=None)
    view.draft = request
    view.demo_revision += 1
    view.item_revision += 1


def change(**fields: Any) -> None:
    """Change the draft; a combination that cannot be run leaves it as it was, with a notice.

    Who types the name of data, a model or an adapter agrees that they are looked at.
    """
    view: View = st.session_state[VIEW]
    view.notice = ""
    cached.agree(*(str(fields[name]) for name in MATERIAL if fields.get(name)))
    try:
        view.draft = checked_request("choice", **(view.draft.model_dump() | fields))
    except DemoLensError as fault:
        view.notice = str(fault)


def select(*, demo: int | None = None, item: str | None = None, in_table: bool = False) -> None:
    """Select a demonstration (from 1) or a candidate for every view; what is not named stays.

    `in_table`: the row was clicked in its own table, which shows it already.
    """
    view: View = st.session_state[VIEW]
    was = view.shown
    view.shown = replace(was, demo=was.demo if demo is None else demo, item=was.item if item is None else item)
    if not in_table:
        view.demo_revision += view.shown.demo != was.demo
        view.item_revision += view.shown.item != was.item


def clear() -> None:
    """Select nothing."""
    view: View = st.session_state[VIEW]
    view.shown = replace(view.shown, demo=None, item=None)
    view.demo_revision += 1
    view.item_revision += 1


def selected_demo(view: View, explanation: Explanation) -> int | None:
    """Index of the selected demonstration, if the explanation has it."""
    at = None if view.shown.demo is None else view.shown.demo - 1
    return at if at is not None and at < len(explanation.demos) else None


def selected_item(view: View, explanation: Explanation) -> str | None:
    """Id of the selected candidate, if the explanation has it."""
    return view.shown.item if any(row.item_id == view.shown.item for row in explanation.candidates) else None


def picked(key: str) -> list[Any]:
    """`customdata` of the points a person clicked in the chart `key`; empty when a redraw emptied the selection."""
    chart = st.session_state.get(key)
    points = chart["selection"]["points"] if chart else []
    found = [point.get("customdata") for point in points]
    return [value for value in found if value is not None]


def drawn_from(view: View) -> object:
    """Everything that only the whole page shows: its choices, its jobs and its notice."""
    tasks = {kind: (mine.key, mine.draft) for kind, mine in view.tasks.items()}
    return view.page, view.key, view.draft, view.notice, tasks


def whole_page_after_change(drawn: object) -> None:
    """Draw the page anew where a press inside a fragment changed more than the fragment shows.

    Streamlit answers a press inside a fragment by that fragment alone, with the arguments it had: a new job or a new
    choice would stay unseen. `drawn` is `drawn_from` of the view when the page was drawn.
    """
    if drawn_from(st.session_state[VIEW]) != drawn:
        st.rerun(scope="app")


def run_draft() -> None:
    """Run what the pickers say."""
    view: View = st.session_state[VIEW]
    run(view.draft)


def unset(field: str) -> object:
    """The value of an emptied text field."""
    return getattr(links.DEFAULTS, field)

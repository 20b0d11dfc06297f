"""A page of one task: its choices, one job, its report. The pages differ in their controls and their views only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from app import cached, links, tasks
from app import session as state
from app.session import TaskView, View
from app.text import safe_html
from app.theme import memory, style
from app.widgets import failures, jobs, pickers, preview, provenance, tab
from core.question.checked import checked
from core.question.task import Report
from core.errors import DemoLensError
from core.words import seconds
from core.work.kinds import task_named


@dataclass(frozen=True)
class Page:
    """What tells one task's page from another's."""

    kind: str
    title: str
    lead: str
    """One sentence for a first visit: what Run will show."""
    controls: Callable[[TaskView], None]
    """Draws the task's own choices in the sidebar, with the widgets of `app.widgets.task_options`."""
    result: Callable[[View, Report], None]
    """Draws the report, however complete it is."""
    strategy: bool = True
    """Whether a person chooses how demonstrations are picked."""
    selection: Callable[[View, Report], dict[str, list[str]]] = lambda _view, _report: {}
    """What the link says of the part of the report that is selected."""


def show(page: Page) -> None:
    """Pickers, one job, its report."""
    st.html(style(tab.colours()))
    view = opened(page.kind)
    mine = view.tasks[page.kind]
    job = cached.desk().job(mine.key) if mine.key is not None else None
    _sidebar(page, view, mine, job)
    with st.container(key="status"):
        pickers.fault(view)
        _status(page, view, mine, job)
    if job is not None and isinstance(job.found, Report):
        _result(page, view, job.found, tab.drawn_from(view))
    else:
        _write_link(mine, {})


@st.fragment
def _result(page: Page, view: View, report: Report, drawn: object) -> None:
    """Every view of one report; a click redraws these views only."""
    tab.whole_page_after_change(drawn)
    case = view.tasks[page.kind].answered.case
    page.result(view, report)
    failures.notices(list(report.notices))
    provenance.of_report(report, cached.licence(case.dataset), case.model)
    _write_link(view.tasks[page.kind], page.selection(view, report))


def opened(kind: str) -> View:
    """This tab's view, with its task of this kind: from the link on arrival, else as it was left."""
    link = _address()
    view: View | None = st.session_state.get(tab.VIEW)
    if view is None:
        view = st.session_state[tab.VIEW] = View(page="")
    known, moved = view.tasks.get(kind), view.page != kind
    hidden = {} if known is None else known.aside
    if moved:
        state.leave(view)
        hidden = state.enter(view, task_named(kind), None if known is None else known.draft.case)
    view.page = kind
    view.notice = "" if moved else view.notice
    if known is None or (link and moved) or (not moved and known.written is not None and link != known.written):
        view.tasks[kind] = _arrived(view, kind, link)
    mine = view.tasks[kind]
    mine.draft, mine.aside = tasks.with_case(mine.draft, view.draft), hidden
    return view


def _arrived(view: View, kind: str, link: dict[str, list[str]]) -> TaskView:
    """The task that a link asks for, with its report where there is one: to look at a page starts no work."""
    task, view.notice = tasks.read(link, task_named(kind))
    if not link:
        return _found_ready(TaskView(tasks.with_case(task, view.draft)))
    cached.doubt(task)
    view.draft = task.case
    view.shown = replace(view.shown, item=links.single(link.get("item")))
    return _found_ready(TaskView(task, link=link, after=tasks.step_of(link)))


def _found_ready(mine: TaskView) -> TaskView:
    """With the stored report of the draft, if there is one."""
    key = cached.known_key(mine.draft)
    if key is not None and cached.desk().job(key) is not None:
        mine.shown, mine.key = mine.draft, key
    return mine


def change(kind: str, **fields: object) -> None:
    """Change the draft of a task; a value that cannot be used leaves it as it was, with a notice."""
    view: View = st.session_state[tab.VIEW]
    mine = view.tasks[kind]
    view.notice = ""
    own = {name: getattr(mine.draft, name) for name in tasks.options_of(type(mine.draft))}
    try:
        mine.draft = checked(type(mine.draft), "choice", {"case": mine.draft.case, **own, **fields})
    except DemoLensError as fault:
        view.notice = str(fault)


def run(kind: str) -> None:
    """Hand in the draft and show its report; the same task twice is one job."""
    view: View = st.session_state[tab.VIEW]
    mine = view.tasks[kind]
    view.notice = ""
    cached.agree(*links.foreign(mine.draft.case))
    try:
        mine.key, mine.shown, mine.after = cached.desk().submit(mine.draft), mine.draft, None
    except DemoLensError as fault:
        view.notice = str(fault)


def _write_link(mine: TaskView, selection: dict[str, list[str]]) -> None:
    link = tasks.written(mine.shown) | selection if mine.shown is not None else mine.link
    if link != _address():  # The way over the navigation empties the address.
        st.query_params.from_dict(link)
    mine.written = link


def _address() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _sidebar(page: Page, view: View, mine: TaskView, job: cached.Job | None) -> None:
    with st.sidebar:
        pickers.brand()
        pickers.case(view, strategy=page.strategy)
        page.controls(mine)
        with st.expander("Advanced"):
            pickers.material(view)
        with st.container(key="runbox", gap="xsmall"):
            changed = mine.draft != mine.shown
            blocked = preview.obstacle(view)
            pickers.run_button(changed, job, blocked, on_click=run, args=(page.kind,))
            st.html(f'<p class="dl-note">{pickers.forecast(mine.draft, changed, job, blocked)}</p>')


def _status(page: Page, view: View, mine: TaskView, job: cached.Job | None) -> None:
    if job is not None and job.state in ("failed", "cancelled"):
        jobs.outcome(job, mine.answered)
    elif job is not None and not job.ended:
        jobs.follow(job)
    if job is None or job.found is None:
        _without_report(page, view, mine, job)


def _without_report(page: Page, view: View, mine: TaskView, job: cached.Job | None) -> None:
    """What the page will show and what the model reads, before there is a report, and after a run without one."""
    case = view.draft if job is None or job.ended else mine.answered.case
    st.html(
        f'<p class="dl-over">User {safe_html(case.user, 40)}</p><h1 class="dl-headline">{page.title}</h1>'
        f'<p class="dl-lead">{page.lead}</p><p class="dl-note">{_how_far(view, mine, job)}</p>'
    )
    preview.reading(case)


def _how_far(view: View, mine: TaskView, job: cached.Job | None) -> str:
    if job is not None and not job.ended:
        return "Running. The result appears here as soon as its first part is there; you may leave the page."
    not_run = "" if job is not None else "Not run yet. "
    if preview.obstacle(view):
        return not_run
    cost = cached.desk().forecast(mine.draft)
    return f"{not_run}Run, on the left, takes about {seconds(cost.seconds)} and {memory(cost.memory_bytes)}."

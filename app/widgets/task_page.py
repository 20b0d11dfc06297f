"""The page of one kind of task: its choices, one job, its report. Pages differ in what their row says only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import cached, links
from app.sentences import who
from app.session import Selection, TaskView, View, first_task, with_shared
from app.theme import memory, style
from app.widgets import failures, jobs, pickers, preview, provenance, tab
from app.widgets.next_steps import next_steps
from app.widgets.terms import glossary, terms
from core.errors import DemoLensError
from core.question.kinds import KINDS
from core.question.task import Report, Task
from core.words import duration

STALE = (
    '<p class="dl-stale" role="status">Settings changed: this result, dimmed, is of the settings before. Run, on '
    "the left, computes the new one.</p>"
)
"""What stands above a result while the controls say something else; the style sheet dims the result then."""
Waiting = Callable[[TaskView, cached.Job | None], None]


@dataclass(frozen=True)
class Page:
    """What tells one task's page from another's."""

    kind: str
    """The name of its row in `core.question.kinds`."""
    controls: Callable[[], None]
    """Draws the task's own choices in the side bar, with the widgets of `app.widgets.fields`."""
    result: Callable[[Any], None]
    """Draws a report of this kind, however complete it is."""
    title: str = ""
    lead: str = ""
    """One sentence for a first visit: what Run will show."""
    selection: type[Selection] = Selection
    """What can be selected in the report; its fields are parameters of the link."""
    starts: bool = False
    """Whether its job starts where a tab is opened on it; the others wait for Run."""
    advanced: Callable[[], None] = lambda: None
    """Draws choices above those of the prompt and the model."""
    upcoming: Callable[[TaskView], None] = lambda _page: None
    """Draws what the next run will read, above what is shown."""
    waiting: Waiting | None = None
    """Draws what stands in place of a report; by default title, lead, cost and what the model will read."""


def show(page: Page) -> None:
    """Pickers, one job, its report."""
    st.html(style(tab.colours()))
    view = opened(page)
    current = view.current
    job = cached.desk().job(current.key) if current.key is not None else None
    _sidebar(page, current, job)
    with st.container(key="status"):  # Always there, so that the charts below keep their place and are not drawn anew.
        pickers.fault(view.notice)
        page.upcoming(current)
        jobs.status(job)
        if job is not None and job.report is not None and current.draft != current.task:
            st.html(STALE)
        if job is None or job.report is None:
            (page.waiting or _announced(page))(current, job)
    if job is not None and job.report is not None:
        current.last_key = current.key
        with st.container(key="result"):
            _result(page, job.report, job.origin, tab.drawn_from())
    else:
        _write_link(current)


@st.fragment
def _result(page: Page, report: Report, origin: cached.Origin | None, drawn: object) -> None:
    """Every view of one report; a click redraws these views only."""
    tab.whole_page_after_change(drawn)
    page.result(report)
    failures.notices(list(report.notices))
    if report.stage == "complete":
        next_steps(report)
    provenance.provenance(report, cached.licence(report.task.case), origin)
    _write_link(tab.current())


def opened(page: Page) -> View:
    """This tab's view, with its task of this page: from a press or the link on arrival, else as it was left.

    Work starts by itself where the tab was opened on this page, or a person changed the link there; whoever comes from
    another page presses Run.
    """
    link = _address()
    view: View = st.session_state.setdefault(tab.VIEW, View())
    current, moved, first = view.tasks.get(page.kind), view.page != page.kind, not view.page
    passage, view.passage = view.passage, None
    if moved:
        view.page, view.notice = page.kind, ""
    if passage is not None and KINDS[page.kind].task is type(passage.task):
        _enter(page, view, passage.task, page.selection(), starts=passage.runs)
    elif current is None or (moved and link):
        _arrive(page, view, link, starts=page.starts and first)
    elif not moved and current.written is not None and link != current.written:
        _arrive(page, view, link, starts=page.starts)
    view.current.draft = with_shared(view.current.draft, view.shared)
    return view


def _arrive(page: Page, view: View, link: dict[str, list[str]], *, starts: bool) -> None:
    """Look at what a link says, with its report where there is one.

    An empty link is one of the navigation, which says nothing, unless a person emptied it where work `starts`.
    """
    kind = KINDS[page.kind].task
    if link or (starts and view.tasks.get(page.kind) is not None):
        task, selection, view.notice = links.read(link, kind, page.selection)
        cached.doubt(task.case)
        view.share(task)
    else:
        task, selection = first_task(kind, view.shared), page.selection()
    _enter(page, view, task, selection, starts=starts, link=link)


def _enter(
    page: Page,
    view: View,
    task: Task,
    selection: Selection,
    *,
    starts: bool,
    link: dict[str, list[str]] | None = None,
) -> None:
    """Begin the page with a task: its report where there is one, else its work where that `starts`, else a draft."""
    before, job = view.tasks.get(page.kind), cached.job_of(task)
    last_key = None if before is None else before.last_key
    current = TaskView(task, selection, link=link or {}, last_key=last_key, opened=starts)
    view.tasks[page.kind] = current
    if job is not None or starts:
        current.task, current.key = task, None if job is None else job.key
    if job is None and starts and cached.agreed(task.case):
        try:
            current.key = cached.desk().submit(task)
        except DemoLensError as fault:
            view.notice = str(fault)


def _write_link(page: TaskView) -> None:
    link = page.link if page.task is None else links.written(page.task, page.selection)
    if link != _address():  # The way over the navigation empties the address.
        st.query_params.from_dict(link)
    page.written = link


def _address() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _sidebar(page: Page, current: TaskView, job: cached.Job | None) -> None:
    with st.sidebar:
        pickers.brand()
        pickers.case()
        page.controls()
        with st.expander("Advanced"):
            page.advanced()
            pickers.material()
        glossary()
        pickers.run_box(current, job, preview.obstacle(current.draft))


def _announced(page: Page) -> Waiting:
    """What the page will show and what the model reads, before there is a report, and after a run without one."""

    def announcement(current: TaskView, job: cached.Job | None) -> None:
        task = current.task if current.task is not None and job is not None and not job.ended else current.draft
        st.html(
            f'<p class="dl-over">{who(task.case)}</p><h1 class="dl-headline">{page.title}</h1>'
            f'<p class="dl-lead">{page.lead}</p><p class="dl-note">{_how_far(current, job)}</p>'
        )
        terms(page.title, page.lead)
        preview.reading(task)

    return announcement


def _how_far(current: TaskView, job: cached.Job | None) -> str:
    if job is not None and not job.ended:
        return "Running. The result appears here as soon as its first part is there; you may leave the page."
    not_run = "" if job is not None else "Not run yet. "
    if preview.obstacle(current.draft):
        return not_run
    cost = cached.forecast(current.draft)
    return f"{not_run}Run, on the left, takes about {duration(cost.seconds)} and {memory(cost.memory_bytes)}."

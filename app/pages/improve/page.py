"""Improve one case: a better set of demonstrations, found in two stages, and adopted with one click."""

from __future__ import annotations

import streamlit as st

from app.charts import search_path as charts
from app.pages.improve import improvement as words
from app.session import TaskView, View
from app.widgets import tab
from app.widgets import task_options as options
from app.widgets import task_page as task
from app.widgets.panel import panel, section, twin
from app.widgets.report_head import head
from core.question.task import Report
from core.selection.improve_task import ImproveReport
from core.selection.verdict import verdict

KIND = "improve"


def controls(mine: TaskView) -> None:
    """How large a set, from how many, and for how long."""
    options.number(
        KIND,
        mine,
        "k",
        "Demonstrations in a set",
        1,
        16,
        step=1,
        hint="Largest size of a set; the search may stop at fewer.",
    )
    options.number(
        KIND, mine, "pool", "Pool", 1, 5000, step=50, hint="Demonstrations that the shortlist is chosen from."
    )
    options.number(
        KIND,
        mine,
        "budget",
        "Budget (full passes)",
        1.0,
        1000.0,
        step=10.0,
        hint="The search never uses more. One full pass scores the whole prompt once.",
    )
    with st.expander("Search"):
        options.number(
            KIND,
            mine,
            "shortlist",
            "Shortlist",
            1,
            64,
            step=1,
            hint="Demonstrations that the search may put into a set.",
        )
        options.number(
            KIND,
            mine,
            "held_out",
            "Held-out choices",
            1,
            32,
            step=1,
            hint="Earlier choices of the user on which every set is judged.",
        )
        options.number(
            KIND,
            mine,
            "lam",
            "Lambda",
            0.0,
            10.0,
            step=0.05,
            hint="One nat of spread lowers the objective by this many nats.",
        )
        options.toggle(
            KIND,
            mine,
            "recents",
            "Let sets use the latest interactions",
            "On: a set may hold the user's own latest interactions.",
        )
        options.toggle(
            KIND,
            mine,
            "encode",
            "Encode the pool",
            "Adds two criteria to the shortlist: cosine of embeddings and label-free effect.",
        )


def result(view: View, report: Report) -> None:
    """The set found and what it does, the path, the shortlist."""
    assert isinstance(report, ImproveReport)
    leads = [*words.leads(report), *([words.drift(report)] if report.start is not None else [])]
    head(report, view.tasks[KIND].answered.case.user, verdict(report), leads, words.readouts(report))
    words.adopt(view, view.tasks[KIND].answered.case, report)
    words.members(report)
    words.outcomes(report)
    colours = tab.colours()
    if report.path:
        panel(
            "path",
            "The path of the search",
            "Objective J (mean score minus lambda times spread) of the best set so far, in nats, over the cost so far.",
            figure=lambda: charts.figure(report, colours),
            table=lambda: charts.table(report),
            alt=charts.alt(report),
        )
    if report.shortlist:
        shortlist(report)


def shortlist(report: ImproveReport) -> None:
    """Stage one as a table."""
    section(
        "The shortlist",
        "Demonstrations that the search could choose from, the best fused rank first. A fused rank score of 1 means "
        "first in every criterion; demonstrations much like an earlier one are left out.",
    )
    twin("shortlist", charts.shortlist_table(report), alt=charts.shortlist_alt(report))


task.show(
    task.Page(
        KIND,
        "Which demonstrations would serve this user better?",
        "Takes a shortlist from the pool, then searches over sets and orders. Each set is judged on the user's earlier "
        "choices, under small changes of the prompt. Cancel at any time: the best set so far stays.",
        controls,
        result,
    )
)

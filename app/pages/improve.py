"""Improve one case: a better set of demonstrations, found in two stages, and adopted with one click."""

from __future__ import annotations

import streamlit as st

from app.charts import improve as charts
from app.components import improve as words
from app.components import options, tab, task
from app.components.head import head
from app.components.panel import panel, section, twin
from app.state import TaskView, View
from core.analysis.task import Report
from core.selection.task import ImproveReport

KIND = "improve"


def controls(mine: TaskView) -> None:
    """How large a set, from how many, and for how long."""
    options.number(KIND, mine, "k", "Demonstrations in a set", 1, 16, step=1, hint="The search may stop at fewer.")
    options.number(KIND, mine, "pool", "Pool", 1, 5000, step=50, hint="Demonstrations the shortlist is chosen from.")
    options.number(
        KIND, mine, "budget", "Budget (full passes)", 1.0, 1000.0, step=10.0, hint="The search never uses more."
    )
    with st.expander("Search"):
        options.number(KIND, mine, "shortlist", "Shortlist", 1, 64, step=1, hint="Demonstrations the search may use.")
        options.number(
            KIND, mine, "held_out", "Held-out choices", 1, 32, step=1, hint="Known choices that sets are judged by."
        )
        options.number(
            KIND, mine, "lam", "Lambda", 0.0, 10.0, step=0.05, hint="Nats of the mean that one nat of spread costs."
        )
        options.toggle(KIND, mine, "recents", "Let sets use the latest interactions")
        options.toggle(KIND, mine, "encode", "Encode the pool", "Embeddings and label-free effect join the criteria.")


def result(view: View, report: Report) -> None:
    """The set found and what it does, the path, the shortlist."""
    assert isinstance(report, ImproveReport)
    leads = [*words.leads(report), *([words.drift(report)] if report.start is not None else [])]
    head(report, view.tasks[KIND].answered.case.user, words.sentence(report), leads, words.readouts(report))
    words.adopt(view, view.tasks[KIND].answered.case, report)
    words.members(report)
    words.outcomes(report)
    colours = tab.colours()
    if report.path:
        panel(
            "path",
            "The path of the search",
            "Objective of the best set after each step, in nats, over the cost so far.",
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
        "A shortlist from the pool first, then a search over sets and orders, judged on the user's earlier choices "
        "under small changes of the prompt. Cancel at any time: the best set so far is kept.",
        controls,
        result,
    )
)

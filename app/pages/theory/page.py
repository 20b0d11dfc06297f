"""Theory: the dual model at work in one case, and whether its update is like a real one."""

from __future__ import annotations

import streamlit as st

from app.charts import dual_model as charts
from app.charts import update_similarity as update_charts
from app.pages.theory import dual_words as words
from app.session import TaskView, View
from app.text import safe_html
from app.widgets import sidejob, tab
from app.widgets import task_options as options
from app.widgets import task_page as task
from app.widgets.panel import panel, section
from app.widgets.report_head import head
from core.analysis.dual.dual_task import DualReport
from core.analysis.dual.updates_task import DEFINITIONS, LABELS, UpdatesReport, UpdatesTask
from core.question.task import Report

KIND = "dual"


def controls(mine: TaskView) -> None:
    """Which head, which token, and how the explicit model is trained."""
    own = getattr(mine.draft, "layer", None) is None or getattr(mine.draft, "head", None) is None
    st.toggle(
        "Head in which the demonstrations write most",
        value=own,
        key="in-dual-strongest",
        on_change=_strongest,
        help="On: the head in which the demonstrations' part is longest. Off: choose a layer and a head.",
    )
    if not own:
        options.number(
            KIND, mine, "layer", "Layer", 0, 999, step=1, hint="Layer of the model, counted from 0 at the input."
        )
        options.number(KIND, mine, "head", "Head", 0, 999, step=1, hint="Query head in that layer, counted from 0.")
    options.number(
        KIND,
        mine,
        "position",
        "Token",
        -100_000,
        100_000,
        step=1,
        hint="Token of the prompt whose attention is read, counted from 0. Negative: from the end, -1 is the last.",
    )
    with st.expander("Explicit dual model"):
        options.number(
            KIND,
            mine,
            "steps",
            "Steps of gradient descent",
            1,
            200,
            step=1,
            hint="One step gives the attention output.",
        )
        options.number(
            KIND,
            mine,
            "weight_decay",
            "Weight decay",
            0.01,
            1.0,
            step=0.05,
            hint="Of the second descent; the first has none.",
        )


def _strongest() -> None:
    chosen = st.session_state["in-dual-strongest"]
    task.change(KIND, layer=None if chosen else 0, head=None if chosen else 0)


def result(view: View, report: Report) -> None:
    """The exact dual model of every head, the explicit one of the chosen head, and the update beside a real one."""
    assert isinstance(report, DualReport)
    user = view.tasks[KIND].answered.case.user
    head(report, user, words.sentence(report), words.leads(report), words.readouts(report))
    _chart(
        report,
        "residual",
        "How exactly the identity holds",
        "Relative residual of every head: what the sum of the parts misses, over the length of the model's own output. "
        "A stronger shade is larger; the ring marks the head above.",
    )
    _chart(
        report,
        "zero_factor",
        "How much of each head is left to the start weights",
        "Z_T/Z, from 0 to 1: W0 φ(q) is zero-shot attention times this factor. A stronger shade: more is left to the "
        "start weights, less comes from the demonstrations.",
    )
    if report.demos:
        _chart(
            report,
            "norm",
            "Where each demonstration writes",
            "Length of dW φ(q), averaged over the heads of a layer; a stronger shade is longer. A length does "
            "not say which way a score moves: Explore shows that.",
        )
    if report.curve:
        _chart(
            report,
            "features",
            "An explicit dual model needs very many features",
            "Relative error of W φ(q) with positive random features, after one step of gradient descent. Bars hold "
            "80 % of the draws (10 to 90 %).",
        )
    if report.descents:
        _chart(
            report,
            "descent",
            "One step is attention; more steps are something else",
            "Left: the loss. Right: the distance from the attention output. Without weight decay the loss falls "
            "without end; with weight decay it has a minimum (dotted).",
        )
    if report.demos:
        _updates(view)


def _chart(report: DualReport, name: charts.DualView, title: str, note: str) -> None:
    panel(
        name,
        title,
        note,
        figure=lambda: charts.figure(report, name, tab.colours()),
        table=lambda: charts.table(report, name),
        alt=charts.alt(report, name),
    )


def _updates(view: View) -> None:
    """The in-context update beside the update of fine-tuning, never without its controls."""
    section(
        "Is the in-context update like real training?",
        "Compares the in-context update with one epoch of fine-tuning on the same demonstrations, beside two controls: "
        "the same architecture with random weights, and shuffled demonstrations.",
    )
    found = sidejob.report_of(
        "updates",
        UpdatesTask(case=view.tasks[KIND].answered.case),
        "Compare with fine-tuning",
        "Trains copies of the key and value projections; the model itself does not change.",
    )
    if not isinstance(found, UpdatesReport) or not found.rows:
        return
    st.html(f'<p class="dl-lead">{safe_html(found.conclusion)}</p>')
    panel(
        "updates",
        "Similarity over the layers",
        "From -1 to 1 in every layer; higher is more alike. Thin lines are the baselines that are named below.",
        figure=lambda: update_charts.figure(found, tab.colours()),
        table=lambda: update_charts.table(found),
        alt=update_charts.alt(found),
    )
    lines = "".join(f"<dt>{LABELS[name]}</dt><dd>{safe_html(text)}</dd>" for name, text in DEFINITIONS.items())
    st.html(f'<dl class="dl-facts">{lines}</dl>')


task.show(
    task.Page(
        KIND,
        "The dual model of this case, head by head",
        "Attention over demonstrations equals one step of gradient descent on a linear model, the dual model. This "
        "page shows how exactly that holds in each head, what each demonstration writes there, and whether the step is "
        "like real training.",
        controls,
        result,
    )
)

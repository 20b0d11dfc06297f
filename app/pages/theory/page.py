"""Theory: the dual model at work in one case, and whether its update is like a real one."""

from __future__ import annotations

import streamlit as st

from app.charts import dual_model as charts
from app.charts import update_similarity as update_charts
from app.pages.theory import dual_words as words
from app.session import question_of
from app.text import safe_html
from app.widgets import fields, sidejob, tab, task_page
from app.widgets.panel import panel, section
from app.widgets.report_head import head
from app.widgets.terms import terms
from core.analysis.dual.dual_task import DualReport, DualTask
from core.analysis.dual.updates_task import DEFINITIONS, LABELS, UpdatesReport, UpdatesTask

STRONGEST = "in-dual-strongest"


def controls() -> None:
    """Which head, which token, and how the explicit model is trained."""
    draft = tab.draft(DualTask)
    strongest = draft.layer is None or draft.head is None
    st.toggle(
        "Head in which the demonstrations write most",
        value=strongest,
        key=STRONGEST,
        on_change=_strongest,
        help="On: the head in which the demonstrations' part is longest. Off: choose a layer and a head.",
    )
    if not strongest:
        fields.number("layer", "Layer", 0, 999, "Layer of the model, counted from 0 at the input.")
        fields.number("head", "Head", 0, 999, "Query head in that layer, counted from 0.")
    hint = "Token of the prompt whose attention is read, counted from 0. Negative: from the end, -1 is the last."
    fields.number("position", "Token", -100_000, 100_000, hint)
    with st.expander("Explicit dual model"):
        fields.number(
            "steps",
            "Steps of gradient descent",
            1,
            200,
            "How many steps the explicit model is trained; one step gives the attention output.",
        )
        hint = "Weight decay of the second curve; the first curve has none."
        fields.number("weight_decay", "Weight decay", 0.01, 1.0, hint, step=0.05)


def _strongest() -> None:
    chosen = None if st.session_state[STRONGEST] else 0
    tab.change(layer=chosen, head=chosen)


def result(report: DualReport) -> None:
    """The exact dual model of every head, the explicit one of the chosen head, and the update beside a real one."""
    head(report, words.sentence(report), words.leads(report), words.readouts(report))
    _chart(
        report,
        "residual",
        "How exactly the identity holds",
        "Relative residual of every head: what the sum of the parts misses, over the length of the model's own output; "
        "0 is exact. A stronger shade is larger; the ring marks the head above.",
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
            "Length of dW φ(q), in the model's own units, averaged over the heads of a layer; a stronger shade is "
            "longer. A length does not say which way an item moves: Explore shows that.",
        )
    if report.curve:
        _chart(
            report,
            "features",
            "An explicit dual model needs very many features",
            "Relative error of W φ(q) with positive random features, after one step of gradient descent; 0 is exact. "
            "Bars hold 80 % of the draws (10 to 90 %).",
        )
    if report.descents:
        _chart(
            report,
            "descent",
            "One step is attention; more steps are something else",
            "Left: the loss. Right: the relative error of the attention output. Without weight decay the loss falls "
            "without end; with weight decay it has a minimum (dotted).",
        )
    if report.demos:
        _updates(report.task)


def _chart(report: DualReport, name: charts.DualView, title: str, note: str) -> None:
    panel(
        name,
        title,
        note,
        figure=lambda: charts.figure(report, name, tab.colours()),
        table=lambda: charts.table(report, name),
        alt=charts.alt(report, name),
    )


def _updates(task: DualTask) -> None:
    """The in-context update beside the update of fine-tuning, never without its controls."""
    section(
        "Is the in-context update like real training?",
        "Compares the in-context update with one epoch of fine-tuning on the same demonstrations, beside two controls: "
        "the same architecture with random weights, and shuffled demonstrations.",
    )
    report: UpdatesReport | None = sidejob.report_of(
        "updates",
        UpdatesTask(**question_of(task)),
        "Compare with fine-tuning",
        "Trains copies of the key and value projections; the model itself does not change.",
    )
    if report is None or not report.rows:
        return
    st.html(f'<p class="dl-lead">{safe_html(report.conclusion)}</p>')
    panel(
        "updates",
        "Similarity over the layers",
        "From −1 to 1 in every layer; higher is more alike. Thin lines are the baselines that are named below.",
        figure=lambda: update_charts.figure(report, tab.colours()),
        table=lambda: update_charts.table(report),
        alt=update_charts.alt(report),
    )
    lines = "".join(f"<dt>{LABELS[name]}</dt><dd>{safe_html(text)}</dd>" for name, text in DEFINITIONS.items())
    st.html(f'<dl class="dl-facts">{lines}</dl>')
    terms(*DEFINITIONS.values())


task_page.show(
    task_page.Page(
        "dual",
        controls,
        result,
        "The dual model of this case, head by head",
        "Attention over demonstrations equals one step of gradient descent on a small linear model, the dual model. "
        "This page shows how exactly that holds in each head, how much each demonstration adds there, and whether the "
        "step is like real training.",
    )
)

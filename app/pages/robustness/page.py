"""Robustness of one case: how far do small changes move the target, and what puts another item first?"""

from __future__ import annotations

import streamlit as st

from app.charts import perturbations as charts
from app.charts import sensitivity
from app.text import plain
from app.theme import CHART_CONFIG, Palette
from app.widgets import fields, tab, task_page
from app.widgets import robustness_words as words
from app.widgets.dual_controls import CONTROLS, MOST_SAMPLES, SAMPLES, SAMPLES_LABEL
from app.widgets.panel import panel, switched, twin
from app.widgets.report_head import head
from core.analysis.robustness.perturbations import NAMES
from core.analysis.robustness.robustness_task import RobustnessReport
from core.analysis.robustness.sensitivity_words import sensitivity_sentence


def controls() -> None:
    """Which perturbations, and which changed dual model stands beside the plain one."""
    names = {str(kind): name for kind, name in NAMES.items()}
    hint = "Kinds of change that are tried on this case. At least one stays chosen."
    fields.several("kinds", "Kinds of change", names, hint)
    fields.number("repeats", "Variants of each kind", 1, 32, "Changed prompts of each kind at each strength.")
    hint = "Scores the prompt in other words and with other demonstrations too, and tells which moves the list more."
    fields.toggle("sensitivity", "Compare wordings and demonstrations", hint)
    with st.expander("Changed dual model beside the plain one"):
        for control in CONTROLS:
            fields.number(control.field, control.label, 0.0, control.top, control.hint, step=0.05)
        fields.number("samples", SAMPLES_LABEL, 1, MOST_SAMPLES, SAMPLES)


def result(report: RobustnessReport) -> None:
    """Words, what the variants do, and other words beside other demonstrations."""
    head(report, words.sentence(report), words.leads(report), words.readouts(report))
    colours = tab.colours()
    if report.rows:
        changes(report, colours)
    if report.sensitivity:
        panel(
            "sensitivity",
            "Sensitivity to wording",
            f"{sensitivity_sentence(report)} The other demonstrations are as many, of other users drawn at random. "
            "A small mark is one prompt, a diamond the mean with its 90 % bootstrap interval.",
            figure=lambda: sensitivity.figure(report, colours),
            table=lambda: sensitivity.table(report),
            alt=sensitivity.alt(report),
        )


def changes(report: RobustnessReport, colours: Palette) -> None:
    """The map of kinds and strengths, the rank flow, and how far the target moves."""
    panel(
        "flips",
        "What puts another item first",
        "Share of variants in which another item comes first, by kind of change and by the share that it touches; "
        "a stronger shade is more. Under the pointer: Kendall tau and rank-biased overlap of the lists.",
        figure=lambda: charts.flips(report, colours),
        table=lambda: charts.table(report),
        alt=charts.flips_alt(report),
    )
    panel(
        "flow",
        "Where each candidate goes",
        "Place of every candidate in every variant, 1 on top. The thick line is the target; diamonds mark the "
        f"{report.task.case.truth}.",
        figure=lambda: charts.flow(report, colours),
        table=lambda: charts.flow_table(report),
        names={charts.place_column(line.item_id): f"place of {plain(line.title)}" for line in report.lines},
        alt=charts.flow_alt(report),
    )
    if any(row.place is not None for row in report.rows):
        target_moves(report, colours)


def target_moves(report: RobustnessReport, colours: Palette) -> None:
    """How far each kind of change moves the target: in places, in its margin, in its own score."""
    table = "Table"
    form = switched(
        "moves",
        "How far the target moves",
        "Mean over the variants of a kind with its 90 % bootstrap interval; a larger mark: a larger share is touched. "
        "Places count either way; for margin and score, right of 0 is a rise.",
        [*(row.words for row in charts.MEASURES.values()), table],
        charts.moves_alt(report),
    )
    if form == table:
        twin("moves", charts.table(report), alt=charts.moves_alt(report))
        return
    measure = next(name for name, row in charts.MEASURES.items() if row.words == form)
    with st.container(key="wide-moves"):
        st.plotly_chart(
            charts.moves(report, colours, measure=measure),
            theme=None,
            config=CHART_CONFIG,
            key="chart-moves",
            alt=charts.moves_alt(report),
        )


task_page.show(
    task_page.Page(
        "robustness",
        controls,
        result,
        "Does the list hold when the prompt changes a little?",
        "Scores about sixty variants of the prompt: changed histories, demonstrations, answers and titles. This page "
        "shows between which places the target stands then, which kind of change moves it most, and what puts another "
        "item first.",
    )
)

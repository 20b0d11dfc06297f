"""Robustness of one case: which changes flip the answer, and does a changed dual model stand better?"""

from __future__ import annotations

import streamlit as st

from app.charts import perturbations as charts
from app.charts import sensitivity
from app.text import plain
from app.theme import Palette
from app.widgets import fields, tab, task_page
from app.widgets import robustness_words as words
from app.widgets.dual_controls import CONTROLS, MOST_SAMPLES, SAMPLES, SAMPLES_LABEL
from app.widgets.panel import panel
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
    head(report, words.sentence(report), words.weak(report), words.readouts(report))
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
    """The map of kinds and strengths, the rank flow, the change of the target's score."""
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
        "Place of every candidate in every variant, 1 on top. The thick line with diamonds is the item really chosen "
        "next.",
        figure=lambda: charts.flow(report, colours),
        table=lambda: charts.flow_table(report),
        names={charts.place_column(line.item_id): f"place of {plain(line.title)}" for line in report.lines},
        alt=charts.flow_alt(report),
    )
    if all(row.score is None for row in report.rows):
        return
    panel(
        "score-change",
        "How far the target's score moves",
        "Mean change in nats with its 90 % bootstrap interval; to the right of 0 the score rises. A larger mark: a "
        "larger share is touched.",
        figure=lambda: charts.scores(report, colours),
        table=lambda: charts.table(report),
        alt=charts.scores_alt(report),
    )


task_page.show(
    task_page.Page(
        "robustness",
        controls,
        result,
        "Does the first place hold when the prompt changes a little?",
        "Scores about sixty variants of the prompt: changed histories, demonstrations, answers and titles. This page "
        "shows which changes put another item first, and on which demonstration the first place depends most.",
    )
)

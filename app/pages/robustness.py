"""Robustness of one case: which changes flip the answer, and does a changed dual model stand better?"""

from __future__ import annotations

import streamlit as st

from app.charts import robustness as charts
from app.components import options, tab, task
from app.components import robustness as words
from app.components.head import head
from app.components.panel import panel
from app.state import TaskView, View
from core.analysis.robustness.kinds import NAMES
from core.analysis.robustness.task import RobustnessReport
from core.analysis.task import Report

KIND = "robustness"


def controls(mine: TaskView) -> None:
    """Which perturbations, and which changed dual model stands beside the plain one."""
    options.several(KIND, mine, "kinds", "Perturbations", {str(kind): name for kind, name in NAMES.items()})
    options.number(
        KIND, mine, "repeats", "Variants each", 1, 32, step=1, hint="Variants of every kind at every strength."
    )
    with st.expander("Changed dual model beside the plain one"):
        for field, label, hint in (
            ("alpha", "Weight decay (alpha)", "The start weights W0 count (1 − alpha) times."),
            ("beta", "Negatives (beta)", "Each demonstration's values minus beta times the others' mean value."),
            (
                "sigma",
                "Noise (sigma)",
                "Gaussian noise on the demonstrations' keys and values, relative to their size.",
            ),
            ("dropout", "Gate dropout", "Each sample leaves demonstrations out with this probability."),
        ):
            top = 0.95 if field in ("alpha", "dropout") else 1.0
            options.number(KIND, mine, field, label, 0.0, top, step=0.05, hint=hint)
        options.number(KIND, mine, "samples", "Samples", 1, 64, step=1, hint="Changed dual models that are averaged.")


def result(view: View, report: Report) -> None:
    """Words, the map of kinds and strengths, the rank flow, the change of the target's score."""
    assert isinstance(report, RobustnessReport)
    user = view.tasks[KIND].answered.case.user
    head(report, user, words.sentence(report), words.weak(report), words.readouts(report))
    if not report.rows:
        return
    colours = tab.colours()
    panel(
        "flips",
        "What flips the first place",
        "Share of variants in which another item comes first.",
        figure=lambda: charts.flips(report, colours),
        table=lambda: charts.table(report),
        alt=charts.flips_alt(report),
    )
    panel(
        "flow",
        "Where each candidate goes",
        "Rank of the candidates under every variant; the target is drawn strong.",
        figure=lambda: charts.flow(report, colours),
        table=lambda: charts.flow_table(report),
        alt=charts.flow_alt(report),
    )
    if all(row.score is None for row in report.rows):
        return
    panel(
        "score-change",
        "How far the target's score moves",
        "Mean change in nats with its 90 % bootstrap interval.",
        figure=lambda: charts.scores(report, colours),
        table=lambda: charts.table(report),
        alt=charts.scores_alt(report),
    )


task.show(
    task.Page(
        KIND,
        "Does the answer stand when its prompt is changed a little?",
        "About sixty variants of the history, the demonstrations, their answers and the titles, run in one sweep that "
        "computes what they share once; you see what flips the first place and which demonstration it hangs on.",
        controls,
        result,
    )
)

"""A first look at robustness, on a dozen variants."""

from __future__ import annotations

import streamlit as st

from app.charts import perturbations as charts
from app.session import question_of
from app.widgets import robustness_words as words
from app.widgets import sidejob
from app.widgets.panel import section, twin
from core.analysis.explain.explain_task import Explain
from core.analysis.robustness.robustness_task import RobustnessReport, RobustnessTask


def first_look(task: Explain) -> None:
    """Whether the first place holds under small changes of the prompt of `task`."""
    section("Does the list hold?", "Tries twelve small changes of the history, the demonstrations and the titles.")
    report: RobustnessReport | None = sidejob.report_of(
        "robustness",
        RobustnessTask(**question_of(task), quick=True),
        "Try twelve small changes",
        "Scores twelve changed prompts in one sweep.",
    )
    if report is None:
        return
    notes = "".join(f'<p class="dl-note">{sentence}</p>' for sentence in words.leads(report))
    st.html(f'<p class="dl-lead">{words.sentence(report)}</p>{notes}')
    twin("robustness-quick", charts.table(report), alt=charts.flips_alt(report))

"""How good is each demonstration, and do these scores predict anything?"""

from __future__ import annotations

import streamlit as st

from app.charts import demonstration_quality as charts
from app.charts import score_utility as utility_charts
from app.pages.explore.views import pick_demo_pair
from app.session import View
from app.text import safe_html
from app.widgets import failures, sidejob, tab
from app.widgets.panel import panel, section, twin
from core.analysis.explain.explanation import Explanation
from core.analysis.quality.quality_task import QualityReport, QualityTask
from core.analysis.quality.utility_task import DEFINITIONS, SCORES, UtilityReport, UtilityTask, latest_utility, verdict

CHECKED_CASES = 20
"""Cases of the check that the page offers; fewer are not kept."""


def quality(view: View, explanation: Explanation) -> None:
    """The scores of this prompt's demonstrations, each with its measured worth."""
    section(
        "Quality of the demonstrations",
        "Five scores, each under its own name and unit; none of them is an explanation by itself. Gain is measured by "
        "a method of its own, so it need not equal the contribution above.",
    )
    found = sidejob.report_of(
        "quality",
        QualityTask(case=explanation.request),
        "Score the demonstrations",
        "One pass without any target, then gain and alignment.",
    )
    if not isinstance(found, QualityReport):
        return
    twin("quality", charts.scores(found), alt="The scores of every demonstration, in prompt order")
    _costs(found)
    if found.cosines is not None and len(found.cosines) > 1:
        panel(
            "gram",
            "Which demonstrations teach the same",
            "Cosine between the equivalent gradients of two demonstrations (kernel Gram matrix over all layers and "
            "heads). The same text at two places is not 1: positions turn its keys.",
            figure=lambda: charts.figure(found, tab.colours(), selected=tab.selected_demo(view, explanation)),
            table=lambda: charts.table(found),
            alt=charts.alt(found),
            on_pick=pick_demo_pair,
        )
    _worth(explanation)


def _costs(report: QualityReport) -> None:
    whose = "the user's latest known choice (a proxy)" if report.proxy else "the item really chosen next"
    parts = [
        f"{cost.score}: {cost.unit}"
        + (f", {cost.passes:.1f} passes" if cost.passes is not None else ", not measured")
        + (f" (shared with {cost.shared_with})" if cost.shared_with else "")
        for cost in report.costs
    ]
    st.html(f'<p class="dl-note">Scored for {whose}. Unit and cost: {safe_html("; ".join(parts))}.</p>')


def _worth(explanation: Explanation) -> None:
    """The rank correlation of every score with the true use of demonstrations, measured over many users."""
    request, source = explanation.request, explanation.provenance
    section(
        "Do these scores predict anything?",
        "Measured over many users: how well each score ranks demonstrations by their true use.",
    )
    found = latest_utility(source.model_id, source.dataset_id, request.family)
    if found is None:
        asked = UtilityTask(case=request, cases=CHECKED_CASES) if _checkable(explanation) else None
        if asked is None:
            failures.note(
                "Not measured for this model and data: a rank correlation needs three demonstrations or more that a "
                "strategy picked."
            )
            return
        made = sidejob.report_of(
            "utility",
            asked,
            f"Check them on {CHECKED_CASES} users",
            "Not measured yet for this model and data, so read the scores above as a description only.",
        )
        if not isinstance(made, UtilityReport):
            return
        found = made
    _verdicts(found)
    panel(
        "utility",
        "Rank correlation with the true use",
        "True use: how far the target's score falls when the demonstration is removed. A filled dot predicts it, an "
        "open circle does not; diamonds are floors that know nothing of the model.",
        figure=lambda: utility_charts.figure(found, tab.colours()),
        table=lambda: utility_charts.table(found),
        alt=utility_charts.alt(found),
    )


def _checkable(explanation: Explanation) -> bool:
    request = explanation.request
    return request.strategy != "manual" and request.demos >= 3


def _verdicts(found: UtilityReport) -> None:
    lines = "".join(
        f"<dt>{safe_html(SCORES[row.score])}</dt><dd>{safe_html(verdict(row))} "
        f'<span class="dl-quiet">{safe_html(DEFINITIONS[row.score])}</span></dd>'
        for row in found.of("removal_score")
        if not row.is_floor
    )
    st.html(f'<dl class="dl-facts">{lines}</dl>')

"""How good each demonstration is, and whether these scores predict anything."""

from __future__ import annotations

import streamlit as st

from app.charts import demonstration_quality as charts
from app.charts import score_utility as utility_charts
from app.headings import COLUMNS
from app.list_reading import candidate_index, effects_on
from app.pages.explore.selection import pick_demo_pair, selected_demo
from app.session import question_of
from app.text import plain, safe_html
from app.widgets import failures, sidejob, tab
from app.widgets.panel import panel, section, twin
from app.widgets.terms import terms
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.list_estimates import Estimates
from core.analysis.quality.quality_task import QualityReport, QualityTask
from core.analysis.quality.score_rows import DEFINITIONS, SCORES
from core.analysis.quality.utility_task import (
    LEAST_DEMOS,
    UtilityReport,
    UtilityTask,
    latest_utility,
    verdict,
)

OWN_GAIN = "Gain is measured here by a gradient or by deletion, so it need not equal the bars, which use more prompts."
CHECKED_CASES = 20
"""Cases of the check that the page offers; fewer are not kept."""


def quality(explanation: Explanation) -> None:
    """The scores of this prompt's demonstrations, each with its measured worth."""
    section(
        "Quality of the demonstrations",
        "Five scores, each under its own name and unit; none of them explains a place by itself. Gain and alignment "
        "are about the target's margin over the field.",
    )
    report: QualityReport | None = sidejob.report_of(
        "quality",
        QualityTask(**question_of(explanation.task)),
        "Score the demonstrations",
        "One pass without any target, then gain and alignment.",
    )
    if report is None:
        return
    effects = same_effects(explanation, report)
    twin("quality", charts.scores(report, effects), alt="The scores of every demonstration, in prompt order")
    _costs(report, taken=effects is not None)
    if report.cosines is not None and len(report.cosines) > 1:
        panel(
            "gram",
            "Which demonstrations teach the same",
            "Cosine between the equivalent gradients of two demonstrations (kernel Gram matrix over all layers and "
            "heads), from −1 to 1; higher is more alike. The same text at two positions of the prompt is not quite 1.",
            figure=lambda: charts.figure(report, tab.colours(), selected=selected_demo(explanation)),
            table=lambda: charts.table(report),
            alt=charts.alt(report),
            on_pick=pick_demo_pair,
        )
    _worth(explanation)


def same_effects(explanation: Explanation, report: QualityReport) -> Estimates | None:
    """Effects [demo] of the explanation where they are the gains: of the same margin, demonstrations and prompt."""
    if report.scored is None or report.proxy or explanation.list_effects is None:
        return None
    if [row.demo_id for row in report.demos] != [row.demo_id for row in explanation.demos]:
        return None
    at = candidate_index(explanation, report.scored.item_id)
    return None if at is None else effects_on(explanation, report.scored)


def _costs(report: QualityReport, *, taken: bool) -> None:
    """For whom and by what means the scores are, and what each cost; `taken`: the gains are the effects above."""
    whose = "the user's latest known choice (a proxy)" if report.proxy else "the target"
    if report.scored is not None:
        whose += f", {plain(report.scored.title, 60)}"
    gain = "Gain is the effect that the bars show for the same target." if taken else OWN_GAIN
    parts = [
        f"{COLUMNS[cost.score].text}: {cost.unit}"
        + (f", {cost.passes:.1f} passes" if cost.passes is not None else ", not measured")
        + (f" (measured together with {COLUMNS[cost.shared_with].text})" if cost.shared_with else "")
        for cost in report.costs
    ]
    scoring = f"Scored for {whose}. {gain} Unit and cost: {'; '.join(parts)}."
    failures.note(scoring)
    terms(scoring)


def _worth(explanation: Explanation) -> None:
    """The rank correlation of every score with the true use of demonstrations, measured over many users."""
    case, source = explanation.task.case, explanation.provenance
    if case.imported:
        return  # It is measured over many users of a data set.
    section(
        "Do these scores predict anything?",
        "Measured over many users: how well each score ranks demonstrations by their true use.",
    )
    report = latest_utility(source.model_id, source.dataset_id, case.family)
    if report is None and (case.strategy == "manual" or case.demos < LEAST_DEMOS):
        failures.note(
            "Not measured for this model and data: a rank correlation needs three demonstrations or more that a "
            "strategy picked."
        )
    elif report is None:
        report = sidejob.report_of(
            "utility",
            UtilityTask(case=case, users=CHECKED_CASES),
            f"Check them on {CHECKED_CASES} users",
            "Not measured yet for this model and data, so read the scores above as a description only.",
        )
    if report is not None:
        _predictions(report)


def _predictions(report: UtilityReport) -> None:
    _verdicts(report)
    panel(
        "utility",
        "Rank correlation with the true use",
        "True use: how far the target's own score falls when the demonstration is removed. A filled dot predicts it, "
        "an open circle does not; diamonds are floors that know nothing of the model. In this check gain and alignment "
        "are those of the own score, too.",
        figure=lambda: utility_charts.figure(report, tab.colours()),
        table=lambda: utility_charts.table(report),
        alt=utility_charts.alt(report),
    )


def _verdicts(report: UtilityReport) -> None:
    lines = "".join(
        f"<dt>{safe_html(SCORES[row.score])}</dt><dd>{safe_html(verdict(row))} "
        f'<span class="dl-quiet">{safe_html(DEFINITIONS[row.score])}</span></dd>'
        for row in report.of("removal_score")
        if not row.is_floor
    )
    st.html(f'<dl class="dl-facts">{lines}</dl>')
    terms(lines)

"""Would a regularised or perturbed dual model recommend another list, and does that list stand better?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.charts import inference_lists as charts
from app.pages.explore.selection import ExploreSelection
from app.session import question_of
from app.text import safe_html
from app.theme import ordinal
from app.widgets import failures, sidejob, tab
from app.widgets import robustness_words as robustness
from app.widgets.dual_controls import CONTROLS, MOST_SAMPLES, SAMPLES, SAMPLES_LABEL
from app.widgets.panel import panel, section
from app.widgets.report_head import readouts_row
from core.analysis.explain.explain_task import Explain
from core.analysis.robustness.inference_settings import PLAIN, InferenceSettings
from core.analysis.robustness.robustness_task import RankLine, RobustnessReport, RobustnessTask
from core.words import duration, margin_move

NAME, DRAFT = "regularised", "inference"
"""The job beside the explanation, and what its controls say."""
LABEL = "Compare with the plain list"
WHY = "Shows the changed list beside the plain one, and tries the same twelve small changes on both."
DIGITS = 4
"""Decimals of a control: beyond are rounding errors of its steps."""


def regularised(task: Explain) -> None:
    """The controls of the changed dual models, and their list beside the plain one after a press."""
    section(
        "Would a steadier model recommend the same?",
        "Ranks the candidates with a regularised or perturbed dual model: the weights of the language model stay, but "
        "its attention takes less or other things from the demonstrations. 0 everywhere is the plain model.",
    )
    compared = tab.selection(ExploreSelection).inference
    draft: InferenceSettings = tab.current().controls.setdefault(DRAFT, compared or PLAIN)
    _controls(draft)
    if draft != compared:
        _offer(task, draft)
    if compared is None:
        return
    report = sidejob.report_of(NAME, comparison(task, compared), LABEL, WHY, starts=True)
    if report is not None:
        _result(report, compared)


def comparison(task: Explain, settings: InferenceSettings) -> RobustnessTask:
    """A first look at a case under changed dual models, beside the plain one."""
    return RobustnessTask(**question_of(task), quick=True, **settings.model_dump())


def _controls(draft: InferenceSettings) -> None:
    columns = st.columns(len(CONTROLS) + 1, gap="medium", vertical_alignment="bottom")
    for column, control in zip(columns, CONTROLS, strict=False):
        key = f"in-regularised-{control.field}"
        st.session_state[key] = min(float(getattr(draft, control.field)), control.top)
        column.slider(
            control.label,
            0.0,
            control.top,
            step=0.01,
            key=key,
            on_change=_change,
            args=(control.field,),
            help=control.hint,
        )
    key = "in-regularised-samples"
    st.session_state[key] = draft.samples
    columns[-1].slider(
        SAMPLES_LABEL,
        1,
        MOST_SAMPLES,
        key=key,
        on_change=_change,
        args=("samples",),
        disabled=not draft.random,
        help=SAMPLES,
    )


def _change(field: str) -> None:
    controls, value = tab.current().controls, st.session_state[f"in-regularised-{field}"]
    controls[DRAFT] = controls[DRAFT].model_copy(update={field: round(value, DIGITS)})


def _offer(task: Explain, draft: InferenceSettings) -> None:
    """The button that starts what the controls say, with its cost."""
    changed = comparison(task, draft)
    failures.note("Move a control to compare." if draft.plain else f"{WHY} {sidejob.cost(changed)}")
    compare = partial(tab.select, **draft.model_dump())
    st.button(LABEL, key="regularise", on_click=sidejob.start, args=(NAME, changed, compare), disabled=draft.plain)
    sidejob.refusal(NAME)


def _result(report: RobustnessReport, settings: InferenceSettings) -> None:
    if not charts.moved(report):
        return
    st.html(f'<p class="dl-lead">{sentence(report)}</p>')
    readouts_row(robustness.readouts(report))
    for notice in settings.notices(len(report.demos)):
        failures.note(notice)
    panel(
        "moved",
        "The plain list and the changed one",
        "Places under the plain model on the left, under the changed dual model on the right; blue and ▲ rise, orange "
        f"and ▼ fall. A diamond is the {report.task.case.truth}.",
        figure=lambda: charts.moves(report, tab.colours()),
        table=lambda: charts.moves_table(report),
        alt=charts.moves_alt(report),
    )
    stage = "" if report.stage == "complete" else "Not complete yet. "
    failures.note(
        f"{stage}One case and {len(report.variants)} variants are a look, not a verdict; {report.passes:.1f} passes, "
        f"{duration(report.seconds)}."
    )


def sentence(report: RobustnessReport) -> str:
    """What the changed dual model does to the first place, to the target and to the list, in words; HTML."""
    lines = charts.moved(report)
    name = safe_html(charts.changed_name(report))
    before = min(lines, key=lambda line: (line.rank, line.changed_rank or line.rank))
    after = min(lines, key=lambda line: (line.changed_rank or line.rank, line.rank))
    if before == after:
        first = f"With {name}, {_title(before)} keeps the first place"
    else:
        first = f"With {name}, {_title(after)} takes the first place from {_title(before)}"
    climbed = sum(line.rank != line.changed_rank for line in lines)
    return f"{first}; {climbed} of {len(lines)} candidates change their place.{_target(report)}"


def _target(report: RobustnessReport) -> str:
    """What becomes of the target's place and of its margin; empty without a target."""
    line = None if report.target_line is None else report.lines[report.target_line]
    if line is None or line.changed_rank is None:
        return ""
    before, after = report.target_places(), report.target_places("changed")
    margin = ""
    if before is not None and after is not None:
        margin = f"; its margin over the field {margin_move(before.margin, after.margin)}"
    if line.changed_rank == line.rank:
        return f" The target, {_title(line)}, stays {ordinal(line.rank)}{margin}."
    verb = "rises" if line.changed_rank < line.rank else "falls"
    places = f"from {ordinal(line.rank)} to {ordinal(line.changed_rank)}"
    return f" The target, {_title(line)}, {verb} {places}{margin}."


def _title(line: RankLine) -> str:
    return f"<em>{safe_html(line.title, 60)}</em>"

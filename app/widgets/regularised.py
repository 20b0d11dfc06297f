"""Would a regularised or perturbed dual model recommend another list, and does that list stand better?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from app import cached, links
from app.charts import inference_lists as charts
from app.session import View
from app.text import safe_html
from app.theme import ordinal
from app.widgets import failures, sidejob, tab
from app.widgets import robustness_words as robustness
from app.widgets.panel import panel, section
from app.widgets.report_head import readouts_row
from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.robustness.robustness_task import RankLine, RobustnessReport
from core.errors import DemoLensError
from core.words import seconds

LABEL = "Compare with the plain list"
WHY = "Shows the changed list beside the plain one, and tries the same twelve small changes on both."
REFUSED = "refused-regularise"
DIGITS = 4
"""Decimals of a control: beyond are rounding errors of its steps."""


@dataclass(frozen=True)
class Control:
    """One slider."""

    field: str
    label: str
    top: float
    hint: str


CONTROLS = (
    Control(
        "alpha",
        "Weight decay (alpha)",
        0.95,
        "The start weights W0, which hold everything but the demonstrations, count 1 − alpha times.",
    ),
    Control(
        "beta",
        "Negatives (beta)",
        1.0,
        "Subtracts beta times the other demonstrations' mean value from each demonstration's values.",
    ),
    Control(
        "sigma",
        "Noise (sigma)",
        1.0,
        "Adds Gaussian noise to the demonstrations' keys and values, sigma times as large as they are.",
    ),
    Control("dropout", "Gate dropout", 0.95, "Each sample leaves out each demonstration with this probability."),
)
MOST_SAMPLES = 64
SAMPLES = "Changed models whose scores are averaged; only noise and gate dropout need more than one."


def regularised(view: View) -> None:
    """The controls of the changed dual models, and their list beside the plain one once it is asked for."""
    section(
        "Would a steadier model recommend the same?",
        "Ranks the candidates with a regularised or perturbed dual model: the weights of the language model stay, but "
        "its attention takes less or other things from the demonstrations. 0 everywhere is the plain model.",
    )
    _controls(view)
    task = links.beside(view.shown)
    if task is None or view.inference != view.shown.inference:
        _offer(view)
    if task is None:
        return
    found = sidejob.report_of("regularised", task, LABEL, WHY)
    if isinstance(found, RobustnessReport):
        _result(found, task.inference)


def _controls(view: View) -> None:
    columns = st.columns(len(CONTROLS) + 1, gap="medium", vertical_alignment="bottom")
    for column, control in zip(columns, CONTROLS, strict=False):
        key = f"in-regularised-{control.field}"
        st.session_state[key] = min(float(getattr(view.inference, control.field)), control.top)
        column.slider(
            control.label,
            0.0,
            control.top,
            step=0.01,
            key=key,
            on_change=_keep,
            args=(control.field,),
            help=control.hint,
        )
    key = "in-regularised-samples"
    st.session_state[key] = view.inference.samples
    columns[-1].slider(
        "Samples (P)",
        1,
        MOST_SAMPLES,
        key=key,
        on_change=_keep,
        args=("samples",),
        disabled=not view.inference.random,
        help=SAMPLES,
    )


def _keep(field: str) -> None:
    view: View = st.session_state[tab.VIEW]
    value = st.session_state[f"in-regularised-{field}"]
    view.inference = view.inference.model_copy(update={field: round(value, DIGITS)})


def _offer(view: View) -> None:
    """The button that asks for what the controls say, with what that costs."""
    task = links.beside(replace(view.shown, inference=view.inference))
    if view.inference.plain or task is None:
        failures.note("Move a control to compare.")
    else:
        failures.note(f"{WHY} About {seconds(cached.desk().forecast(task).seconds)}.")
    st.button(LABEL, key="regularise", on_click=_compare, disabled=view.inference.plain)
    refused = st.session_state.pop(REFUSED, "")
    if refused:
        failures.note(refused)


def _compare() -> None:
    view: View = st.session_state[tab.VIEW]
    wanted = replace(view.shown, inference=view.inference)
    task = links.beside(wanted)
    assert task is not None
    try:
        cached.desk().submit(task)
    except DemoLensError as fault:
        st.session_state[REFUSED] = str(fault)
        return
    view.shown = wanted


def _result(found: RobustnessReport, settings: InferenceSettings | None) -> None:
    if settings is None or not charts.moved(found):
        return
    st.html(f'<p class="dl-lead">{sentence(found)}</p>')
    readouts_row(robustness.readouts(found))
    for notice in settings.notices(len(found.demos)):
        failures.note(notice)
    panel(
        "moved",
        "The plain list and the changed one",
        "Ranks under the plain model on the left, under the changed dual model on the right; blue and ▲ climb, orange "
        "and ▼ drop. A diamond is the item really chosen next.",
        figure=lambda: charts.moves(found, tab.colours()),
        table=lambda: charts.moves_table(found),
        alt=charts.moves_alt(found),
    )
    stage = "" if found.stage == "complete" else "Not complete yet. "
    failures.note(
        f"{stage}One case and {len(found.variants)} variants are a look, not a verdict; {found.passes:.1f} passes, "
        f"{seconds(found.seconds)}."
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
    target = next((line for line in lines if line.is_target), None)
    return f"{first}; {climbed} of {len(lines)} candidates change their rank.{_target(target)}"


def _target(line: RankLine | None) -> str:
    if line is None or line.changed_rank is None:
        return ""
    if line.changed_rank == line.rank:
        return f" The item really chosen next, {_title(line)}, stays {ordinal(line.rank)}."
    verb = "climbs" if line.changed_rank < line.rank else "drops"
    places = f"from {ordinal(line.rank)} to {ordinal(line.changed_rank)}"
    return f" The item really chosen next, {_title(line)}, {verb} {places}."


def _title(line: RankLine) -> str:
    return f"<em>{safe_html(line.title, 60)}</em>"

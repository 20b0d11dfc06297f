"""Does the answer stand? The words and tables of a robustness report, for its page and for a first look."""

from __future__ import annotations

import streamlit as st

from app.charts import robustness as charts
from app.components import sidejob
from app.components.head import Readout
from app.components.panel import section, twin
from app.text import safe_html
from app.theme import number, ordinal, signed, with_interval
from core.analysis.explanation import Explanation
from core.analysis.robustness.kinds import NAMES
from core.analysis.robustness.task import Estimate, RobustnessReport, RobustnessTask


def quick(explanation: Explanation) -> None:
    """A first look at robustness, on a dozen variants."""
    section("Does the answer stand?", "Twelve small changes of the history, the demonstrations and the titles.")
    found = sidejob.report_of(
        "robustness",
        RobustnessTask(case=explanation.request, quick=True),
        "Try twelve small changes",
        "All of them in one sweep that runs what they share once.",
    )
    if not isinstance(found, RobustnessReport):
        return
    st.html(f'<p class="dl-lead">{sentence(found)}</p>' + "".join(f'<p class="dl-note">{w}</p>' for w in weak(found)))
    twin("robustness-quick", charts.table(found), alt=charts.flips_alt(found))


def sentence(report: RobustnessReport) -> str:
    """How often another item comes first, in words; HTML."""
    count = len(report.variants)
    if count == 0:
        return "No perturbation could be applied to this case yet."
    flips = sum(one.flips for one in report.variants)
    first = safe_html(report.lines[0].title, 60) if report.lines else "the first place"
    if flips == 0:
        return f"<em>{first}</em> keeps the first place under all {count} perturbations."
    return f"<em>{first}</em> loses the first place under {flips} of {count} perturbations."


def weak(report: RobustnessReport) -> list[str]:
    """The smallest change that flips the first place, and the demonstration it hangs on; HTML sentences."""
    found = []
    if report.smallest is not None:
        one = report.smallest
        found.append(
            f"Smallest change that flips it: {safe_html(one.words, 200)} ({number(100 * one.strength, 0)} %); then "
            f"<em>{safe_html(one.title, 60)}</em> comes first."
        )
    if report.weakest is not None:
        found.append(_weakest(report))
    found += [f"Left out: {safe_html(NAMES[one.kind])}, {safe_html(one.reason)}" for one in report.left_out]
    return found


def _weakest(report: RobustnessReport) -> str:
    one = report.weakest
    assert one is not None
    title = safe_html(report.demos[one.place].title, 60)
    how = ""
    if one.flips_with is not None and one.kind is not None:
        others = "alone" if one.flips_with == 1 else f"together with {one.flips_with - 1} other"
        how = f"; {safe_html(NAMES[one.kind])} {others}, it changes the first place"
    size = f", {signed(one.change)} nats of the target's score a touch" if one.change is not None else ""
    return f"The answer hangs most on {safe_html(one.label)} <em>{title}</em>{size}{how}."


def readouts(report: RobustnessReport) -> list[Readout]:
    """Flip rate, order and NDCG of every way of recommending, side by side."""
    cells = []
    for mode in report.modes:
        name = "Plain model" if mode.mode == "plain" else f"Changed dual model ({safe_html(mode.name)})"
        flips = "no variant" if mode.flips is None else f"{number(100 * mode.flips.mean, 0)} % flips"
        cells.append(Readout(name, flips, f"tau {_estimate(mode.tau)}, {mode.variants} variants"))
        if mode.ndcg_before is not None:
            small = f"over the variants {_estimate(mode.ndcg)}"
            cells.append(Readout(f"NDCG@10, {mode.mode}", number(mode.ndcg_before), small))
    target = next((line for line in report.lines if line.is_target), None)
    if target is not None:
        changed = f", {ordinal(target.changed_rank)} changed" if target.changed_rank is not None else ""
        cells.append(Readout("Rank of the target", ordinal(target.rank) + changed, "without any perturbation"))
    return cells


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return "not defined"
    return f"{number(value.mean)}{with_interval(value.low, value.high)}"

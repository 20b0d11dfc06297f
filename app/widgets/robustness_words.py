"""Does the answer stand? The words and tables of a robustness report, for its page and for a first look."""

from __future__ import annotations

import streamlit as st

from app.charts import perturbations as charts
from app.text import safe_html
from app.theme import amount, number, ordinal, with_interval
from app.widgets import sidejob
from app.widgets.panel import section, twin
from app.widgets.report_head import Readout
from core.analysis.explain.explanation import Explanation
from core.analysis.robustness.kinds import NAMES
from core.analysis.robustness.robustness_task import Estimate, RobustnessReport, RobustnessTask


def quick(explanation: Explanation) -> None:
    """A first look at robustness, on a dozen variants."""
    section(
        "Does the first place hold?", "Tries twelve small changes of the history, the demonstrations and the titles."
    )
    found = sidejob.report_of(
        "robustness",
        RobustnessTask(case=explanation.request, quick=True),
        "Try twelve small changes",
        "Scores twelve changed prompts in one sweep.",
    )
    if not isinstance(found, RobustnessReport):
        return
    st.html(f'<p class="dl-lead">{sentence(found)}</p>' + "".join(f'<p class="dl-note">{w}</p>' for w in weak(found)))
    twin("robustness-quick", charts.table(found), alt=charts.flips_alt(found))


def sentence(report: RobustnessReport) -> str:
    """How often another item comes first, in words; HTML."""
    count = len(report.variants)
    if count == 0:
        return "No change of this case has been tried yet."
    flips = sum(one.flips for one in report.variants)
    first = safe_html(report.lines[0].title, 60) if report.lines else "the first place"
    if flips == 0:
        return f"<em>{first}</em> keeps the first place in all {count} variants of the prompt."
    return f"<em>{first}</em> loses the first place in {flips} of {count} variants of the prompt."


def weak(report: RobustnessReport) -> list[str]:
    """The smallest change that flips the first place, and the demonstration it hangs on; HTML sentences."""
    found = []
    if report.smallest is not None:
        one = report.smallest
        found.append(
            f"The smallest change that puts another item first touches {number(100 * one.strength, 0)} %: "
            f"{safe_html(one.words, 200)}. Then <em>{safe_html(one.title, 60)}</em> comes first."
        )
    if report.weakest is not None:
        found.append(_weakest(report))
    found += [f"Not tried: {safe_html(NAMES[one.kind])}. {safe_html(one.reason)}" for one in report.left_out]
    return found


def _weakest(report: RobustnessReport) -> str:
    one = report.weakest
    assert one is not None
    title = safe_html(report.demos[one.place].title, 60)
    how = ""
    if one.flips_with is not None and one.kind is not None:
        others = "alone" if one.flips_with == 1 else f"together with {_others(one.flips_with - 1)}"
        how = f" Changed {others} ({safe_html(NAMES[one.kind])}), it puts another item first."
    size = f": a change of it moves the target's score by {amount(one.change)} on average" if one.change else ""
    return f"The first place depends most on {safe_html(one.label)} (<em>{title}</em>){size}.{how}"


def _others(count: int) -> str:
    return f"{count} other demonstration{'s' * (count != 1)}"


def readouts(report: RobustnessReport) -> list[Readout]:
    """Flip rate, order and NDCG of every way of recommending, side by side."""
    cells = []
    for mode in report.modes:
        name = "plain model" if mode.mode == "plain" else f"changed dual model ({safe_html(mode.name)})"
        value = "no variant" if mode.flips is None else f"{number(100 * mode.flips.mean, 0)} %"
        small = f"of {mode.variants} variants; Kendall tau of the lists {_estimate(mode.tau)}"
        cells.append(Readout(f"Another item first, {name}", value, small))
        if mode.ndcg_before is not None:
            small = f"unchanged prompt; mean over the variants {_estimate(mode.ndcg)}"
            cells.append(Readout(f"NDCG@10, {name}", number(mode.ndcg_before), small))
    target = next((line for line in report.lines if line.is_target), None)
    if target is not None:
        changed = f", changed model {ordinal(target.changed_rank)}" if target.changed_rank is not None else ""
        cells.append(Readout("Rank of the target", ordinal(target.rank) + changed, "unchanged prompt"))
    return cells


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return "not defined"
    return f"{number(value.mean)}{with_interval(value.low, value.high, signs=False)}"

"""A robustness report in words and figures, for its page and for a first look."""

from __future__ import annotations

from app.text import counted, safe_html
from app.theme import nats, number, ordinal, with_interval
from app.widgets.report_head import Readout
from core.analysis.robustness.perturbations import NAMES
from core.analysis.robustness.place_words import margin_sentence, places_sentence, size_sentence
from core.analysis.robustness.robustness_task import Estimate, ModeRow, RobustnessReport, TargetPlaces, Weakest


def sentence(report: RobustnessReport) -> str:
    """Between which places the target stands over the variants, and what moves it most; HTML.

    Without a target, how often another item comes first.
    """
    target = "" if report.target is None else f"<em>{safe_html(report.target.title, 60)}</em>"
    return (places_sentence(report, target) if target else "") or first_place(report)


def first_place(report: RobustnessReport) -> str:
    """How often another item comes first, in words; HTML."""
    count = len(report.variants)
    if count == 0:
        return "No change of this case has been tried yet."
    flips = sum(variant.flips for variant in report.variants)
    first = safe_html(report.lines[0].title, 60) if report.lines else "the first place"
    if flips == 0:
        return f"<em>{first}</em> keeps the first place in all {count} variants of the prompt."
    return f"<em>{first}</em> loses the first place in {flips} of {count} variants of the prompt."


def leads(report: RobustnessReport) -> list[str]:
    """The target's margin and its moves beside other words, then who comes first and what breaks that; HTML."""
    own = [margin_sentence(report), size_sentence(report), first_place(report)]
    return [*(own if report.target_places() else ()), *weak(report)]


def weak(report: RobustnessReport) -> list[str]:
    """The smallest change that flips the first place, and the demonstration it hangs on; HTML sentences."""
    sentences = []
    if (flip := report.smallest) is not None:
        sentences.append(
            f"The smallest change that puts another item first touches {number(100 * flip.strength, 0)} %: "
            f"{safe_html(flip.words, 200)}. Then <em>{safe_html(flip.title, 60)}</em> comes first."
        )
    if report.weakest is not None:
        sentences.append(_weakest(report.demos[report.weakest.place].title, report.weakest))
    return [*sentences, *not_tried(report)]


def not_tried(report: RobustnessReport) -> list[str]:
    """Which kinds are left out, those with the same reason together; HTML sentences."""
    kinds: dict[str, list[str]] = {}
    for row in report.left_out:
        kinds.setdefault(row.reason, []).append(NAMES[row.kind])
    return [f"Not tried: {safe_html('; '.join(names), 300)}. {safe_html(reason)}" for reason, names in kinds.items()]


def _weakest(title: str, demo: Weakest) -> str:
    how = ""
    if demo.flips_with is not None and demo.kind is not None:
        others = (
            "alone" if demo.flips_with == 1 else f"together with {counted(demo.flips_with - 1, 'other demonstration')}"
        )
        how = f" Changed {others} ({safe_html(NAMES[demo.kind])}), it puts another item first."
    size = ""
    if demo.places is not None and demo.change is not None:
        moved = f"{number(demo.places, 1)} places and its margin by {number(demo.change)} nats"
        size = f": a change of it moves the target by {moved} on average"
    name = f"{safe_html(demo.label)} (<em>{safe_html(title, 60)}</em>)"
    return f"The first place depends most on {name}{size}.{how}"


def readouts(report: RobustnessReport) -> list[Readout]:
    """The target's places, flip rate, order and NDCG of every way of recommending, side by side."""
    return [cell for mode in report.modes for cell in _mode_readouts(mode)]


def _mode_readouts(mode: ModeRow) -> list[Readout]:
    name = "plain model" if mode.mode == "plain" else f"changed dual model ({safe_html(mode.name)})"
    cells = [] if mode.target is None else [_places(mode.target, name)]
    value = "no variant" if mode.flips is None else f"{number(100 * mode.flips.mean, 0)} %"
    small = f"of {mode.variants} variants; Kendall tau between the lists {_estimate(mode.tau)}"
    cells.append(Readout(f"Another item comes first, {name}", value, small))
    if mode.ndcg_before is not None:
        small = f"with the unchanged prompt; mean over the variants {_estimate(mode.ndcg)}"
        cells.append(Readout(f"NDCG@10, {name}", number(mode.ndcg_before), small))
    return cells


def _places(places: TargetPlaces, name: str) -> Readout:
    span = f"{ordinal(places.best)} to {ordinal(places.worst)}" if places.best != places.worst else "no other place"
    small = f"with the unchanged prompt; {span} in the variants; margin {nats(places.margin)}"
    return Readout(f"Place of the target, {name}", f"{ordinal(places.place)} of {places.candidates}", small)


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return "not defined"
    return f"{number(value.mean)}{with_interval(value.low, value.high, signs=False)}"

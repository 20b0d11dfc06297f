"""An explanation as a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from core.analysis.explain.explanation import CandidateRow, Contributions, Explanation
from core.analysis.explain.flip_words import flip_sentence, history_sentence
from core.metrics.ranking import Rank, best_first
from core.question.case_spec import CaseSpec
from core.question.shown_candidates import shown_sentence
from core.question.targets import EXPLAINED
from core.question.task import DemoRow, Target
from core.work.log import escaped

MOST_CANDIDATES = 10
TITLE_WIDTH = 48


def explanation_lines(explanation: Explanation) -> list[str]:
    """The question, the recommendations, the contributions, and how faithful they are.

    Titles are shown with control and direction characters escaped, so that none can steer a terminal.
    """
    return [
        *_heading(explanation),
        "",
        *_recommendations(explanation),
        "",
        *_contributions(explanation),
        *(f"Note: {escaped(notice)}" for notice in _notices(explanation)),
    ]


def _notices(explanation: Explanation) -> Iterator[str]:
    """What a reader should know of data and model, what the prompt lost, and what is odd about its titles."""
    yield from dict.fromkeys((*explanation.notices, *explanation.prompt.cut, *explanation.prompt.notices))


def _heading(explanation: Explanation) -> Iterator[str]:
    case, source = explanation.task.case, explanation.provenance
    demos = f"{len(explanation.demos)} demonstrations"
    if case.case is not None:
        yield f"Case {escaped(case.case)} of {escaped(source.dataset_name)}, {demos}, as it was logged"
    else:
        yield f"User {escaped(case.user)} of {escaped(source.dataset_name)}, {demos} ({case.strategy}), {case.family}"
    if source.template is not None:
        yield f"Template {escaped(source.template.words)}"
    place = f" on {source.device}, {source.dtype}" if source.server is None else ""
    yield f"{escaped(source.model_name)}{place}, {explanation.timings.total:.1f} s"
    if shown := shown_sentence(explanation.demos, explanation.chosen_next, truth=explanation.task.case.truth):
        yield shown


def _recommendations(explanation: Explanation) -> Iterator[str]:
    order = best_first([row.rank for row in explanation.candidates], explanation.candidates)
    rows = [explanation.candidates[index] for index in order]
    blend = bool(rows) and rows[0].model_rank is not None
    alone = f" {'model':>6}" if blend else ""
    words = "; model = rank by the model's score alone, without the blend" if blend else ""
    head = f"{'rank':>4} {'without':>7}{alone} {'score':>8}  title"
    yield f"{head} (score in nats; without = rank without demonstrations{words})"
    for row in rows[:MOST_CANDIDATES]:
        yield _candidate(row, explanation.task.case)
    for row in rows[MOST_CANDIDATES:]:
        if row.is_target:
            yield _candidate(row, explanation.task.case)
    if len(rows) > MOST_CANDIDATES:
        yield f"     … {len(rows) - MOST_CANDIDATES} more in the JSON"


def _candidate(row: CandidateRow, case: CaseSpec) -> str:
    mark = f"  <- {case.truth_mark.removeprefix('really ')}" if row.is_target else ""
    rank, before = _place(row.rank), _place(row.zero_shot_rank)
    score = "-" if row.score is None else f"{row.score:+.3f}"
    alone = "" if row.model_rank is None else f" {_place(row.model_rank):>6}"
    return f"{rank:>4} {before:>7}{alone} {score:>8}  {_title(row.title)}{mark}"


def _contributions(explanation: Explanation) -> Iterator[str]:
    shares = explanation.contributions
    if shares is None:
        yield "No demonstrations, so no contributions"
        return
    yield f"Effects of the demonstrations on the {_explained(shares.target)}, in nats"
    yield f"(method {shares.method}, {shares.passes:.1f} passes, {shares.seconds:.1f} s)"
    for index, demo in enumerate(explanation.demos):
        answer = "" if demo.answer is None else f" = {demo.answer}"
        mark = _shown(demo, explanation)
        amount = f"{shares.values[index]:+.3f}{_interval(shares, index)}{_noise_mark(shares, index)}"
        yield f"{demo.label:>4} {amount}  {_title(demo.title)}{answer}{mark}{_place_without(explanation, index)}"
    yield f"without demonstrations {shares.zero_shot:+.3f}, contributions {sum(shares.values):+.3f},"
    yield f"what they do not account for {shares.residual:+.3f}, together {shares.few_shot:+.3f}"
    yield _faithfulness(explanation, shares)
    if shares.rank_agreement is not None:
        low, high = shares.rank_agreement_low, shares.rank_agreement_high
        ends = "" if low is None or high is None else ends_of(f"{low:.2f}", f"{high:.2f}")
        yield f"Rank agreement of predicted and measured places: {shares.rank_agreement:.2f}{ends}"
    if explanation.flip_set is not None:
        yield escaped(flip_sentence(explanation.flip_set, len(explanation.demos)))
    if (history := history_sentence(explanation)) is not None:
        yield escaped(history)


def _explained(target: Target) -> str:
    """What is explained, with the titles: `margin over the field of Heat (1995)`."""
    against = "" if target.against_title is None else f" {_title(target.against_title)}"
    if target.explain == "pair":
        return f"margin of {_title(target.title)} over{against}"
    return f"{EXPLAINED[target.explain].words} of {_title(target.title)}"


def _place_without(explanation: Explanation, demo: int) -> str:
    """The target's place without one demonstration, measured or predicted."""
    effects, shares = explanation.list_effects, explanation.contributions
    if effects is None or shares is None:
        return ""
    at = [row.item_id for row in explanation.candidates].index(shares.target.item_id)
    if (prompt := effects.measured_without(demo)) is not None:
        return f"; without it place {prompt.ranks[at]:g}"
    low, high = effects.without.low[demo][at], effects.without.high[demo][at]
    return f"; without it about place {effects.without.value[demo][at]:.0f} (90 % {low:g} to {high:g})"


def _shown(demo: DemoRow, explanation: Explanation) -> str:
    """A mark of a demonstration that shows a candidate."""
    if not demo.shows:
        return ""
    true = explanation.task.case.truth.replace("really ", "")
    return f"  <- shows the {true}" if explanation.chosen_next in demo.shows else "  <- shows a candidate"


def _faithfulness(explanation: Explanation, shares: Contributions) -> str:
    if explanation.faithfulness is not None:
        low, high, lds = explanation.faithfulness.low, explanation.faithfulness.high, explanation.faithfulness.lds
        behind = f"over {explanation.faithfulness.ablations} text ablations"
    else:
        low, high, lds, behind = shares.lds_low, shares.lds_high, shares.lds, "over the ablations the method made"
    if lds is None:
        return "Faithfulness (LDS): not measured"
    ends = "" if low is None or high is None else ends_of(f"{low:.2f}", f"{high:.2f}")
    return f"Faithfulness (LDS): {lds:.2f}{ends} {behind}"


def _interval(shares: Contributions, index: int) -> str:
    if shares.low is None or shares.high is None:
        return ""
    return ends_of(f"{shares.low[index]:+.3f}", f"{shares.high[index]:+.3f}")


def _noise_mark(shares: Contributions, index: int) -> str:
    return " noise" if shares.within_noise is not None and shares.within_noise[index] else ""


def ends_of(low: str, high: str) -> str:
    """` (0.20 to 0.61)`; nothing for an interval without width."""
    return "" if low == high else f" ({low} to {high})"


def _title(title: str) -> str:
    text = escaped(title)
    return text if len(text) <= TITLE_WIDTH else text[: TITLE_WIDTH - 1] + "…"


def _place(rank: Rank | None) -> str:
    return "-" if rank is None else f"{rank:g}"

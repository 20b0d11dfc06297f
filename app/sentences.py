"""A result in words: direction, amount, unit, uncertainty, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.text import safe_html
from app.theme import amount, interval, nats, number, ordinal, signed, with_interval
from core.analysis.explain.explanation import CandidateRow, Contributions, Explanation
from core.data import strategies
from core.metrics.ranking import Rank
from core.prompt import families
from core.words import duration

STRONG = 0.8
"""LDS from which an explanation is called strong: at least four fifths of the order of ablated scores is right."""
FAIR = 0.5
"""LDS from which it is called fair; below it is weak."""

SOURCES: dict[str, str] = {name: strategy.source for name, strategy in strategies.STRATEGIES.items()}
FAMILIES: dict[str, str] = {name: family.words for name, family in families.FAMILIES.items()}

Trust = Literal["strong", "fair", "weak", "not measured"]


@dataclass(frozen=True)
class FaithfulnessNote:
    """The faithfulness that stands beside an explanation."""

    word: Trust
    lds: float | None
    low: float | None
    high: float | None
    origin: str

    @property
    def sentence(self) -> str:
        """What a reader may conclude, in one sentence."""
        if self.lds is None:
            return "Faithfulness is not measured yet: read the bars as a lead, not as a finding."
        between = interval(self.low, self.high, number)
        value = f"LDS {number(self.lds)}" + (f", 90 % {between}" if between else "")
        chance = " It may be no better than chance." if self.low is not None and self.low <= 0 else ""
        meaning = {
            "strong": "Strong: the bars predict well what happens when demonstrations are taken out.",
            "fair": "Fair: the bars predict roughly what happens when demonstrations are taken out.",
            "weak": "This explanation is weak: the bars predict poorly what happens when demonstrations are taken out.",
            "not measured": "",
        }[self.word]
        return f"{meaning} ({value}, {self.origin}.){chance}"


def faithfulness_note(explanation: Explanation) -> FaithfulnessNote:
    """The best measurement at hand: text ablations where they exist, else the method's own."""
    ablated, contributions = explanation.faithfulness, explanation.contributions
    if ablated is not None and ablated.lds is not None:
        origin = f"{ablated.ablations} text ablations"
        return FaithfulnessNote(trust(ablated.lds), ablated.lds, ablated.low, ablated.high, origin)
    if contributions is not None and (lds := contributions.lds) is not None:
        ends = contributions.lds_low, contributions.lds_high
        return FaithfulnessNote(trust(lds), lds, *ends, "cross-validated on its own ablations")
    return FaithfulnessNote("not measured", None, None, None, "")


def trust(lds: float) -> Trust:
    """The word for an LDS, by the documented thresholds `STRONG` and `FAIR`."""
    return "strong" if lds >= STRONG else "fair" if lds >= FAIR else "weak"


def target_row(explanation: Explanation) -> CandidateRow | None:
    """The candidate whose score is explained; before there are contributions, the item really chosen next."""
    if explanation.contributions is not None:
        item = explanation.contributions.target.item_id
    elif explanation.task.target is not None:
        item = explanation.task.target
    elif explanation.target_index is not None:
        return explanation.candidates[explanation.target_index]
    else:
        return None
    return next((row for row in explanation.candidates if row.item_id == item), None)


def strongest(contributions: Contributions) -> int | None:
    """Index of the demonstration with the largest amount, either way; None when all are exactly zero."""
    if not contributions.values:
        return None
    best = max(range(len(contributions.values)), key=lambda index: abs(contributions.values[index]))
    return best if contributions.values[best] != 0 else None


def headline(explanation: Explanation) -> str:
    """The case in one sentence, as HTML."""
    row, total = target_row(explanation), len(explanation.candidates)
    if row is None:
        return f"{total} candidates are ranked; the item really chosen next is not known."
    title = f"<em>{safe_html(row.title, 80)}</em>"
    if row.rank is None:
        return f"{title} is one of {total} candidates; the scores are being computed."
    place = f"{title} ranks {ordinal(row.rank)} of {total}"
    if not explanation.demos:
        return f"{place}, without any demonstration."
    return f"{place}, {_moved(row)}."


def _moved(row: CandidateRow) -> str:
    if row.zero_shot_rank is None or row.rank is None:
        return "with its demonstrations"
    if row.zero_shot_rank == row.rank:
        return "the same as without demonstrations"
    direction = "up" if row.rank < row.zero_shot_rank else "down"
    return f"{direction} from {ordinal(row.zero_shot_rank)} without demonstrations"


def lead(explanation: Explanation) -> str:
    """The demonstration with the largest amount, as HTML; empty before there are contributions."""
    contributions = explanation.contributions
    if contributions is None:
        return ""
    index = strongest(contributions)
    if index is None or index >= len(explanation.demos):
        return "No demonstration changes its score."
    return demonstration(explanation, index, most=True)


def demonstration(explanation: Explanation, index: int, *, most: bool = False) -> str:
    """What one demonstration does to the target: its contribution, and score and rank without it; as HTML."""
    contributions, row = explanation.contributions, explanation.demos[index]
    name = f"<strong>{row.label}</strong> (<em>{safe_html(row.title, 60)}</em>{_answer(row.answer)})"
    if contributions is None:
        return f"{name} has {row.tokens} tokens; its contribution is being computed."
    value, without = contributions.values[index], _without(explanation, contributions, index)
    if value == 0:
        return f"{name} does not change {_goal(contributions)}.{without}"
    verb, sign = ("raises", "dl-up") if value > 0 else ("lowers", "dl-down")
    extra = " most," if most else ""
    low, high = contributions.low, contributions.high
    spread = with_interval(low[index], high[index]) if low and high else ""
    change = f'{verb} {_goal(contributions)}{extra} by <span class="{sign}">{amount(value)}</span>'
    return f"{name} {change}{spread}.{without}"


def _answer(answer: str | None) -> str:
    return f", answered {answer}" if answer else ""


def _goal(contributions: Contributions) -> str:
    title = f"<em>{safe_html(contributions.target.title, 60)}</em>"
    if contributions.target.against_title is None:
        return title
    return f"{title} over <em>{safe_html(contributions.target.against_title, 60)}</em>"


def _without(explanation: Explanation, contributions: Contributions, index: int) -> str:
    """The removal effect of a demonstration on the target; it need not have the sign of the contribution."""
    row = target_row(explanation)
    if explanation.matrix is None or row is None or row.rank is None:
        return ""
    at = explanation.candidates.index(row)
    fall, after = explanation.matrix.values[index][at], explanation.matrix.ranks_without[index][at]
    alone = contributions.target.against_id is None
    score = "the score" if alone else f"the score of <em>{safe_html(row.title, 60)}</em>"
    text = f"{score} is {_score_without(fall)} and the rank {_rank_without(row.rank, after)}"
    if alone and fall * contributions.values[index] < 0:
        return f" Yet with only this one taken out, {text}: its contribution depends on the other demonstrations."
    return f" Without it {text}."


def pair(explanation: Explanation, demo: int, candidate: int) -> str:
    """The removal effect of one demonstration on one candidate, as HTML; empty before the matrix is there."""
    if explanation.matrix is None:
        return ""
    fall, after = explanation.matrix.values[demo][candidate], explanation.matrix.ranks_without[demo][candidate]
    row, label = explanation.candidates[candidate], explanation.demos[demo].label
    title = f"<em>{safe_html(row.title, 60)}</em>"
    return f"Without {label}, {title} scores {_score_without(fall)} and ranks {_rank_without(row.rank, after)}."


def _score_without(fall: float) -> str:
    return "the same" if fall == 0 else f"{amount(fall)} {'lower' if fall > 0 else 'higher'}"


def _rank_without(rank: Rank | None, after: Rank) -> str:
    if rank is None:
        return ordinal(after)
    return f"still {ordinal(after)}" if rank == after else f"{ordinal(after)} instead of {ordinal(rank)}"


def cost(contributions: Contributions) -> str:
    """The cost of the answer."""
    back = f", {contributions.backwards} backward" if contributions.backwards else ""
    return f"{contributions.forwards} prompts scored{back}; {duration(contributions.seconds)}"


def residual(contributions: Contributions) -> str:
    """What the bars leave unexplained, in plain words."""
    total = contributions.few_shot - contributions.zero_shot
    between = f"{nats(contributions.residual)} of it is interaction between them, which no single bar holds"
    text = f"The demonstrations together change the score by {nats(total)}; {between}."
    if contributions.completeness_gap is not None:
        text += f" Quadrature error of the gradient path: {signed(contributions.completeness_gap, 3)} nats."
    return text

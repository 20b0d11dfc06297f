"""A result in words: direction, amount, unit, uncertainty, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.list_reading import PlaceWithout, place_without, target_without
from app.text import safe_html
from app.theme import amount, between, interval, nats, number, ordinal, signed, with_interval
from core.analysis.explain.explanation import CandidateRow, Contributions, Explanation
from core.data import strategies
from core.metrics.ranking import Rank
from core.prompt import families
from core.question.case_spec import CaseSpec
from core.question.targets import EXPLAINED
from core.question.task import Target
from core.words import duration

STRONG = 0.8
"""LDS, or rank agreement, from which an explanation is called strong: at least four fifths of the order is right."""
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
    agreement: float | None = None
    """Rank agreement: how well the order of the places with demonstrations taken out is predicted."""
    agreement_low: float | None = None
    agreement_high: float | None = None

    @property
    def places(self) -> str:
        """How far the predicted places are to be trusted, in one sentence; empty where it was not measured."""
        if self.agreement is None:
            return ""
        ends = interval(self.agreement_low, self.agreement_high, number)
        value = f"rank agreement {number(self.agreement)}" + (f", 90 % {ends}" if ends else "")
        meaning = {
            "strong": "The places that it predicts are right in their order",
            "fair": "The places that it predicts are roughly right in their order",
            "weak": "The places that it predicts are weak: trust the measured ones",
        }[trust(self.agreement)]
        return f"{meaning} ({value})."

    @property
    def short(self) -> str:
        """Both measurements in a few words: `effects strong, LDS 0.91 (0.80 to 0.97); places fair, ...`."""
        parts = [f"effects {self.word}, LDS {between(self.lds, self.low, self.high)}"]
        if self.agreement is not None:
            ends = between(self.agreement, self.agreement_low, self.agreement_high)
            parts.append(f"places {trust(self.agreement)}, rank agreement {ends}")
        return "; ".join(parts)

    @property
    def sentence(self) -> str:
        """What a reader may conclude, in one sentence."""
        if self.lds is None:
            return "Faithfulness is not measured yet: read the bars as a lead, not as a finding."
        ends = interval(self.low, self.high, number)
        value = f"LDS {number(self.lds)}" + (f", 90 % {ends}" if ends else "")
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
    ends = () if contributions is None else ("", "_low", "_high")
    agreement = [getattr(contributions, f"rank_agreement{end}") for end in ends]
    if ablated is not None and ablated.lds is not None:
        origin = f"{ablated.ablations} text ablations"
        return FaithfulnessNote(trust(ablated.lds), ablated.lds, ablated.low, ablated.high, origin, *agreement)
    if contributions is not None and (lds := contributions.lds) is not None:
        ends_of_lds = contributions.lds_low, contributions.lds_high
        return FaithfulnessNote(trust(lds), lds, *ends_of_lds, "cross-validated on its own ablations", *agreement)
    return FaithfulnessNote("not measured", None, None, None, "", *agreement)


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
        return f"{total} candidates are ranked; the {explanation.task.case.truth} is not known."
    title = f"<em>{safe_html(row.title, 80)}</em>"
    if row.rank is None:
        return f"{title} is one of {total} candidates; the scores are being computed."
    place = f"{title} ranks {ordinal(row.rank)} of {total}{_alone(row)}"
    if not explanation.demos:
        return f"{place}, without any demonstration."
    return f"{place}, {_moved(row)}{_cause(explanation, row)}."


def _alone(row: CandidateRow) -> str:
    """The place by the model alone, where popularity is blended in."""
    return "" if row.model_rank is None else f" (without the blend {ordinal(row.model_rank)})"


def _cause(explanation: Explanation, row: CandidateRow) -> str:
    """What the demonstrations do to the list and to the item, in directions; empty before both scores are there."""
    moves = {each.item_id: _score_change(each) for each in explanation.candidates}
    own = moves.pop(row.item_id)
    others = [move for move in moves.values() if move is not None]
    if own is None or not others or row.rank == row.zero_shot_rank:
        return ""
    lift, ahead = sum(others) / len(others), sum(move < own for move in others)
    behind = sum(move > own for move in others)
    if lift * own > 0:
        verb, less = ("raise", behind > ahead) if own > 0 else ("lower", ahead > behind)
        count = behind if (own > 0) == less else ahead
        than = f"{'less' if less else 'more'} than {count} of {len(others)} others"
        return f": they {verb} the list as a whole, this item {than}"
    other, item = ("raise", "lower") if own < lift else ("lower", "raise")
    return f": they {other} the other candidates on average and {item} this one"


def _score_change(row: CandidateRow) -> float | None:
    """How far the demonstrations together move a candidate's own score, nats."""
    return None if row.score is None or row.zero_shot_score is None else row.score - row.zero_shot_score


def standing(row: CandidateRow, total: int) -> str:
    """A candidate's title with its place, and the place without demonstrations, as HTML: `◆ Heat is 5th of 20`."""
    title = f"{'◆ ' if row.is_target else ''}<em>{safe_html(row.title, 60)}</em>"
    if row.rank is None:
        return f"{title} has no place yet."
    before = "" if row.zero_shot_rank is None else f", {ordinal(row.zero_shot_rank)} without demonstrations"
    return f"{title} is {ordinal(row.rank)} of {total}{_alone(row)}{before}."


def turning(explanation: Explanation, row: CandidateRow | None) -> str:
    """The demonstrations whose removal alone lifts a candidate most and drops it most, with the place, as HTML."""
    if row is None or row.rank is None or explanation.list_effects is None:
        return ""
    at, rank = explanation.candidates.index(row), row.rank
    places = [place_without(explanation, demo, at) for demo in range(len(explanation.demos))]
    sure = [(place, demo) for demo, place in enumerate(places) if place is not None and place.moves(rank)]
    ends = [("costs it most", min), ("gives it most", max)]
    parts = []
    for words, pick in ends:
        place, demo = pick(sure, key=lambda pair: pair[0].value, default=(None, 0))
        if place is not None and (place.value < rank) == (pick is min):
            origin = "measured" if place.measured else f"90 % {place.low:g} to {place.high:g}, predicted"
            label = f"<strong>{explanation.demos[demo].label}</strong>"
            parts.append(f"{label} {words}: without it, it is {ordinal(place.nearest)} ({origin}).")
    return " ".join(parts) or "No single demonstration surely moves its place."


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
    return goal(contributions.target)


def goal(target: Target) -> str:
    """What is explained, as the object of "raises", as HTML."""
    title = f"<em>{safe_html(target.title, 60)}</em>"
    against = f"<em>{safe_html(target.against_title or '', 60)}</em>"
    return {
        "field": f"{title} against the other candidates",
        "score": f"the score of {title}",
        "lift": f"all candidates beside {title}",
        "pair": f"{title} over {against}",
    }[target.explain]


def explained_words(target: Target) -> str:
    """What is explained, as a noun: `the margin over the field`."""
    return f"the {EXPLAINED[target.explain].words}"


def _without(explanation: Explanation, contributions: Contributions, index: int) -> str:
    """The place without a demonstration; where it says the opposite of the effect, that is said too."""
    row = target_row(explanation)
    without = target_without(explanation, index)
    if row is None or row.rank is None or without is None:
        return ""
    place = f"<em>{safe_html(row.title, 60)}</em> is {place_words(without, row.rank)}"
    if contributions.target.explain != "lift" and _contradicts(contributions.values[index], without, row.rank):
        return f" Yet with only this one taken out, {place}: {_why(explanation, index)}"
    return f" Without it {place}."


def _contradicts(effect: float, without: PlaceWithout, rank: Rank) -> bool:
    """Whether taking a demonstration out surely moves a candidate the way its effect does, instead of the other."""
    return without.moves(rank) and (rank - without.value) * effect > 0


def _why(explanation: Explanation, demo: int) -> str:
    """Why taking a demonstration out does not undo its effect: its strongest pair, where one is sure."""
    effects = explanation.list_effects
    row = next((row for row in effects.pairs if demo in (row.first, row.second)), None) if effects else None
    if row is None:
        return "its effect depends on the other demonstrations."
    first, second = explanation.demos[row.first].label, explanation.demos[row.second].label
    return f"{first} and {second} together do {'more' if row.value > 0 else 'less'} than apart."


def place_words(without: PlaceWithout, rank: Rank | None) -> str:
    """`11th instead of 14th (measured)`, `about 11th (90 % 9 to 13) instead of 14th`, `still 14th`."""
    if without.measured:
        now = ordinal(without.value)
        return f"still {now} (measured)" if without.value == rank else f"{now} instead of {ordinal(rank)} (measured)"
    ends = f"90 % {without.low:g} to {without.high:g}"
    if not without.moves(rank):
        return f"about where it is, {ordinal(without.nearest)} ({ends}, predicted)"
    return f"about {ordinal(without.nearest)} instead of {ordinal(rank)} ({ends}, predicted)"


def cost(contributions: Contributions) -> str:
    """The cost of the answer."""
    back = f", {contributions.backwards} backward" if contributions.backwards else ""
    return f"{contributions.forwards} prompts scored{back}; {duration(contributions.seconds)}"


def residual(contributions: Contributions) -> str:
    """What the bars leave unexplained, in plain words."""
    total = contributions.few_shot - contributions.zero_shot
    bars = f"the bars add up to {nats(sum(contributions.values))}"
    rest = f"the rest, {nats(contributions.residual)}, is interaction between them, which no single bar holds"
    text = (
        f"The demonstrations together change {explained_words(contributions.target)} by {nats(total)}: {bars}; {rest}."
    )
    if contributions.completeness_gap is not None:
        text += f" Quadrature error of the gradient path: {signed(contributions.completeness_gap, 3)} nats."
    return text


def who(case: CaseSpec, *, begins: bool = True) -> str:
    """Whose list it is, as HTML: `User 135` or `Case call-7`, in small letters where it does not begin a sentence."""
    kind, name = ("User", case.user) if case.case is None else ("Case", case.case)
    return f"{kind if begins else kind.lower()} {safe_html(name, 40)}"

"""Whether the set found is better than chance would choose, on choices that no search has read.

The search picks the best of many sets, so on the choices it was judged on even a useless set looks good. The newest
held-out choices are therefore kept from it. Each of them gives one difference, paired on the choice, between the set
found and a rival. The rival `chance` is drawn anew for every choice, a set of the same size from the same pool, so that
the average set that chance draws is what is beaten, and not a few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from core.metrics.permutation import SignFlip, least_p, sign_flip
from core.seeds import generator, seed_of
from core.selection.search import MemberOrder, Question

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

Rival = Literal["chance", "zero_shot", "current"]
"""What the set found is held against: sets that chance draws, no demonstrations, the case's own demonstrations."""
LEVEL = 0.05
"""Largest p at which a set is called better than chance would choose."""


class ChoiceJudge(Protocol):
    """Scores sets on single choices with a model."""

    def ask(self, pairs: Sequence[tuple[Question, int]]) -> Floats:
        """Scores [pair] of questions to one choice each, by number; higher is better."""
        ...


@dataclass(frozen=True)
class Confirmation:
    """A set on the confirming choices, by the scores of the plain prompt."""

    scores: Floats
    """[choice]"""
    rivals: Mapping[Rival, Floats]
    """[choice] each."""
    tests: Mapping[Rival, SignFlip]

    @property
    def holds(self) -> bool:
        """Whether the set does no worse than no demonstrations and than the case's own."""
        return all(self.tests[rival].gap >= 0 for rival in ("zero_shot", "current") if rival in self.tests)

    def mean(self, rival: Rival) -> float:
        """The rival's mean score."""
        return float(self.rivals[rival].mean())


def confirmation(
    judge: ChoiceJudge,
    order: MemberOrder,
    current: MemberOrder,
    *,
    members: int,
    choices: int,
    seed: tuple[object, ...],
) -> Confirmation:
    """A set against each rival on the `choices` of a judge of `members`, asked together.

    The null of each test: on a choice that the search has not read, the set does as well as the rival, so the sign of
    their difference is chance. One-sided: a small p speaks for the set. A current set equal to it is no rival.
    """
    named = {"": order, "zero_shot": (), **({"current": current} if current not in ((), order) else {})}
    drawn = chance_orders(members, len(order), choices, *seed)
    pairs = [(Question(each), choice) for each in named.values() for choice in range(choices)]
    pairs += [(Question(each), choice) for choice, each in enumerate(drawn)]
    answers = judge.ask(pairs)
    rows = dict(zip(named, answers[: len(named) * choices].reshape(len(named), choices), strict=True))
    scores = rows.pop("")
    rivals: dict[Rival, Floats] = {"chance": answers[len(named) * choices :], "zero_shot": rows["zero_shot"]}
    if "current" in rows:
        rivals["current"] = rows["current"]
    tests = {rival: sign_flip(scores - other, seed=seed_of(*seed)) for rival, other in rivals.items()}
    return Confirmation(scores, rivals, tests)


def chance_orders(members: int, size: int, choices: int, *seed: object) -> list[MemberOrder]:
    """For each of the choices an ordered set of `size` distinct members (fewer where there are no more)."""
    random = generator(*seed, "chance sets")
    return [tuple(random.permutation(members)[:size].tolist()) for _ in range(choices)]


def can_tell(choices: int) -> bool:
    """Whether so many choices can give a p of at most `LEVEL` at all."""
    return least_p(choices) <= LEVEL

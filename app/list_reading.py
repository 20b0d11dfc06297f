"""What an explanation says of any target of any candidate: bars, sentences, tables and maps all read it here."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from app.removal_reading import pairs_on
from core.analysis.explain.explanation import Contributions, Explanation, ListEffects
from core.analysis.explain.list_estimates import Estimates
from core.metrics.intervals import Floats
from core.metrics.ranking import Rank
from core.question.targets import EXPLAINED, Explained
from core.question.task import Target

MOST_READINGS = 32
"""Explanations about another target that are held for all tabs together."""


@dataclass(frozen=True)
class PlaceWithout:
    """Place of a candidate when one demonstration alone is taken out."""

    value: float
    low: float
    high: float
    measured: bool
    """Whether the prompt without it was really run; then the interval has no width."""

    def moves(self, place: Rank | None) -> bool:
        """Whether the place surely differs from `place`."""
        return place is not None and not self.low <= place <= self.high

    @property
    def nearest(self) -> float:
        """The place to the next whole one; a measured one as it is, which may be a half."""
        return self.value if self.measured else float(round(self.value))


def candidate_index(explanation: Explanation, item: str | None) -> int | None:
    """Index of the candidate with this id; None where there is none."""
    return next((index for index, row in enumerate(explanation.candidates) if row.item_id == item), None)


def is_explained(explanation: Explanation, target: Target) -> bool:
    """Whether the contributions are about this target."""
    bars = explanation.contributions
    if bars is None:
        return False
    names = ("item_id", "explain", "against_id")
    return all(getattr(bars.target, name) == getattr(target, name) for name in names)


def weights_of(explanation: Explanation, target: Target) -> Floats:
    """Weight of every candidate's score in the target, [candidate]; raises `ValueError` for an unknown candidate."""
    at, against = (candidate_index(explanation, item) for item in (target.item_id, target.against_id))
    if at is None or (against is None and target.against_id is not None):
        raise ValueError("a target must be one of the candidates")
    return EXPLAINED[target.explain].weights(len(explanation.candidates), at, against)


def target_of(explanation: Explanation, explain: Explained, item: str, against: str | None = None) -> Target:
    """The target by the titles of the candidates; a pair without a second candidate is the field margin."""
    rows = {row.item_id: row.title for row in explanation.candidates}
    second = against if explain == "pair" and against in rows and against != item else None
    kind: Explained = "field" if explain == "pair" and second is None else explain
    title = None if second is None else rows[second]
    return Target(item_id=item, title=rows.get(item, item), explain=kind, against_id=second, against_title=title)


def effects_on(explanation: Explanation, target: Target) -> Estimates | None:
    """Effect of each demonstration [demo] on a target; None where neither the list nor the bars hold it."""
    if explanation.list_effects is not None:
        return explanation.list_effects.belief.on(weights_of(explanation, target))
    bars = explanation.contributions
    if bars is None or not is_explained(explanation, target):
        return None
    values = np.array(bars.values)
    return Estimates(values, np.array(bars.low or bars.values), np.array(bars.high or bars.values))


@functools.lru_cache(maxsize=MOST_READINGS)
def _map(of: _Held, explain: Explained) -> Estimates:
    explanation = of.explanation
    parts = [
        explanation.list_effects.belief.on(EXPLAINED[explain].weights(len(explanation.candidates), candidate))
        for candidate in range(len(explanation.candidates))
        if explanation.list_effects is not None
    ]
    value, low, high = (np.array([getattr(part, name) for part in parts]).T for name in ("value", "low", "high"))
    return Estimates(value, low, high)


def effect_map(explanation: Explanation, explain: Explained) -> Estimates:
    """Effect of each demonstration on each candidate's own score or field margin, [demo, candidate], nats.

    Raises `ValueError` where the method models one score alone.
    """
    if explanation.list_effects is None:
        raise ValueError("a heat map needs effects on the whole list")
    return _map(_Held(id(explanation), explanation), explain)


def place_without(explanation: Explanation, demo: int, candidate: int) -> PlaceWithout | None:
    """Place of a candidate without one demonstration: measured where its prompt was run, else foretold."""
    effects = explanation.list_effects
    if effects is None:
        return None
    if (prompt := effects.measured_without(demo)) is not None:
        rank = float(prompt.ranks[candidate])
        return PlaceWithout(rank, rank, rank, measured=True)
    value, low, high = (getattr(effects.without, name)[demo][candidate] for name in ("value", "low", "high"))
    return PlaceWithout(value, low, high, measured=False)


def target_without(explanation: Explanation, demo: int) -> PlaceWithout | None:
    """Place of the explained candidate without one demonstration; None before there are effects on the list."""
    bars = explanation.contributions
    at = None if bars is None else candidate_index(explanation, bars.target.item_id)
    return None if at is None else place_without(explanation, demo, at)


# ---- the same explanation about another target


@dataclass(frozen=True)
class _Held:
    """An explanation counted by identity: it cannot change, and to compare two takes long."""

    identity: int
    explanation: Explanation = field(compare=False)


def about(explanation: Explanation, target: Target) -> Explanation:
    """The explanation with its contributions and pairs about another target, by no further pass.

    What only the explained target has (parts by layer, head and token, faithfulness) is left out. The explanation
    itself where it is about this target already, or where the method models one score alone.
    """
    if explanation.list_effects is None or is_explained(explanation, target):
        return explanation
    return _about(_Held(id(explanation), explanation), target)


@functools.lru_cache(maxsize=MOST_READINGS)
def _about(of: _Held, target: Target) -> Explanation:
    explanation, effects = of.explanation, of.explanation.list_effects
    bars, weights = explanation.contributions, weights_of(explanation, target)
    assert effects is not None
    assert bars is not None
    return explanation.model_copy(
        update={
            "contributions": _contributions(bars, effects, target, weights),
            "list_effects": effects.model_copy(update={"pairs": pairs_on(effects, weights)}),
            "target": target,
            "faithfulness": None,
        }
    )


def _contributions(bars: Contributions, effects: ListEffects, target: Target, weights: Floats) -> Contributions:
    estimates = effects.belief.on(weights)
    demos = len(bars.values)
    whole, empty = effects.measured_without(), effects.measured_without(*range(demos))
    assert whole is not None
    assert empty is not None
    few, zero = (float(np.array(prompt.scores) @ weights) for prompt in (whole, empty))
    ends = {name: tuple(getattr(estimates, name).tolist()) for name in ("low", "high")}
    same = {name: getattr(bars, name) for name in ("method", "forwards", "backwards", "passes", "seconds", "seed")}
    sums = {"zero_shot": zero, "few_shot": few, "residual": few - zero - float(estimates.value.sum())}
    values = {"target": target, "values": tuple(estimates.value.tolist())}
    return Contributions.model_validate(same | ends | sums | values)


def score_parts(explanation: Explanation) -> tuple[Floats, Floats] | None:
    """Field part and lift part [demo] of effects on an own score, which add up to them; None for another target.

    A score is the margin over the other candidates plus their mean score, and effects are linear in the scores.
    """
    bars, effects = explanation.contributions, explanation.list_effects
    if bars is None or effects is None or bars.target.explain != "score":
        return None
    target = target_of(explanation, "field", bars.target.item_id)
    field_part = effects.belief.on(weights_of(explanation, target)).value
    return field_part, np.array(bars.values) - field_part

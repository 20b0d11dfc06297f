"""The anytime default: equivalent gradients first, then designed text ablations that correct them.

The gradients of the mean score and of the target's deviation from it are the prior guess of a Bayesian model of the
whole list (`list_posterior`); where there is no gradient, nothing is guessed. Each further ablation scores all
candidates and is chosen where it narrows the target's contributions most. Every answer carries intervals and, from its
own ablations, cross-validated figures of how well scores and places are foretold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.explain.faithfulness import number
from core.analysis.explain.flip_set import FlipSearch
from core.analysis.explain.gradient import GradientAnswer, gradient_answer, slopes_of, split_slopes
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.explain.surrogate import Prior
from core.analysis.values import Array, Masks, Meter, Spent, TargetScore, all_masks, leave_one_out_masks
from core.metrics.intervals import Interval, spearman_over_pairs
from core.metrics.similarity import spearman
from core.question.flip_goals import FlipGoal, places_of

PACK = 4
"""Ablations added before the answer is looked at again; they run as one pass."""
LISTED_DEMOS = 10
"""Up to this many demonstrations every subset is considered for the design, above it a seeded sample."""
SAMPLED_POOL = 512
ENDS = 2
"""The empty and the whole prompt, which are no ablations."""
FEWEST = 3
"""Ablations below which nothing is said of how well they are foretold."""
FEWEST_RESAMPLED = 8
"""The same for an interval."""
NOTHING = Interval(np.nan, np.nan, np.nan)
ABLATING = "computing contributions"
REMOVING = "measuring single removals"
FLIPPING = "searching for the smallest removal that changes the place"


@dataclass(frozen=True)
class RefinedAnswer:
    """Contributions [demo] in nats with 90 % intervals, the model of the list behind them, and how faithful both are.

    Each figure is a Spearman correlation over the designed ablations, every one foretold without itself; nan with fewer
    than 3.
    """

    belief: ListPosterior
    effects: Estimates
    """On what is explained."""
    lds: Interval
    """Of the sum of contributions with the explained score."""
    prediction_lds: Interval
    """Of the explained score as the whole model foretells it, interactions included."""
    rank_agreement: Interval
    """Of the target's place as it follows from the foretold scores of all candidates."""
    gradient: GradientAnswer | None
    """None where the model gives scores only."""
    spent: Spent
    flips: FlipSearch | None = None
    """The search for the smallest set whose removal changes the place; on the last answer, where it was asked for."""
    ahead: str = ABLATING
    """What the run does after this answer."""

    @property
    def values(self) -> Array:
        """[demo]"""
        return self.effects.value

    @property
    def fields(self) -> dict[str, object]:
        """What stands in the record of contributions beside values and cost."""
        names = ("lds", "prediction_lds", "rank_agreement")
        fields: dict[str, object] = {end: tuple(getattr(self.effects, end).tolist()) for end in ("low", "high")}
        for name in names:
            fields |= figure_fields(name, getattr(self, name))
        return fields if self.gradient is None else fields | self.gradient.split


def figure_fields(name: str, figure: Interval) -> dict[str, float | None]:
    """A figure and its ends as three fields of a record."""
    return {
        name: number(figure.value),
        f"{name}_low": number(figure.low),
        f"{name}_high": number(figure.high),
    }


class ListWork:
    """The prompts measured so far of one list, and what they say."""

    def __init__(
        self,
        score: TargetScore,
        *,
        seed: int = 0,
        free: Array | float = 0.0,
        prior: Prior | None = None,
        gradients: bool = True,
    ) -> None:
        self.score, self.seed, self.free, self.prior = score, seed, free, prior
        self.meter = Meter(score.scorer)
        self.gradient: GradientAnswer | None = None
        self.guesses = Guesses(np.zeros(score.demos), {})
        if gradients:
            self.guesses, self.gradient = list_gradients(score, self.meter)
        self.masks: Masks = np.array([np.zeros(score.demos), np.ones(score.demos)], dtype=bool)
        """[subset, demo]: the empty and the whole prompt, then designed ablations, then what else was measured."""
        self._posterior: ListPosterior | None = None
        self.designed = 0
        """Designed ablations. Faithfulness is judged on these alone: removals that were sought lie near their goal."""

    def measure(self, masks: Masks, *, designed: bool = False) -> None:
        """Let the answer rest on the prompts at `masks` [subset, demo] too; those measured before change nothing."""
        fresh = [mask for mask in masks if not (self.masks == mask).all(axis=1).any()]
        if fresh:
            self.masks, self._posterior = np.array([*self.masks, *fresh], dtype=bool), None
        self.designed += len(fresh) if designed else 0

    def scores(self) -> Array:
        """Scores [subset, candidate] at `masks`, as they are ranked."""
        return self.score.scores_at(self.masks) - self.free

    def posterior(self) -> ListPosterior:
        """The model of the list that rests on all measured prompts."""
        if self._posterior is None:
            scores = self.score.scores_at(self.masks)
            noise = self.score.noise
            self._posterior = ListPosterior(self.masks, scores, self.guesses, prior=self.prior, noise=noise)
        return self._posterior

    def flip_search(self, goal: FlipGoal, rival: int | None = None) -> FlipSearch:
        """The search for the smallest set whose removal brings the target to a goal; `rival` is a candidate index."""
        shift, between = -np.asarray(self.free), self.score.scorer.between
        return FlipSearch(self, goal, self.score.target, rival, shift=shift, seed=self.seed, between=between)

    def answer(self) -> RefinedAnswer:
        """What all measured prompts say of the list."""
        score, belief = self.score, self.posterior()
        judged = slice(ENDS, ENDS + self.designed)
        scores = belief.scores[judged]
        whole, additive = (table[judged] for table in belief.left_out())
        measured = scores @ score.weights
        placed, foretold = (places_of(table - self.free, score.target) for table in (scores, whole))
        return RefinedAnswer(
            belief,
            belief.effects_on(score.weights),
            _agreement(additive @ score.weights, measured, self.seed),
            _agreement(whole @ score.weights, measured, self.seed),
            _agreement(foretold, placed, self.seed),
            self.gradient,
            self.meter.read(),
        )


def refine(
    score: TargetScore,
    *,
    budget: float,
    precision: float = 0.0,
    removals: int = 0,
    without: Sequence[int] = (),
    flips: int = 0,
    flip: FlipGoal = "empty",
    rival: int | None = None,
    seed: int = 0,
    free: Array | float = 0.0,
    prior: Prior | None = None,
    gradients: bool = True,
) -> Iterator[RefinedAnswer]:
    """Ever better answers: the first after the gradients, where there are any, then one after each pack of ablations.

    Ablations end when `budget` full-prompt forward equivalents are used, every interval is narrower than `precision`
    nats (0: never), or every subset has been scored. The last answer rests on `removals` single removals too, those
    of the demonstrations that are foretold to move the target's place most, and those of the demonstrations `without`;
    they come last because a designed ablation tells more of the list. Up to `flips` further prompts verify which
    smallest set brings the target to the goal `flip`, whose `rival` is a candidate index. `free` [candidate] is taken
    from every score before ranking.
    """
    work = ListWork(score, seed=seed, free=free, prior=prior, gradients=gradients)
    pool = subset_pool(score.demos, seed)
    costs = ablation_costs(score, pool)
    while True:
        answer = work.answer()
        unmeasured = np.array([not (work.masks == row).all(axis=1).any() for row in pool], dtype=bool)
        spent = answer.spent.passes
        widest = float((answer.effects.high - answer.effects.low).max())
        if spent >= budget or not unmeasured.any() or (precision and widest < precision):
            break
        if gradients or work.designed:
            yield answer
        eligible = eligible_subsets(pool, unmeasured, work.designed)
        count = min(PACK, max(1, int((budget - spent) / max(float(costs[eligible].mean()), 1e-6))))
        chosen = answer.belief.next_subsets(score.target, pool[eligible], costs[eligible], count)
        work.measure(pool[eligible][chosen], designed=True)
    alone = np.array([demo in without for demo in range(score.demos)])
    yield replace(answer, ahead=REMOVING if removals or alone.any() else FLIPPING)
    if removals or alone.any():
        work.measure(moving_most(answer.belief, score, removals, free))
        work.measure(leave_one_out_masks(score.demos)[alone])
        yield replace(work.answer(), ahead=FLIPPING)
    if flips:
        search = work.flip_search(flip, rival)
        search.verify(flips)
        yield replace(work.answer(), flips=search)


def refine_without_gradient(score: TargetScore, **settings: Any) -> Iterator[RefinedAnswer]:
    """`refine` with nothing guessed before the first ablation, for a model that gives scores only."""
    return refine(score, gradients=False, **settings)


def moving_most(belief: ListPosterior, score: TargetScore, count: int, free: Array | float = 0.0) -> Masks:
    """The single removals [subset, demo] that are foretold to move the target's place most, up and down in turns."""
    masks = leave_one_out_masks(score.demos)
    moves = belief.places(masks, shift=-np.asarray(free)).value[:, score.target]
    order = np.argsort(moves, kind="stable")
    turns = [place for pair in zip(order, order[::-1], strict=True) for place in pair]
    return np.asarray(masks[list(dict.fromkeys(turns))[:count]])


def list_gradients(score: TargetScore, meter: Meter) -> tuple[Guesses, GradientAnswer]:
    """Gradients at half the learning rate of the mean score and of the deviation of each candidate that is explained,
    by one forward pass; and the gradient of what is explained, which follows from them."""
    count = score.scorer.candidates
    deviating = [score.target] if score.against is None else [score.target, score.against]
    weightings = np.full((1 + len(deviating), count), 1 / count)
    weightings[1:] *= -1
    weightings[range(1, len(weightings)), deviating] += 1
    slopes = slopes_of(score, 0.5, weightings)
    shares = np.array([score.weights.sum(), *_shares(score.weights, deviating)])
    gradient = gradient_answer(score, np.tensordot(shares, slopes, 1), 1, meter, gap=False)
    by_demo = np.array([split_slopes(score, slope).sum(axis=(0, 1)) for slope in slopes])
    return Guesses(by_demo[0], dict(zip(deviating, by_demo[1:], strict=True))), gradient


def _shares(weights: Array, deviating: list[int]) -> Array:
    """How much of each candidate's deviation is in a weighted sum, the deviations of the others being level."""
    others = np.delete(weights, deviating)
    return np.asarray(weights[deviating] - (others.mean() if len(others) else 0.0))


def _agreement(predicted: Array, measured: Array, seed: int) -> Interval:
    """Spearman correlation over ablations with its 90 % bootstrap interval."""
    if len(measured) < FEWEST:
        return NOTHING
    if len(measured) < FEWEST_RESAMPLED:
        return Interval(spearman(predicted, measured), np.nan, np.nan)
    return spearman_over_pairs(predicted, measured, seed=seed, draws=300)


def subset_pool(demos: int, seed: int) -> Masks:
    """Subsets to choose ablations from, [subset, demo]; neither the empty nor the whole set."""
    if demos <= LISTED_DEMOS:
        return all_masks(demos)[1:-1]
    half = np.random.default_rng(seed).random((SAMPLED_POOL // 2, demos)) < 0.5
    pool = np.unique(np.concatenate([half, ~half]), axis=0)
    return pool[pool.any(axis=1) & ~pool.all(axis=1)]


def eligible_subsets(pool: Masks, unmeasured: NDArray[np.bool_], designed: int) -> NDArray[np.bool_]:
    """Which subsets of `pool` [subset, demo] the design may choose after `designed` ablations, [subset].

    The first ablations, as many as there are demonstrations, keep about half of them: their sizes lie within one
    standard deviation of a random subset's. Effects are averages over all subsets, most of which have such sizes, and
    prompts with hardly any or nearly all demonstrations are the least like the others. After them, and where no such
    subset is left, every unmeasured one is eligible.
    """
    demos = pool.shape[1]
    middle = unmeasured & (np.abs(pool.sum(axis=1) - demos / 2) <= np.sqrt(demos) / 2)
    return middle if designed < demos and middle.any() else unmeasured


def ablation_costs(score: TargetScore, masks: Masks) -> Array:
    """New tokens of each ablated prompt, as a share of the full prompt: only what follows the first gap is run."""
    prompt = score.scorer.prompt
    sizes = np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64)
    tail = len(prompt.query.token_ids) + sum(len(candidate.token_ids) for candidate in prompt.candidates)
    after_gap = np.logical_or.accumulate(~masks, axis=1)
    return np.asarray(((masks & after_gap) @ sizes + tail) / prompt.length)

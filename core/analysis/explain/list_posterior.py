"""One model of a whole list: what every demonstration does to every candidate, from the same ablations.

The scores of N candidates under a subset of the demonstrations are the mean score of all and each candidate's deviation
from it. The mean is modelled with its gradient as the guess, the deviations without one and with settings that they
share, but for those candidates whose own gradient is there. Effects on any target, pairs of demonstrations, scores and
places under any subset follow from it, so they never disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from core.analysis.explain.list_estimates import LEVEL, Estimates, ListBelief
from core.analysis.explain.surrogate import Belief, Prior, Surrogate, pairs_of
from core.metrics.intervals import Floats

DRAWS = 400
"""Of the scores of all candidates, for places."""
DRAWN_NUMBERS = 4_000_000
"""Most numbers drawn at once."""
CERTAIN = 1e-12
"""Standard deviation, in nats, of a lead below which it is certain."""
TIE_BREAK = 0.1
"""Of intervals of equal width; places differ by halves at least."""


@dataclass(frozen=True)
class Guesses:
    """Gradients at half the learning rate, before any ablation."""

    mean: Floats
    """Of the mean score, [demo]."""
    deviations: Mapping[int, Floats]
    """Of a candidate's deviation from the mean, [demo], by candidate index."""


class ListPosterior:
    """What the scores [subset, candidate] at `masks` [subset, demo] say of the list."""

    def __init__(
        self,
        masks: NDArray[np.bool_],
        scores: Floats,
        guesses: Guesses,
        *,
        prior: Prior | None = None,
        noise: float = 0.0,
    ) -> None:
        """`noise`, in nats, is how far a difference of two measured scores may be off; every interval is that longer
        at each end."""
        self.masks, self.scores, self.guesses, self.noise = masks, scores, guesses, noise
        self.demos, self.candidates = masks.shape[1], scores.shape[1]
        level = scores.mean(axis=1, keepdims=True)
        self._mean = Surrogate(masks, level, guesses.mean, prior)
        deviations = scores - level
        self._guessed = {
            candidate: Surrogate(masks, deviations[:, [candidate]], guess, prior)
            for candidate, guess in guesses.deviations.items()
        }
        self._rest = [candidate for candidate in range(self.candidates) if candidate not in self._guessed]
        self._others = Surrogate(masks, deviations[:, self._rest], np.zeros(self.demos), prior)
        self._quantile = float(stats.t.ppf((1 + LEVEL) / 2, self._mean.freedom))
        self.belief = self._belief(self._mean.effects(), self._joined("effects"))
        """About the contributions, [demo, candidate]."""

    def _joined(self, name: str, *of: NDArray[np.bool_]) -> Belief:
        """A belief about the deviations of all candidates, [asked, candidate], whose means sum to zero."""
        rest: Belief = getattr(self._others, name)(*of)
        mean, variance = (np.empty((len(rest.mean), self.candidates)) for _ in range(2))
        mean[:, self._rest], variance[:, self._rest] = rest.mean, rest.variance
        for candidate, surrogate in self._guessed.items():
            belief: Belief = getattr(surrogate, name)(*of)
            mean[:, candidate], variance[:, candidate] = belief.mean[:, 0], belief.variance[:, 0]
        if self._rest:
            mean[:, self._rest] -= mean.sum(axis=1, keepdims=True) / len(self._rest)
        return Belief(mean, variance)

    # ---- contributions

    @property
    def effects(self) -> Floats:
        """Average effect of each demonstration on each candidate's score, [demo, candidate], nats."""
        return self.belief.values

    def by_margin(self, candidate: int, rival: int | None = None) -> list[int]:
        """The demonstrations by their effect on a candidate's margin over the field, or over a rival, least first."""
        effects = self.effects
        other = effects.mean(axis=1) if rival is None else effects[:, rival]
        order: list[int] = np.argsort(effects[:, candidate] - other, kind="stable").tolist()
        return order

    def effects_on(self, weights: Floats) -> Estimates:
        """Average effect [demo] of each demonstration on a weighted sum of the scores, `weights` [candidate]."""
        return self.belief.on(weights)

    def pairs_on(self, weights: Floats) -> Estimates:
        """Interaction [pair] of every pair on a weighted sum of the scores, pairs as in `surrogate.pairs_of`."""
        return self._belief(self._mean.pairs(), self._joined("pairs")).on(weights)

    def _belief(self, mean: Belief, deviations: Belief) -> ListBelief:
        values = mean.mean + deviations.mean
        return ListBelief(values, mean.variance[:, 0], deviations.variance, self._quantile, self.noise)

    # ---- other subsets

    def predicted(self, masks: NDArray[np.bool_]) -> Floats:
        """Scores [subset, candidate] at other subsets, interactions included."""
        return self._mean.predicted(masks).mean + self._joined("predicted", masks).mean

    def places(self, masks: NDArray[np.bool_], *, shift: Floats | float = 0.0, seed: int = 0) -> Estimates:
        """Place of every candidate [subset, candidate] at other subsets: mean and shortest interval over draws of the
        scores of all candidates; equal scores share the middle. `shift` [candidate] is added to the scores.

        A subset has the same draws whatever stands beside it, so its places are the same in every table.
        """
        blocks = [_ranked(drawn) for drawn in self._drawn(masks, shift, seed)]
        empty = np.empty((3, 0, self.candidates))
        value, low, high = np.concatenate([empty, *blocks], axis=1)
        return Estimates(value, low, high)

    def expected_places(self, masks: NDArray[np.bool_], candidate: int, *, shift: Floats | float = 0.0) -> Floats:
        """Expected place [subset] of one candidate at other subsets, in closed form: 1 and the probabilities that each
        other candidate stands above it, by Student's distribution of the lead."""
        deviations = self._joined("predicted", masks)
        mean, variance = deviations.mean + shift, deviations.variance
        lead = np.delete(mean - mean[:, [candidate]], candidate, axis=1)
        spread = np.sqrt(np.delete(variance + variance[:, [candidate]], candidate, axis=1))
        above = special.stdtr(self._mean.freedom, lead / np.maximum(spread, CERTAIN))
        return np.asarray(1.0 + above.sum(axis=1))

    def probability(
        self,
        masks: NDArray[np.bool_],
        event: Callable[[Floats], NDArray[np.bool_]],
        *,
        shift: Floats | float = 0.0,
        seed: int = 0,
    ) -> Floats:
        """How probable an event of the list is at other subsets, [subset]: the share of draws of the scores of all
        candidates, [draw, subset, candidate], in which `event` says [draw, subset] that it happens."""
        blocks = [event(drawn).mean(axis=0) for drawn in self._drawn(masks, shift, seed)]
        return np.concatenate([np.empty(0), *blocks])

    def _drawn(self, masks: NDArray[np.bool_], shift: Floats | float, seed: int) -> Iterator[Floats]:
        """Scores [draw, subset, candidate] up to what they have in common, in blocks of subsets."""
        rows = max(1, DRAWN_NUMBERS // (DRAWS * self.candidates))
        random, freedom = np.random.default_rng(seed), self._mean.freedom
        noise = random.standard_normal((DRAWS, 1, self.candidates)) * np.sqrt(
            freedom / random.chisquare(freedom, size=(DRAWS, 1, 1))
        )
        for start in range(0, len(masks), rows):
            deviations = self._joined("predicted", masks[start : start + rows])
            spread = np.sqrt(deviations.variance) + self.noise / self._quantile
            yield deviations.mean + shift + noise * spread

    def left_out(self) -> tuple[Floats, Floats]:
        """Scores [subset, candidate] of every measured subset as the others foretell it, and what contributions alone
        foretell, up to a constant a candidate."""
        mean, others = self._mean.left_out(), self._others.left_out()
        guessed = {candidate: surrogate.left_out() for candidate, surrogate in self._guessed.items()}
        tables = []
        for place in range(2):
            table = np.empty_like(self.scores)
            table[:, self._rest] = others[place]
            for candidate, parts in guessed.items():
                table[:, candidate] = parts[place][:, 0]
            tables.append(table + mean[place])
        return tables[0], tables[1]

    def next_subsets(self, candidate: int, pool: NDArray[np.bool_], costs: Floats, count: int) -> NDArray[np.int64]:
        """Indices into `pool` [subset, demo] of the subsets that tell most of a candidate per square root of cost.

        By the cost itself the cheapest would come first, which tell too little.
        """
        return self._guessed.get(candidate, self._others).next_subsets(pool, np.sqrt(costs), count)


def _ranked(drawn: Floats) -> Floats:
    """Mean places and the ends of their intervals, [3, subset, candidate], over draws [draw, subset, candidate]; the
    ends are places that were drawn, or the nearest to the mean."""
    ranks = np.sort(stats.rankdata(-drawn, axis=-1), axis=0)
    value = ranks.mean(axis=0)
    low, high = _shortest(ranks)
    nearest = np.round(value)  # A mean may lie outside of the shortest interval.
    return np.array([value, np.minimum(low, nearest), np.maximum(high, nearest)])


def _shortest(draws: Floats) -> tuple[Floats, Floats]:
    """Ends of the shortest interval that holds a share of at least `LEVEL` of sorted `draws` [draw, ...]; of several
    the middle one. Places are whole numbers: a central interval holds far more than its level of them."""
    count = math.ceil(LEVEL * len(draws))
    starts = len(draws) - count + 1
    off_middle = np.abs(np.arange(starts) - (starts - 1) / 2).reshape(-1, *[1] * (draws.ndim - 1)) / starts
    widths = draws[count - 1 :] - draws[:starts]
    at = (widths + TIE_BREAK * off_middle).argmin(axis=0)[None]
    low, high = (np.take_along_axis(draws, at + shift, axis=0)[0] for shift in (0, count - 1))
    return low, high


def strongest_pairs(pairs: Estimates, demos: int, count: int) -> list[tuple[int, int, int]]:
    """The pairs whose intervals lie furthest from zero, strongest first: row in `pairs`, and both demonstrations."""
    sure = np.where((pairs.low > 0) | (pairs.high < 0), np.abs(pairs.value), 0.0)
    order: Sequence[int] = np.argsort(-sure, kind="stable")[:count].tolist()
    listed = pairs_of(demos)
    return [(row, *listed[row]) for row in order if sure[row] > 0]

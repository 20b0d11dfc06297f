"""What the model of a list says of several demonstrations taken out, for any candidate and from its record alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.analysis.explain.explanation import Direction, ListEffects, PairRow, PlaceCurve
from core.analysis.explain.list_posterior import Guesses, ListPosterior, strongest_pairs
from core.metrics.intervals import Floats
from core.question.flip_goals import places_of

WIDE = 32
"""Of more demonstrations, those that the next removal is chosen among, by their effects on the candidate."""
PAIRS = 3
"""Strongest pairs that are named."""
SIGNS: dict[Direction, int] = {"up": 1, "down": -1}
"""Whether the expected place is made small or large."""
Subsets = NDArray[np.bool_]


def posterior_of(effects: ListEffects) -> ListPosterior:
    """The model of the list again, fitted to the prompts and gradients of its record; scores are as they are ranked."""
    demos = len(effects.mean_gradient)
    masks = np.array([[demo not in prompt.left_out for demo in range(demos)] for prompt in effects.measured])
    guesses = Guesses(
        np.array(effects.mean_gradient),
        {row.candidate: np.array(row.values) for row in effects.deviation_gradients},
    )
    scores = np.array([prompt.scores for prompt in effects.measured])
    return ListPosterior(masks, scores, guesses, noise=effects.noise)


def pair_rows(belief: ListPosterior, weights: Floats, count: int = PAIRS) -> tuple[PairRow, ...]:
    """The strongest pairs whose interaction on a weighted sum of the scores, `weights` [candidate], surely differs from
    zero; at most `count`, strongest first."""
    pairs = belief.pairs_on(weights)
    return tuple(
        PairRow(
            first=first,
            second=second,
            value=float(pairs.value[row]),
            low=float(pairs.low[row]),
            high=float(pairs.high[row]),
        )
        for row, first, second in strongest_pairs(pairs, belief.demos, count)
    )


def place_curves(
    belief: ListPosterior, candidate: int, *, shift: Floats | float = 0.0, seed: int = 0
) -> tuple[PlaceCurve, ...]:
    """The curve that lifts a candidate most and the one that drops it most; `shift` [candidate] is added to the scores.

    A place whose prompt was scored is the measured one.
    """
    orders = dict(zip(SIGNS, _orders(belief, candidate, shift), strict=True))
    masks = np.concatenate([_steps(order) for order in orders.values()])
    places = belief.places(masks, shift=shift, seed=seed)
    table = np.array([part[:, candidate] for part in (places.value, places.low, places.high)])
    ranked = _measured(belief, masks, candidate, shift)
    measured = ~np.isnan(ranked)
    table[:, measured] = ranked[measured]
    halves = zip(np.split(table, 2, axis=1), np.split(measured, 2), strict=True)
    return tuple(_curve(way, orders[way], *half) for way, half in zip(orders, halves, strict=True))


def _curve(way: Direction, order: list[int], table: Floats, measured: Subsets) -> PlaceCurve:
    value, low, high = (tuple(row) for row in table.tolist())
    flags = tuple(measured.tolist())
    return PlaceCurve(direction=way, order=tuple(order), value=value, low=low, high=high, measured=flags)


def _orders(belief: ListPosterior, candidate: int, shift: Floats | float) -> list[list[int]]:
    """Demonstrations in the order of each of `SIGNS`: each time the one without which the expected place is best."""
    orders: list[list[int]] = [[] for _ in SIGNS]
    ranked = belief.by_margin(candidate)
    for _ in range(belief.demos):
        left = [
            sorted([demo for demo in ranked[::sign] if demo not in order][:WIDE])
            for order, sign in zip(orders, SIGNS.values(), strict=True)
        ]
        sets = [[*order, demo] for order, demos in zip(orders, left, strict=True) for demo in demos]
        masks = np.ones((len(sets), belief.demos), dtype=bool)
        np.put_along_axis(masks, np.array(sets), False, axis=1)
        halves = np.split(belief.expected_places(masks, candidate, shift=shift), len(orders))
        for order, demos, places, sign in zip(orders, left, halves, SIGNS.values(), strict=True):
            order.append(demos[int((sign * places).argmin())])
    return orders


def _steps(order: list[int]) -> Subsets:
    """Subsets without the first n of `order` [demo], [n, demo] with n from 0 to all."""
    turn = np.argsort(order)
    return np.asarray(turn[None, :] >= np.arange(len(order) + 1)[:, None])


def _measured(belief: ListPosterior, masks: Subsets, candidate: int, shift: Floats | float) -> Floats:
    """Measured place [subset] of the candidate at `masks` [subset, demo]; nan where the prompt was not scored."""
    places = places_of(belief.scores + shift, candidate)
    by_mask = {mask.tobytes(): float(place) for mask, place in zip(belief.masks, places, strict=True)}
    return np.array([by_mask.get(mask.tobytes(), np.nan) for mask in masks])

"""The record of what the model of a list says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.analysis.explain.explanation import ListEffects, MeasuredPrompt, PairRow, PlaceTable
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.list_posterior import ListPosterior, strongest_pairs
from core.analysis.values import Array, Masks, leave_one_out_masks
from core.metrics.ranking import ranks

PAIRS = 3
"""Strongest pairs that are named."""


def list_effects(belief: ListPosterior, weights: Array, *, free: Array | float = 0.0, seed: int = 0) -> ListEffects:
    """The record for what is explained, `weights` [candidate]; `free` [candidate] is taken from scores for ranking."""
    effects = belief.belief
    order = np.argsort(effects.on(weights).value, kind="stable")
    return ListEffects(
        effects=_rows(effects.values),
        mean_variance=tuple(effects.mean_variance.tolist()),
        deviation_variance=_rows(effects.deviation_variance),
        quantile=effects.quantile,
        without=_table(belief.places(leave_one_out_masks(belief.demos), shift=-np.asarray(free), seed=seed)),
        removal_order=tuple(order.tolist()),
        place_curve=_table(belief.places(_curve_masks(order), shift=-np.asarray(free), seed=seed)),
        pairs=_pairs(belief, weights),
        measured=measured_prompts(belief.masks, belief.scores, free),
    )


def measured_prompts(masks: Masks, scores: Array, free: Array | float = 0.0) -> tuple[MeasuredPrompt, ...]:
    """The lists at `masks` [subset, demo] with `scores` [subset, candidate], the whole prompt first."""
    first = np.argsort(~masks.all(axis=1), kind="stable")
    return tuple(
        MeasuredPrompt(
            left_out=tuple(np.flatnonzero(~masks[row]).tolist()),
            scores=tuple((scores[row] - free).tolist()),
            ranks=ranks(scores[row] - free),
        )
        for row in first
    )


def _curve_masks(order: NDArray[np.intp]) -> Masks:
    """Subsets without the first n of `order` [demo], [n, demo] with n from 0 to all."""
    place = np.argsort(order)
    return np.asarray(place[None, :] >= np.arange(len(order) + 1)[:, None])


def _pairs(belief: ListPosterior, weights: Array) -> tuple[PairRow, ...]:
    pairs = belief.pairs_on(weights)
    return tuple(
        PairRow(
            first=first,
            second=second,
            value=float(pairs.value[row]),
            low=float(pairs.low[row]),
            high=float(pairs.high[row]),
        )
        for row, first, second in strongest_pairs(pairs, belief.demos, PAIRS)
    )


def _table(places: Estimates) -> PlaceTable:
    return PlaceTable(value=_rows(places.value), low=_rows(places.low), high=_rows(places.high))


def _rows(table: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))

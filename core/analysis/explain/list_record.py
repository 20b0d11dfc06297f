"""The record of what the model of a list says."""

from __future__ import annotations

import numpy as np

from core.analysis.explain.explanation import CandidateGradient, ListEffects, MeasuredPrompt, PlaceTable
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.explain.list_removals import pair_rows, place_curves
from core.analysis.values import Array, Masks, leave_one_out_masks
from core.metrics.ranking import ranks


def list_effects(
    belief: ListPosterior, target: int, weights: Array, *, free: Array | float = 0.0, seed: int = 0
) -> ListEffects:
    """The record for what is explained of candidate `target`, `weights` [candidate]; `free` [candidate] is taken from
    scores for ranking."""
    effects, shift = belief.belief, -np.asarray(free)
    return ListEffects(
        effects=_rows(effects.values),
        mean_variance=tuple(effects.mean_variance.tolist()),
        deviation_variance=_rows(effects.deviation_variance),
        quantile=effects.quantile,
        noise=effects.noise,
        mean_gradient=tuple(belief.guesses.mean.tolist()),
        deviation_gradients=tuple(
            CandidateGradient(candidate=candidate, values=tuple(guess.tolist()))
            for candidate, guess in belief.guesses.deviations.items()
        ),
        without=_table(belief.places(leave_one_out_masks(belief.demos), shift=shift, seed=seed)),
        curves=place_curves(belief, target, shift=shift, seed=seed),
        pairs=pair_rows(belief, weights),
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


def _table(places: Estimates) -> PlaceTable:
    return PlaceTable(value=_rows(places.value), low=_rows(places.low), high=_rows(places.high))


def _rows(table: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))

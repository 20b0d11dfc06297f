"""What an explanation says of several demonstrations taken out, for any candidate and target, by no further pass."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from core.analysis.explain.explanation import ListEffects, PairRow, PlaceCurve
from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.explain.list_removals import pair_rows, place_curves, posterior_of
from core.metrics.intervals import Floats

MOST_MODELS = 16
"""Models of lists that are held for all tabs together; each is fitted anew from its record in some milliseconds."""
MOST_CURVES = 64
"""Pairs of curves that are held."""


@dataclass(frozen=True)
class _Prompts:
    """The measured prompts of a list, counted by identity: what is read of them leaves them as they are."""

    identity: int
    effects: ListEffects = field(compare=False)


@functools.lru_cache(maxsize=MOST_MODELS)
def _model(of: _Prompts) -> ListPosterior:
    return posterior_of(of.effects)


def _prompts(effects: ListEffects) -> _Prompts:
    return _Prompts(id(effects.measured), effects)


def pairs_on(effects: ListEffects, weights: Floats) -> tuple[PairRow, ...]:
    """The strongest pairs on a weighted sum of the scores, `weights` [candidate]."""
    return pair_rows(_model(_prompts(effects)), weights)


@functools.lru_cache(maxsize=MOST_CURVES)
def _curves(of: _Prompts, candidate: int, seed: int) -> tuple[PlaceCurve, ...]:
    return place_curves(_model(of), candidate, seed=seed)


def curves_of(effects: ListEffects, candidate: int, seed: int) -> tuple[PlaceCurve, ...]:
    """The order that lifts a candidate most and the one that drops it most, with its places on the way."""
    return _curves(_prompts(effects), candidate, seed)

"""Whole games whose truth is known by formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.product.whole_games import KINDS, GameKind, WholeGame
from core.analysis.values import all_masks


def additive_game(effects: NDArray[np.float64], *, target: int = 0, kind: GameKind = KINDS[0]) -> WholeGame:
    """The game in which each demonstration adds `effects` [demo, candidate]; gradients are its true effects."""
    demos, candidates = effects.shape
    masks = all_masks(demos)
    return WholeGame(
        kind=kind,
        user="1",
        target=target,
        scores=masks @ effects - np.arange(candidates),
        gradient_mean=effects.mean(axis=1),
        gradient_score=effects[:, target],
        demo_tokens=np.full(demos, 10.0),
        query_tokens=5,
        candidate_tokens=np.full(candidates, 2.0),
        length=10 * demos + 10,
    )


def random_game(seed: int, *, demos: int = 5, candidates: int = 4, interactions: float = 0.3) -> WholeGame:
    """An additive game with noise at every subset, which stands for interactions."""
    random = np.random.default_rng(seed)
    game = additive_game(random.normal(size=(demos, candidates)))
    game.scores[:] += interactions * random.normal(size=game.scores.shape)
    return game

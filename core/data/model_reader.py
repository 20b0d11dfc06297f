"""Demonstrations that a model picks: what it is asked for, and how its vectors become an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.records import Demonstration

ModelVectors = NDArray[np.float32]
DIGITS = 6
"""Decimals of a cosine that count: the rest is rounding, which no order may hang on."""


class ModelReader(Protocol):
    """A model that reads items and choices; an implementation stands above the model, see `core.analysis`."""

    def item_vectors(self, item_ids: Sequence[str]) -> ModelVectors:
        """What each item's title and categories mean to the model, [item, width]."""
        ...

    def choice_gradients(self, choices: Sequence[Demonstration]) -> ModelVectors:
        """What the model would learn from each choice behind the history it shows, [choice, width]."""
        ...


def by_meaning(reader: ModelReader, pool: Sequence[Demonstration], liked: Sequence[str]) -> list[Demonstration]:
    """The pool in order of cosine between what each demonstration shows and the items `liked`, the nearest first.

    A demonstration's vector is the mean over its history and item, the query's the mean over `liked`. The mean vector
    of all items that the pool shows is taken from each: hidden states share one large direction, which says nothing.
    Equal cosines keep the pool's order, as does a pool without anything `liked`.
    """
    if not pool or not liked:
        return list(pool)
    item_sets = [(*demo.history, demo.item_id) for demo in pool]
    items = list(dict.fromkeys([*(item for each in item_sets for item in each), *liked]))
    vectors = np.asarray(reader.item_vectors(items), dtype=np.float64)
    row = {item: place for place, item in enumerate(items)}
    vectors -= vectors[sorted({row[item] for each in item_sets for item in each})].mean(axis=0)
    means = np.stack([vectors[[row[item] for item in each]].mean(axis=0) for each in (*item_sets, liked)])
    return _nearest_first(pool, means[:-1], means[-1])


def by_gradient(
    reader: ModelReader, pool: Sequence[Demonstration], choices: Sequence[Demonstration]
) -> list[Demonstration]:
    """The pool in order of cosine between each demonstration's gradient and the mean over `choices`, nearest first.

    Equal cosines keep the pool's order, as does a pool without `choices` to hold it against.
    """
    if not pool or not choices:
        return list(pool)
    gradients = np.asarray(reader.choice_gradients([*pool, *choices]), dtype=np.float64)
    return _nearest_first(pool, gradients[: len(pool)], gradients[len(pool) :].mean(axis=0))


def _nearest_first(
    pool: Sequence[Demonstration], vectors: NDArray[np.float64], query: NDArray[np.float64]
) -> list[Demonstration]:
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    cosines = np.divide((vectors * query).sum(axis=1), lengths, out=np.zeros(len(vectors)), where=lengths > 0)
    return [pool[place] for place in np.argsort(-cosines.round(DIGITS), kind="stable")]

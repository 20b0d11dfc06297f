"""How alike items' words are, and a choice that weighs relevance against likeness."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.records import Item

Scores = NDArray[np.float64]
_WORD = re.compile(r"\w+")


class ItemWords:
    """The words of items' titles and categories in lower case; each item is read once."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._words: dict[str, list[str]] = {}

    def __call__(self, item_ids: Iterable[str]) -> list[str]:
        """The words of these items, one after the other. Raises `DataError` naming an unknown item."""
        return [word for item_id in item_ids for word in self._of(item_id)]

    def _of(self, item_id: str) -> list[str]:
        if item_id not in self._words:
            self._words[item_id] = words_of(self._dataset.item(item_id))
        return self._words[item_id]


def words_of(item: Item) -> list[str]:
    """The words of an item's title and categories in lower case."""
    return _WORD.findall(" ".join((item.title, *item.categories)).casefold())


def bm25(documents: Sequence[list[str]], query: Sequence[str]) -> Scores:
    """BM25 scores [document] of documents for a query, both as words; 0 where they share none."""
    vocabulary = set().union(*documents)
    shared = [word for word in query if word in vocabulary]
    if not shared:
        return np.zeros(len(documents))
    import bm25s  # Brings SciPy: only where it is used.

    index = bm25s.BM25(backend="numpy")
    index.index(list(documents), show_progress=False)
    return np.asarray(index.get_scores(shared), dtype=np.float64)


def word_likeness(words: Sequence[frozenset[str]]) -> Scores:
    """[document, document]: words in common over words in either (Jaccard); 1 for two without any."""
    vocabulary = {word: place for place, word in enumerate(sorted(frozenset().union(*words)))}
    table = np.zeros((len(words), max(len(vocabulary), 1)), dtype=np.float32)
    for row, document in enumerate(words):
        table[row, [vocabulary[word] for word in document]] = 1
    common = (table @ table.T).astype(np.float64)
    union = np.diag(common)[:, None] + np.diag(common)[None, :] - common
    return np.asarray(np.where(union > 0, common / np.maximum(union, 1), 1.0))


def marginal_order(
    relevance: Scores,
    likeness: Scores,
    size: int,
    weight: float,
    *,
    first: Sequence[int] = (),
    barred: Callable[[Sequence[int]], NDArray[np.bool_]] | None = None,
) -> list[int]:
    """`size` places by greedy maximal marginal relevance, after those in `first` (Carbonell and Goldstein 1998).

    Each step takes the best of `weight` times `relevance` [place] less 1 - `weight` times the likeness (`likeness`
    [place, place]) to the most alike of those taken. `barred` says which places [place] may not follow those taken, as
    long as another one is left.
    """
    taken = list(first)
    closed = np.zeros(len(relevance), dtype=bool)
    closed[taken] = True
    most_alike = likeness[:, taken].max(axis=1) if taken else np.zeros(len(relevance))
    while len(taken) < min(size, len(relevance)):
        out = closed if barred is None else closed | barred(taken)
        value = weight * relevance - (1 - weight) * most_alike
        best = int(np.argmax(np.where(closed if out.all() else out, -np.inf, value)))
        taken.append(best)
        closed[best] = True
        most_alike = np.maximum(most_alike, likeness[:, best])
    return taken

"""Codes of 32 bits for users and items, learned from the answers of all users."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.prompt.codes import NO_CODE, Codes
from core.seeds import seed_of
from core.tuning.classical.factorisation import FactorSettings, fit_factors
from core.tuning.classical.references import both_answers, training_rows
from core.tuning.examples import Window

__all__ = ["BITS", "CHOICE", "NO_CODE", "Codes", "learn_codes"]

BITS = 32
CHOICE = FactorSettings(factors=BITS, decay=0.03, epochs=15, biased=False)
"""How the numbers behind the bits are learned. Without biases, so that what all users share about an item lies in
its factors, and so in its code."""


def learn_codes(dataset: Dataset, window: Window, seed: int = 0) -> Codes:
    """Codes of the users and items of the window, by matrix factorisation and hashing (after BinLLM, arXiv 2406.03210).

    Bit j of a user is 1 when the user's factor j is above the median user's, and the same among items: every bit
    parts its users, and its items, in halves. Users and items meet in the same factors, so a bit that both have is a
    factor on which they agree. The first factor is the highest bit of the first number. Users and items outside the
    window have the code of no one, `NO_CODE`; a code whose bits would all be 0 has its last bit set.
    Raises `RequestError` for data without ratings, one answer only, or an empty window.
    """
    rows = training_rows(dataset, window, rated=True)
    both_answers(dataset, rows, "user and item codes")
    factors = fit_factors(rows, CHOICE, seed_of("codes", dataset.dataset_id, window.since, window.until, seed))
    users, items = _dotted(factors.user_factors), _dotted(factors.item_factors)
    of_items = dict(zip(rows.items, items, strict=True))
    return Codes(dict(zip(rows.users, users, strict=True)), of_items, dataset.dataset_id)


def _dotted(factors: NDArray[np.float64]) -> list[str]:
    """The sign of (rows, BITS) factors about their medians, as text."""
    packed = np.packbits(factors > np.median(factors, axis=0), axis=1)
    packed[~packed.any(axis=1), -1] = 1
    return [".".join(str(number) for number in row) for row in packed.tolist()]

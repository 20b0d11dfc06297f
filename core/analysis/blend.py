"""What of a blended list is the model's: its places without popularity, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.analysis.values import Array
from core.metrics.ranking import Rank, ranks
from core.question.case_spec import CaseSpec

DIGITS = 9
"""Decimals to which the model's scores are read back from blended ones: beyond are rounding errors of the sums, which
must not part equal scores."""


def blend_notices(spec: CaseSpec) -> tuple[str, ...]:
    """What a reader must know of a ranking with popularity in it; nothing without."""
    if not spec.prior:
        return ()
    return (
        f"Scores and places are those of a blend: {spec.prior:g} x log(1 + likes before the moment) is added to the"
        " model's score of each candidate; what demonstrations change in a score is the model's alone.",
    )


def model_ranks(scores: Array, prior: Sequence[float]) -> tuple[Rank, ...] | None:
    """Places by the model's scores alone, of blended `scores` [candidate] and their `prior`; None without a blend."""
    return ranks((scores - np.array(prior)).round(DIGITS)) if prior else None

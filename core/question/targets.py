"""What is explained of a list: rows, each a weighted sum of the candidates' scores.

With s the scores of N candidates and c the target: the field margin m_c = s_c - mean of the others, the own score s_c,
and the lift of the field f_c = mean of the others. s_c = m_c + f_c, so every contribution to a score splits exactly
into what moves the target against the others and what moves them all alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Explained = Literal["field", "score", "lift", "pair"]


@dataclass(frozen=True)
class ExplainedRow:
    """One thing to explain of a target."""

    name: Explained
    words: str
    """On the screen."""
    help: str
    """One sentence for a reader."""
    target: float
    """Weight of the target's score."""
    others: float
    """Weight of the mean score of the other candidates."""
    against: float = 0.0
    """Weight of the score of the second candidate."""

    def weights(self, candidates: int, target: int, against: int | None = None) -> NDArray[np.float64]:
        """The weight of every candidate's score, [candidate]; a lone candidate has no others to be held against."""
        weights = np.full(candidates, self.others / max(candidates - 1, 1))
        weights[target] = self.target
        if self.against and against is not None:
            weights[against] = self.against
        return weights


EXPLAINED: dict[Explained, ExplainedRow] = {
    row.name: row
    for row in (
        ExplainedRow(
            "field",
            "margin over the field",
            "The item's score less the mean score of the other candidates: what moves it against them.",
            target=1.0,
            others=-1.0,
        ),
        ExplainedRow(
            "score",
            "own score",
            "The item's score alone; it may rise while the item falls, when the others rise more.",
            target=1.0,
            others=0.0,
        ),
        ExplainedRow(
            "lift",
            "lift of the field",
            "The mean score of the other candidates: what moves everything alike.",
            target=0.0,
            others=1.0,
        ),
        ExplainedRow(
            "pair",
            "margin over one candidate",
            "The item's score less that of one other candidate.",
            target=1.0,
            others=0.0,
            against=-1.0,
        ),
    )
}
assert tuple(EXPLAINED) == get_args(Explained)


def field_margin(scores: NDArray[np.float64], item: int) -> NDArray[np.float64]:
    """Margin of candidate `item` over the field under each row of scores [..., candidate], nats."""
    margins: NDArray[np.float64] = scores @ EXPLAINED["field"].weights(scores.shape[-1], item)
    return margins

"""What a set of demonstrations is judged by on a held-out choice. A new objective is a row here, and its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.metrics.ranking import expected_ndcg
from core.prompt.families import Family

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

Objective = Literal["log_share", "ndcg", "margin", "truth"]


@dataclass(frozen=True)
class ObjectiveRow:
    """One objective."""

    name: Objective
    words: str
    """For the screen."""
    unit: str
    """For the screen, behind a figure."""
    score: Callable[[Floats], float]
    """Of scores [candidate], the choice's first; higher is better. A disliked choice comes with all signs turned."""
    negatives: bool = True
    """Whether the choice stands among items never met; else it is scored alone."""
    both_answers: bool = False
    """Whether it needs Yes and No as true answers."""


def _log_share(scores: Floats) -> float:
    return float(scores[0] - np.logaddexp.reduce(scores))


def _ndcg(scores: Floats) -> float:
    return expected_ndcg(scores, 0)


def _margin(scores: Floats) -> float:
    return float(scores[0] - (scores[1:].mean() if len(scores) > 1 else 0.0))


def _truth(scores: Floats) -> float:
    return float(scores[0])


OBJECTIVES: Mapping[Objective, ObjectiveRow] = {
    row.name: row
    for row in (
        ObjectiveRow("log_share", "log-probability of the choice among items as popular", "nats", _log_share),
        ObjectiveRow("ndcg", "NDCG@10 of the choice among items as popular", "NDCG@10", _ndcg),
        ObjectiveRow(
            "margin", "margin of the choice over items as popular (its score less their mean score)", "nats", _margin
        ),
        ObjectiveRow("truth", "log-odds of the true answer", "nats", _truth, negatives=False, both_answers=True),
    )
}
DEFAULTS: Mapping[Family, Objective] = {"next_item": "log_share", "yes_no": "margin"}
"""What each family is judged by where nobody chose."""

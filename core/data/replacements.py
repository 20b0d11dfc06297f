"""Which demonstrations could stand in a prompt in place of others?"""

from __future__ import annotations

from itertools import zip_longest

from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Strategy
from core.data.strategies import STRATEGIES, pick

EACH = 24
"""Most demonstrations of each strategy."""


def replacements(dataset: Dataset, case: Case, *, history: int) -> tuple[Demonstration, ...]:
    """The nearest `EACH` by each strategy that stage one of Improve draws on, and the user's latest, in turns.

    Each interaction stands there once. What strategies read is all that is read: interactions strictly before the
    case's moment, never the candidates or the target (see `pick`).
    """
    names: list[Strategy] = [row.name for row in STRATEGIES.values() if row.pooled]
    picked = [
        pick(dataset, case, k=EACH, strategy=name, history=history, order="nearest_first")
        for name in ("recent", *names)
    ]
    demos = [demo for turn in zip_longest(*picked) for demo in turn if demo is not None]
    first: dict[tuple[str, int], Demonstration] = {}
    for demo in demos:
        first.setdefault((demo.user_id, demo.position), demo)
    return tuple(first.values())

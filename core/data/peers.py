"""Other users whose latest interaction can be a demonstration at a case's moment."""

from __future__ import annotations

from dataclasses import dataclass

from core.data.dataset import Dataset
from core.data.records import Case

WINDOW = 20
"""Latest interactions of a user, whose titles and categories are the user's document."""
POOL = 5_000
"""Most other users considered: those active last before the moment."""


@dataclass(frozen=True)
class Peer:
    """Another user at the case's moment: the latest interaction to show, and the latest items for comparison."""

    user_id: str
    position: int
    timestamp: float | None
    recent: tuple[str, ...]
    """Item ids of at most `WINDOW` latest interactions (rated ones, in data with ratings) before it, oldest first."""


def peers_before(dataset: Dataset, case: Case) -> tuple[Peer, ...]:
    """The other users who can be shown in this case, by user id; at most `POOL`, the latest active."""
    if case.moment is None:
        usable, bound = "position < $bound", float(len(case.history))
    else:
        usable, bound = "timestamp < $bound", case.moment
    usable += " AND rating IS NOT NULL" if dataset.has_ratings else ""
    query = (
        "WITH early AS (SELECT user_id, item_id, position, timestamp, row_number() OVER (PARTITION BY user_id"
        f" ORDER BY position DESC) AS back FROM interactions WHERE user_id <> $user AND {usable}),"
        " active AS (SELECT user_id, position AS shown, timestamp AS shown_at FROM early"
        " WHERE back = 1 AND position > 0 ORDER BY shown_at DESC NULLS LAST, shown DESC, user_id LIMIT $pool)"
        " SELECT user_id, shown, shown_at, list(item_id ORDER BY position) FROM early JOIN active USING (user_id)"
        " WHERE back <= $window GROUP BY ALL ORDER BY user_id"
    )
    parameters = {"user": case.user_id, "bound": bound, "pool": POOL, "window": WINDOW}
    rows = dataset.cursor().execute(query, parameters).fetchall()
    return tuple(Peer(user, position, at, tuple(items)) for user, position, at, items in rows)

"""The nouns of the data: item, interaction, case, demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["last", "time"]
"""`last`: the user's last interaction is the target; `time`: the first one after a global cut in time."""
Sampling = Literal["uniform", "popularity"]
Strategy = Literal[
    "neighbours",
    "co_likes",
    "mixed",
    "similar",
    "semantic",
    "gradient",
    "coverage",
    "diverse",
    "recent",
    "sequence",
    "random",
    "manual",
]
Order = Literal["nearest_last", "nearest_first"]
"""Where the demonstrations stand that a strategy holds to be nearest: next to the query, or farthest from it."""


@dataclass(frozen=True)
class Item:
    """One thing that can be recommended; the id is its identity, titles may repeat."""

    item_id: str
    title: str
    categories: tuple[str, ...] = ()
    popularity: int = 0


@dataclass(frozen=True)
class Interaction:
    """One user met one item; `position` is its place in the user's history, from 0."""

    item_id: str
    position: int
    rating: float | None = None
    timestamp: float | None = None


@dataclass(frozen=True)
class Case:
    """One user at one moment: the ordered history, the candidates, and the item really chosen next."""

    dataset_id: str
    user_id: str
    split: Split
    history: tuple[Interaction, ...]
    candidates: tuple[str, ...]
    target: str | None
    moment: float | None
    """Timestamp of the target; nothing at or after it (but the target itself) may enter a prompt."""
    seed: int


@dataclass(frozen=True)
class Demonstration:
    """A history and what was chosen next, with the true answer: one in-context example.

    `demo_id` is `user:position` of the interaction shown; with `:yes` or `:no` behind it the answer was set by hand.
    """

    demo_id: str
    user_id: str
    position: int
    history: tuple[str, ...]
    """Item ids liked before the interaction, oldest first."""
    item_id: str
    liked: bool
    source: Strategy

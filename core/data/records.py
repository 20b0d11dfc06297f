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
Role = Literal["system", "user", "assistant"]
"""Whose words a message of a chat holds."""
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
class Words:
    """Text of a logged prompt, as it stands there."""

    text: str
    role: Role | None = None
    """Of its chat message; None in a prompt without messages."""
    item_id: str | None = None
    """The interaction of the history that it is; None for all other text."""


@dataclass(frozen=True)
class Turn:
    """Where a chat message of `role` begins in a logged prompt, and the one before it ends."""

    role: Role


Piece = Words | Turn
"""Of a logged prompt, in its order."""


@dataclass(frozen=True)
class LoggedPrompt:
    """A prompt that somebody else wrote, without its demonstrations."""

    opening: tuple[Piece, ...]
    """What stands before the demonstrations."""
    closing: tuple[Piece, ...]
    """What stands behind them."""
    options: tuple[tuple[str, str], ...]
    """Item id and exact text of each answer option."""
    titles: bool
    """Whether options are titles; else labels such as Yes, which any demonstration may hold."""
    answer_cue: bool
    """Whether the text ends with the words that the answer follows, such as `Output:`."""

    @property
    def chat(self) -> bool:
        """Whether it is a list of messages."""
        return any(isinstance(piece, Turn) for piece in self.opening)


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
    logged: LoggedPrompt | None = None
    """The prompt of an imported case, which is run as it was logged; None where a template writes it."""


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
    pieces: tuple[Piece, ...] = ()
    """Of an imported demonstration, its text as it was logged; the item and the history are then only names."""

"""Which ways of answering are held against each other: which weights, and how many demonstrations?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tuned = Literal["base", "tallrec", "recicl"]
"""`base`: untouched; `tallrec`: tuned on prompts without demonstrations; `recicl`: tuned on prompts with them."""
TUNED: dict[Tuned, str] = {"base": "base model", "tallrec": "TALLRec-style", "recicl": "RecICL"}
"""What each is called in tables and charts."""


@dataclass(frozen=True)
class Way:
    """One model, with a number of its user's most recent interactions as demonstrations."""

    tuned: Tuned
    demos: int

    @property
    def name(self) -> str:
        """As in tables: `RecICL, 4 demonstrations`."""
        return f"{TUNED[self.tuned]}, {self.demos} demonstration{'' if self.demos == 1 else 's'}"

    @property
    def adapter(self) -> str | None:
        """Name of the shipped adapter; none for the base model."""
        return None if self.tuned == "base" else self.tuned


FRESH, BARE = 4, 0
"""Demonstrations of the ways that are compared."""
RECICL, RECICL_BARE = Way("recicl", FRESH), Way("recicl", BARE)
TALLREC, TALLREC_BARE = Way("tallrec", FRESH), Way("tallrec", BARE)
BASE, BASE_BARE = Way("base", FRESH), Way("base", BARE)
ANSWERING = (BASE_BARE, BASE, TALLREC_BARE, TALLREC, *(Way("recicl", demos) for demos in (0, 1, 2, 4, 8)))
"""Ways whose Yes and No answers are measured."""
RANKING = (BASE_BARE, BASE, RECICL_BARE, RECICL)
"""Ways whose lists of candidates are measured."""
MOST_DEMOS = max(way.demos for way in ANSWERING)


def minus(first: Way, second: Way) -> str:
    """What the difference of two ways is called."""
    return f"{first.name} minus {second.name}"


def gain(tuned: Tuned) -> str:
    """What the worth of demonstrations to a model is called: the figure with them minus the figure without."""
    return f"gain of {TUNED[tuned]} by {FRESH} demonstrations"


GAINS = f"{gain('recicl')} minus {gain('tallrec')}"
"""What the difference of the two gains is called."""

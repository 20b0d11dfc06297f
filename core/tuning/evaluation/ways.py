"""The ways of answering that an evaluation compares: a model and a number of demonstrations each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.words import counted

ModelVariant = Literal["base", "tallrec", "recicl"]
"""`base`: untouched; `tallrec`: tuned on prompts without demonstrations; `recicl`: tuned on prompts with them."""
VARIANT_LABELS: dict[ModelVariant, str] = {"base": "base model", "tallrec": "TALLRec-style", "recicl": "RecICL"}
"""What each is called in tables and charts."""


@dataclass(frozen=True)
class AnsweringWay:
    """One model, with a number of its user's most recent interactions as demonstrations."""

    tuned: ModelVariant
    demos: int

    @property
    def name(self) -> str:
        """As in tables: `RecICL, 4 demonstrations`."""
        return f"{VARIANT_LABELS[self.tuned]}, {counted(self.demos, 'demonstration')}"

    @property
    def adapter(self) -> str | None:
        """Name of the shipped adapter; none for the base model."""
        return None if self.tuned == "base" else self.tuned


FRESH, BARE = 4, 0
"""Demonstrations of the ways that are compared."""
RECICL, RECICL_BARE = AnsweringWay("recicl", FRESH), AnsweringWay("recicl", BARE)
TALLREC, TALLREC_BARE = AnsweringWay("tallrec", FRESH), AnsweringWay("tallrec", BARE)
BASE, BASE_BARE = AnsweringWay("base", FRESH), AnsweringWay("base", BARE)
ANSWERING = (BASE_BARE, BASE, TALLREC_BARE, TALLREC, *(AnsweringWay("recicl", demos) for demos in (0, 1, 2, 4, 8)))
"""Ways whose Yes and No answers are measured."""
RANKING = (BASE_BARE, BASE, RECICL_BARE, RECICL)
"""Ways whose lists of candidates are measured."""
MOST_DEMOS = max(way.demos for way in ANSWERING)


def minus(first: AnsweringWay, second: AnsweringWay) -> str:
    """What the difference of two ways is called."""
    return f"{first.name} minus {second.name}"


def gain(tuned: ModelVariant) -> str:
    """What the worth of demonstrations to a model is called: the figure with them minus the figure without."""
    return f"gain of {VARIANT_LABELS[tuned]} by {FRESH} demonstrations"


GAINS = f"{gain('recicl')} minus {gain('tallrec')}"
"""What the difference of the two gains is called."""

"""What may be changed about a case: the kinds of perturbation, by name; needs no torch."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "history_drop",
    "history_swap",
    "history_shuffle",
    "popular_replace",
    "inject",
    "demo_permute",
    "demo_drop",
    "demo_duplicate",
    "label_flip",
    "typos",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_DEMOS: tuple[Kind, ...] = ("demo_permute", "demo_drop", "demo_duplicate", "label_flip")
"""Kinds that change demonstrations as wholes."""
NAMES: dict[Kind, str] = {
    "history_drop": "history items dropped",
    "history_swap": "history neighbours swapped",
    "history_shuffle": "history items shuffled",
    "popular_replace": "history items replaced by equally popular ones",
    "inject": "unrelated items injected",
    "demo_permute": "demonstrations permuted",
    "demo_drop": "demonstrations dropped",
    "demo_duplicate": "demonstrations duplicated",
    "label_flip": "answers flipped",
    "typos": "typos in titles",
}
"""What each kind does, in words."""
STRENGTHS = (0.1, 0.5)
REPEATS = 3

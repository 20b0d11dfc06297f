"""What is found of a model, as records that need no model library to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class FactRow(NamedTuple):
    """One thing that was found."""

    label: str
    text: str


@dataclass(frozen=True)
class ModelFacts:
    """What was found of a model, as far as it got."""

    rows: tuple[FactRow, ...]
    refusal: str | None
    """Why the model cannot be used, in one sentence; None where nothing speaks against it so far."""

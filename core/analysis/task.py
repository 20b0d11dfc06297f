"""What every unit of work beside an explanation is asked with and answers: a case with options, and a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from core.analysis.explain.explanation import DemoRow, Provenance, Record, Target
from core.analysis.request import Request

Progress = Callable[[str, float], None]
"""Told what is being done and which share is behind, between forward passes; may raise `Cancelled`."""


class Task(BaseModel):
    """A case and what is to be found out about it; equal tasks have equal reports, apart from timings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    case: Request = Request()

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents it will probably need, told before anything runs."""
        raise NotImplementedError


class Report(Record):
    """What a task has found so far."""

    stage: Literal["partial", "complete"] = "partial"
    demos: tuple[DemoRow, ...] = ()
    """Demonstrations of the case, in prompt order."""
    target: Target | None = None
    provenance: Provenance
    tokens: int
    """Tokens of the longest full prompt."""
    forwards: int = 0
    passes: float = 0.0
    """Cost so far in full-prompt forward equivalents."""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

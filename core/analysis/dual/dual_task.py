"""The task that takes a case's attention apart into its dual model, and its report; needs no torch."""

from __future__ import annotations

from statistics import fmean
from typing import Annotated

from pydantic import Field

from core.question.task import Record, Report, TargetTask

Map = tuple[tuple[float, ...], ...]
"""[layer][head]."""

OWN_PASS = 1.2
"""Full-prompt forwards that one pass under the model's own attention takes (measured on the sample: 1.0 to 1.2)."""


class DualTask(TargetTask):
    """The dual model of every attention head at one token of a case's prompt, and of one head with explicit features.

    The prompt ends with the target.
    """

    layer: Annotated[int, Field(ge=0)] | None = None
    """Layer of the head to look at closely, from 0; None means the head in which the demonstrations write most."""
    head: Annotated[int, Field(ge=0)] | None = None
    """Query head to look at closely, from 0; None means the head in which the demonstrations write most."""
    position: int = -1
    """The token whose attention is looked at, counted from 0 over the full prompt, or from the end where negative."""
    features: Annotated[tuple[Annotated[int, Field(ge=2, le=16_384)], ...], Field(min_length=1, max_length=8)] = (
        64,
        256,
        1_024,
        4_096,
    )
    """Numbers of random features of the explicit dual model; its gradient descent uses the largest."""
    draws: Annotated[int, Field(ge=3, le=64)] = 8
    """How often the features are drawn anew for each error and its bar."""
    steps: Annotated[int, Field(ge=1, le=200)] = 20
    """Steps of gradient descent that are shown; one is the attention output."""
    weight_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight decay alpha of the second descent: each step first multiplies W by 1 - alpha."""

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents: one pass, a few rows at a time; the explicit dual model needs none."""
        return OWN_PASS


class Part(Record):
    """One part of the chosen head's attention output."""

    label: str
    """`W0`, or a demonstration's label."""
    norm: float
    """Length of W0 phi(q) or dW_k phi(q)."""
    cosine: float | None
    """With the attention output; None where the part is nothing."""
    share: float | None
    """Of the output's length, what this part puts along it: they add up to 1. None where the output is nothing."""
    mass: float
    """Share of the normaliser Z."""


class FeaturePoint(Record):
    """Relative error of W phi(q) with that many features, after one step of gradient descent."""

    features: int
    error: float
    """Median over the draws."""
    low: float
    """First decile of the draws; `high` is the ninth."""
    high: float


class Descent(Record):
    """Gradient descent on the loss of the demonstrations, from W0 on; each list starts before the first step."""

    weight_decay: float
    """0 is the plain loss, which has no minimum."""
    loss: tuple[float, ...]
    """In units of the plain loss's fall in one step, so that the figure does not depend on the learning rate."""
    error: tuple[float, ...]
    """||W phi(q) - attention output|| / ||attention output||."""
    limit_error: float | None
    """The error at the minimum; None where there is none."""
    limit_loss: float | None


class DualReport(Report):
    """The dual model so far: first the exact parts of every head, then the explicit one of the chosen head."""

    task: DualTask
    position: int
    """The token looked at, counted from 0."""
    token: str
    """Its text."""
    place: str
    """The span it stands in: `instruction`, a demonstration's label, `query` or `candidate`."""
    layer: int
    head: int
    residual: Map
    """||sum of parts - the model's own attention output|| / ||the model's own||, [layer][head]."""
    zero_factor: Map
    """Z_T/Z, [layer][head]: W0 phi(q) is this times zero-shot attention over the same keys."""
    output_norm: Map
    """Length of the attention output, [layer][head]."""
    mass: tuple[Map, ...]
    """Share of Z on each demonstration, [layer][head][demo]."""
    norm: tuple[Map, ...]
    """Length of dW_k phi(q), [layer][head][demo]."""
    parts: tuple[Part, ...]
    """Of the chosen head: W0, then the demonstrations in prompt order."""
    exponent: float | None = None
    """Mean |k + q|^2 of the chosen head, weighted by attention: it takes about e to this power features."""
    curve: tuple[FeaturePoint, ...] = ()
    """Error of the explicit dual model of the chosen head against its attention output."""
    softening: float | None = None
    """Factor on the attention logits of the softened head; 1 where the head itself is soft enough."""
    softened: tuple[FeaturePoint, ...] = ()
    """The same errors for the softened head against its own attention output."""
    descents: tuple[Descent, ...] = ()
    """Of the softened head, without and with weight decay."""
    descent_features: int | None = None

    def norm_by_layer(self, head: int | None = None) -> Map:
        """Length of dW_k phi(q), [demo][layer]: of one head, or its mean over heads."""
        return tuple(
            tuple(layer[head][demo] if head is not None else fmean(each[demo] for each in layer) for layer in self.norm)
            for demo in range(len(self.demos))
        )

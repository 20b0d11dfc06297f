"""The dual model of a case in words: what it is, how exactly it holds, and what it does not show."""

from __future__ import annotations

from itertools import chain

from app.components.head import Readout
from app.text import safe_html
from app.theme import number
from core.analysis.dual.task import DualReport


def sentence(report: DualReport) -> str:
    """How much of the chosen head's output the demonstrations wrote; HTML."""
    share = _written(report)
    if not report.demos or share is None:
        return "Without demonstrations the dual model is its start weights W0 alone."
    return (
        f"In layer {report.layer}, head {report.head}, the demonstrations wrote {number(100 * share, 0)} % of the "
        "attention output in one gradient step."
    )


def _written(report: DualReport) -> float | None:
    shares = [part.share for part in report.parts[1:]]
    return None if any(share is None for share in shares) else sum(share for share in shares if share is not None)


def leads(report: DualReport) -> list[str]:
    """The identity, how exactly it was met, and its limits; HTML."""
    worst = max(chain.from_iterable(report.residual))
    return [
        "Attention output = (W0 + dW<sub>1</sub> + … + dW<sub>K</sub>) φ(q): the demonstrations act like one gradient "
        f"step from W0. Largest relative residual over all layers and heads: {worst:.1e}.",
        "This identity is algebra. A small residual checks the code; it says nothing about whether the language model "
        "learns by gradient descent. That question is asked below, beside two controls.",
    ]


def readouts(report: DualReport) -> list[Readout]:
    """The token looked at, the start weights' share, and what an explicit dual model would need."""
    w0 = report.parts[0]
    cells = [
        Readout("Token looked at", f"“{safe_html(report.token, 20)}”", f"number {report.position}, {report.place}"),
        Readout("Z_T/Z of this head", number(w0.mass, 3), "W0 φ(q) is this times zero-shot attention"),
    ]
    if report.curve:
        best = report.curve[-1]
        small = f"with {best.features} random features (10–90 % of draws: {number(best.low)} to {number(best.high)})"
        cells.append(Readout("Error of the explicit model", number(best.error), small))
    if report.exponent is not None:
        cells.append(Readout("Mean |k + q|²", number(report.exponent, 1), "about e to this many features are needed"))
    return cells

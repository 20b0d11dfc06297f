"""The dual model of a case in words: what it is, how exactly it holds, and what it does not show."""

from __future__ import annotations

from itertools import chain

from app.text import safe_html
from app.theme import number
from app.widgets.report_head import Readout
from core.analysis.dual.dual_task import DualReport
from core.words import power


def sentence(report: DualReport) -> str:
    """How much of the chosen head's output comes from the demonstrations; HTML."""
    share = _written(report)
    if not report.demos or share is None:
        return "Without demonstrations the dual model is its start weights W0 alone."
    return (
        f"In layer {report.layer}, head {report.head}, the demonstrations make up {number(100 * share, 0)} % of the "
        "attention output."
    )


def _written(report: DualReport) -> float | None:
    shares = [part.share for part in report.parts[1:]]
    return None if any(share is None for share in shares) else sum(share for share in shares if share is not None)


def leads(report: DualReport) -> list[str]:
    """The identity, how exactly it was met, and its limits; HTML."""
    worst = max(chain.from_iterable(report.residual))
    return [
        "Inside each attention head, reading the prompt is the same calculation as applying a small linear model, the "
        "dual model: start weights W0 from everything but the demonstrations, plus one gradient step dW from each "
        "demonstration. Attention output = (W0 + dW<sub>1</sub> + … + dW<sub>K</sub>) φ(q), where φ(q) stands for the "
        "token that reads.",
        "In every layer and head this sum equals the model's own output; the largest relative residual is "
        f"{power(worst)}, and 0 is exact. That is algebra: it shows that the numbers are right, not that the language "
        "model learns by gradient descent. The comparison with fine-tuning below tests that, beside two controls.",
        "A long step need not move an item: Explore shows which demonstration moves which item, and by how much.",
    ]


def readouts(report: DualReport) -> list[Readout]:
    """The token looked at, the start weights' share, and what an explicit dual model would need."""
    w0 = report.parts[0]
    cells = [
        Readout("Token", f"“{safe_html(report.token, 20)}”", f"token {report.position}, in the {report.place}"),
        Readout("Z_T/Z of this head", number(w0.mass, 3), "share of its attention outside the demonstrations, 0 to 1"),
    ]
    if report.curve:
        best = report.curve[-1]
        low, high = number(best.low), number(best.high)
        draws = f"; 80 % of the draws lie between {low} and {high}" if low != high else ""
        small = f"with {best.features:,} random features{draws}"
        cells.append(Readout("Relative error of the explicit model", number(best.error), small))
    if report.exponent is not None:
        value = f"about e<sup>{number(report.exponent, 0)}</sup>"
        small = f"for a small error: e to the mean of |k + q|², here {number(report.exponent, 1)}"
        cells.append(Readout("Random features needed", value, small))
    return cells

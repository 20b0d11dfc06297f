"""One sentence on what moves the answer further, other words of the prompt or other demonstrations; needs no torch."""

from __future__ import annotations

from core.analysis.robustness.robustness_task import (
    Estimate,
    RewritingSource,
    RobustnessReport,
    SensitivityRow,
    SensitivitySource,
)
from core.words import counted, figure

SOURCE_WORDS: dict[RewritingSource | SensitivitySource, str] = {
    "unchanged": "as it is",
    "wording": "other words",
    "demonstrations": "other demonstrations",
    "difference": "words less demonstrations",
}
"""What differs in a prompt, on the screen."""


def sensitivity_sentence(report: RobustnessReport) -> str:
    """How far each moves the target (without one, a candidate) and the demonstrations' effect; empty before that."""
    rows = {row.source: row for row in report.sensitivity}
    if not rows:
        return ""
    places = _sizes(rows, "place") if report.target is not None else _sizes(rows, "order")
    what = "the target" if report.target is not None else "a candidate"
    first, *others = [(SOURCE_WORDS[source], f"{figure(size.mean, 1)} places") for source, size in places]
    text = f"On average {first[0]} move {what} by {first[1]}"
    text += "".join(f" and {words} by {size}" for words, size in others)
    text += f"; {_larger(rows)}." if "difference" in rows else "."
    effects = _sizes(rows, "effect")
    if not effects:
        return text
    changes = " and ".join(f"by {figure(size.mean)} nats with {SOURCE_WORDS[source]}" for source, size in effects)
    return f"{text} The effect of the demonstrations changes {changes}."


def _sizes(rows: dict[SensitivitySource, SensitivityRow], measure: str) -> list[tuple[RewritingSource, Estimate]]:
    sources: tuple[RewritingSource, ...] = ("wording", "demonstrations")
    sizes = [(source, getattr(rows[source], measure)) for source in sources if source in rows]
    return [(source, size) for source, size in sizes if size is not None]


def _larger(rows: dict[SensitivitySource, SensitivityRow]) -> str:
    """Which moves it further, where the interval of the difference leaves 0 out."""
    difference = rows["difference"]
    size = difference.place or difference.order
    if size.low is not None and size.low > 0:
        return "the words move it further"
    if size.high is not None and size.high < 0:
        return "the demonstrations move it further"
    return f"which moves it further cannot be told from {counted(difference.count, 'prompt')}"

"""The task that holds the in-context update beside that of real fine-tuning, and its report; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field

from core.question.task import Record, Report, TargetTask
from core.words import figure

Measure = Literal["sim_aou", "sim_am", "sim_am_change", "attention_rank"]
Learner = Literal["model", "random_weights", "shuffled"]

LABELS: dict[Measure, str] = {
    "sim_aou": "SimAOU",
    "sim_am": "SimAM",
    "sim_am_change": "SimAM of changes",
    "attention_rank": "attention rank correlation",
}
DEFINITIONS: dict[Measure, str] = {
    "sim_aou": "Cosine between the change of the attention layer's output in context and by fine-tuning, both from "
    "zero-shot, at the last token of the query; the output is taken behind the output projection and before the "
    "residual sum, with unit length before the difference. Baseline: a random change (arXiv 2212.10559).",
    "sim_am": "Cosine between the last query token's scores before softmax over the query's own tokens, in context and "
    "fine-tuned, mean over heads. Baseline: in context against zero-shot (arXiv 2212.10559).",
    "sim_am_change": "The same cosine between the changes of these scores from zero-shot (arXiv 2311.07772). "
    "Baseline: a random change.",
    "attention_rank": "Kendall's tau over the demonstrations' tokens between the last query token's scores in context, "
    "summed over heads, and the product of its query vector with theirs after fine-tuning. "
    "Baseline: before fine-tuning (arXiv 2212.10559).",
}
SUBJECTS: dict[Learner, str] = {
    "model": "the model",
    "random_weights": "random weights",
    "shuffled": "shuffled demonstrations",
}

SAMPLE_COST = 1.2
"""Full-prompt forwards of one pass over each training sample: each repeats the instruction."""
SEEN_COST = 0.8
"""The same of one pass over all of them at once, which runs the instruction once."""
QUERY_COST = 0.3
"""Full-prompt forwards of the prompt without its demonstrations."""


class UpdatesTask(TargetTask):
    """How like the in-context update of a case is to the update of fine-tuning on its demonstrations."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Step size of the fine-tuning: plain SGD, one step per demonstration, key and value projections only.
    The default took the loss of the sample model on four demonstrations from 3.31 to 0.32 nats per answer token."""
    repeats: Annotated[int, Field(ge=1, le=20)] = 3
    """Seeds of the random weights, of the shuffling and of the order of the steps; one alone gives no spread."""

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents: both prompts, the loss before and after, training at thrice a forward."""
        demos = self.case.demo_count
        if demos == 0:
            return 1.0
        prompts, epoch = 1.0 + QUERY_COST, 3 * SAMPLE_COST + SEEN_COST + QUERY_COST
        each = epoch + (prompts + SEEN_COST + epoch) + (SEEN_COST + epoch)
        return prompts + SEEN_COST + self.repeats * each


class UpdateRow(Record):
    """One measure for one subject; None where it is not defined (a notice says why)."""

    measure: Measure
    subject: Learner
    by_layer: tuple[float | None, ...]
    """Mean over the repeats, from the first layer to the last; from -1 to 1."""
    mean: float | None
    """Mean over the layers where it is defined."""
    low: float | None
    """Smallest mean over layers of any repeat; None with one repeat."""
    high: float | None
    baseline_by_layer: tuple[float | None, ...]
    """The measure's own baseline, see `DEFINITIONS`."""
    baseline: float | None


class TuningRow(Record):
    """What the fine-tuning did to the demonstrations it saw: mean over repeats, nats per answer token."""

    subject: Learner
    loss_before: float
    loss_after: float
    steps: int


class Finding(Record):
    """Whether the model's similarity stands out from its controls."""

    measure: Measure
    model: float | None
    control: float | None
    """The larger mean of the two controls."""
    stronger: Learner | None
    """The control it belongs to."""
    margin: float | None
    """Model minus control."""
    spread: float | None
    """Widest range over the repeats among the three subjects; None with one repeat."""
    exceeds: bool | None
    """Whether the margin is larger than the spread; None where one of them is not known."""


class UpdatesReport(Report):
    """The similarities so far, always with both controls.

    In context the query stands later in the prompt than in zero-shot. Scores between the query's own tokens depend on
    their distance only (rotary positions), so they can be compared; scores beyond a layer's window are left out.
    """

    task: UpdatesTask
    learning_rate: float
    repeats: int = 0
    """How many repeats the rows hold."""
    rows: tuple[UpdateRow, ...] = ()
    tunings: tuple[TuningRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    conclusion: str = ""


def findings(rows: Sequence[UpdateRow], repeats: int) -> tuple[Finding, ...]:
    """For each measure, the model's mean against the larger of its controls' and the spread over repeats."""
    return tuple(_finding(measure, [row for row in rows if row.measure == measure], repeats) for measure in LABELS)


def _finding(measure: Measure, rows: Sequence[UpdateRow], repeats: int) -> Finding:
    model = next((row.mean for row in rows if row.subject == "model"), None)
    controls = [(row.mean, row.subject) for row in rows if row.subject != "model" and row.mean is not None]
    control, stronger = max(controls, default=(None, None), key=lambda pair: pair[0])
    margin = model - control if model is not None and len(controls) == 2 and control is not None else None
    ranges = [row.high - row.low for row in rows if row.high is not None and row.low is not None]
    spread = max(ranges) if repeats > 1 and len(ranges) == len(get_args(Learner)) else None
    exceeds = margin > spread if margin is not None and spread is not None else None
    return Finding(
        measure=measure, model=model, control=control, stronger=stronger, margin=margin, spread=spread, exceeds=exceeds
    )


def conclusion(findings: Sequence[Finding]) -> str:
    """What the figures say, in words: which similarities stand out from both controls, and which do not."""
    judged = [finding for finding in findings if finding.exceeds is not None]
    if not judged:
        figures = "; ".join(map(_figures, findings))
        return f"No conclusion: the figures have no spread over repeats to be judged by. {figures}."
    above = [finding for finding in judged if finding.exceeds]
    rest = [finding for finding in judged if not finding.exceeds]
    sentences = []
    if above:
        sentences.append(
            f"In {_count(above, findings)} the in-context update is more like real fine-tuning than both controls are, "
            f"by more than the spread over repeats: {'; '.join(map(_figures, above))}."
        )
    if rest:
        subject = "it" if above else "the in-context update"
        sentences.append(
            f"In {_count(rest, findings)} {subject} does not stand out from its controls, so the similarity is no sign "
            f"of learning by gradient descent: {'; '.join(map(_figures, rest))}."
        )
    if len(judged) < len(findings):
        missing = ", ".join(LABELS[finding.measure] for finding in findings if finding.exceeds is None)
        sentences.append(f"Not judged: {missing}.")
    return " ".join(sentences)


def _count(some: Sequence[Finding], every: Sequence[Finding]) -> str:
    return f"{len(some)} of {len(every)} measures"


def _figures(finding: Finding) -> str:
    control = f"{_number(finding.control)} for {SUBJECTS[finding.stronger]}" if finding.stronger else "no control"
    spread = "" if finding.spread is None else f", spread {_number(finding.spread)}"
    return f"{LABELS[finding.measure]} {_number(finding.model)} against {control}{spread}"


def _number(value: float | None) -> str:
    return figure(value, digits=3, missing="not defined")

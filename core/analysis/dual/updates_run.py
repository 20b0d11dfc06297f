"""Is what demonstrations change in context like what real fine-tuning on them changes?

Definitions of arXiv 2212.10559 (its released analysis code where the text is open) and, on differences from zero-shot,
of arXiv 2311.07772; always beside the same architecture with random weights, and shuffled demonstrations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import stats

from core.analysis.dual.material import Material, Sample, material_of
from core.analysis.dual.tuning import Reading, Seen, Trainee, Tuned, random_twin
from core.analysis.dual.updates_task import (
    LABELS,
    SUBJECTS,
    Learner,
    Measure,
    TuningRow,
    UpdateRow,
    UpdatesReport,
    UpdatesTask,
    conclusion,
    findings,
)
from core.analysis.explain.faithfulness import number
from core.analysis.ledger import Ledger, silent
from core.analysis.subject import Subject
from core.analysis.values import Array
from core.lm.loading.load import LanguageModel
from core.lm.scoring.sweep import Cost
from core.prompt.case_source import CaseSource
from core.question.task import Progress
from core.seeds import generator, seed_of

CONTEXT_ROUNDING = 1e-3
"""A change in context below this share of the vector is rounding of rotary angles at other positions, not a change."""
TUNED_ROUNDING = 8
"""The same for fine-tuning, at equal positions, in units of the number format's precision."""


def measures(
    few: Reading,
    zero: Reading,
    tuned: Reading,
    start: Seen,
    trained: Tuned,
    *,
    rng: np.random.Generator,
    precision: float,
) -> dict[Measure, tuple[Array, Array]]:
    """Each measure and its baseline, both [layer], as `DEFINITIONS` says; nan where a vector does not change or vary.

    SimAOU compares what the attention module adds to the residual stream, behind its output projection, as the
    released code of arXiv 2212.10559 does. (The dual model's W phi(q) is what stands before that projection.)
    `rng` draws the random changes; `precision` is the relative rounding of the network's number format.
    """
    of_layers = [
        _of_layer(
            tuple(_unit(reading.outputs[n]) for reading in (few, zero, tuned)),
            tuple(_visible(reading.scores[n], few.scores[n]) for reading in (few, zero, tuned)),
            rng,
            precision,
        )
        | {
            "attention_rank": (
                rank_correlation(few.context[n], trained.queries[n] @ tuned.queries[n]),
                rank_correlation(few.context[n], start.queries[n] @ zero.queries[n]),
            )
        }
        for n in range(len(few.outputs))
    ]
    return {
        measure: (
            np.array([pairs[measure][0] for pairs in of_layers]),
            np.array([pairs[measure][1] for pairs in of_layers]),
        )
        for measure in LABELS
    }


def _of_layer(
    outputs: tuple[Array, ...], scores: tuple[Array, ...], rng: np.random.Generator, precision: float
) -> dict[Measure, tuple[float, float]]:
    """SimAOU and both SimAMs of one layer with their baselines, from its vectors in context, zero-shot and tuned."""
    (out_few, out_zero, out_tuned), (few, zero, tuned) = outputs, scores
    context, steps = max(CONTEXT_ROUNDING, 4 * precision), TUNED_ROUNDING * precision
    moved, attended = _change(out_few, out_zero, context), _change(few, zero, context)
    return {
        "sim_aou": (
            similarity(moved, _change(out_tuned, out_zero, steps)),
            similarity(moved, rng.standard_normal(moved.shape)),
        ),
        "sim_am": (similarity(few, tuned), similarity(few, zero)),
        "sim_am_change": (
            similarity(attended, _change(tuned, zero, steps)),
            similarity(attended, rng.standard_normal(attended.shape)),
        ),
    }


def similarity(first: Array, second: Array) -> float:
    """Cosine of the last axis, mean over the others; nan where no pair has two vectors other than zero."""
    size = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    dots = (first * second).sum(axis=-1)
    defined = size > 0
    return float(np.mean(np.clip(dots[defined] / size[defined], -1.0, 1.0))) if np.any(defined) else math.nan


def rank_correlation(first: Array, second: Array) -> float:
    """Kendall's tau-b of two vectors where the first is finite; nan for fewer than 2 values or one that is constant."""
    finite = np.isfinite(first)
    first, second = first[finite], second[finite]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.kendalltau(first, second).statistic)


def _unit(vector: Array) -> Array:
    size = float(np.linalg.norm(vector))
    return vector / size if size > 0 else vector


def _change(after: Array, before: Array, rounding: float) -> Array:
    """The difference; zero where it is no larger than `rounding` of the vector (last axis) it starts from."""
    difference = after - before
    limit = rounding * np.linalg.norm(before, axis=-1, keepdims=True)
    moved = np.linalg.norm(difference, axis=-1, keepdims=True) > limit
    return np.asarray(np.where(moved, difference, 0.0))


def _visible(scores: Array, seen: Array) -> Array:
    """Columns of the tokens that lie inside the layer's window."""
    return np.asarray(scores[:, np.isfinite(seen).all(axis=0)])


@dataclass(frozen=True)
class _Outcome:
    values: dict[Measure, tuple[Array, Array]]
    before: float
    after: float


@dataclass
class _Study:
    """The runs of one case, subject by subject."""

    material: Material
    rate: float
    seed: int
    trainee: Trainee
    outcomes: dict[Learner, list[_Outcome]] = field(default_factory=lambda: {subject: [] for subject in SUBJECTS})

    def __post_init__(self) -> None:
        self.few, self.zero = self._both(self.trainee)
        self.start = self.trainee.see(self.material.samples)

    def round(self, repeat: int, ledger: Ledger) -> None:
        """One repeat of all three subjects; repeat 0 trains in prompt order."""
        samples, rng = self.material.samples, generator("updates", self.seed, repeat)
        order = range(len(samples)) if repeat == 0 else rng.permutation(len(samples)).tolist()
        ledger.label = "fine-tuning the model"
        self._keep("model", self.trainee, (self.few, self.zero), samples, self.start, order, rng)
        ledger.label = "fine-tuning random weights"
        network = random_twin(self.trainee.network, seed_of("random weights", self.seed, repeat))
        twin = Trainee(network, cost=self.trainee.cost, between=self.trainee.between)
        self._keep("random_weights", twin, self._both(twin), samples, twin.see(samples), order, rng)
        ledger.label = "fine-tuning on shuffled demonstrations"
        mixed = self.material.shuffled(generator("shuffled", self.seed, repeat))
        seen = self.trainee.see(mixed)
        self._keep("shuffled", self.trainee, (self.few, self.zero), mixed, seen, order, rng)

    def _both(self, trainee: Trainee) -> tuple[Reading, Reading]:
        length = len(self.material.query)
        few = trainee.read(self.material.few_shot, query_length=length, context=self.material.context)
        return few, trainee.read(self.material.zero_shot, query_length=length)

    def _keep(
        self,
        subject: Learner,
        trainee: Trainee,
        readings: tuple[Reading, Reading],
        samples: Sequence[Sample],
        start: Seen,
        order: Sequence[int],
        rng: np.random.Generator,
    ) -> None:
        trained = trainee.tune(samples, rate=self.rate, order=order)
        tuned = trainee.read(self.material.zero_shot, query_length=len(self.material.query), weights=trained.weights)
        precision = torch.finfo(trainee.network.dtype).eps
        values = measures(*readings, tuned, start, trained, rng=rng, precision=precision)
        self.outcomes[subject].append(_Outcome(values, start.loss, trained.loss))

    def report(self, report: UpdatesReport) -> UpdatesReport:
        """The report with the rows of all repeats so far."""
        repeats = len(self.outcomes["shuffled"])
        rows = tuple(_row(measure, subject, self.outcomes[subject]) for measure in LABELS for subject in SUBJECTS)
        tunings = tuple(
            _tuning(subject, outcomes, len(self.material.demos)) for subject, outcomes in self.outcomes.items()
        )
        judged = findings(rows, repeats)
        update = {
            "repeats": repeats,
            "rows": rows,
            "tunings": tunings,
            "findings": judged,
            "conclusion": conclusion(judged),
            "notices": (*report.notices, *notices(rows, tunings, self.rate, self.material)),
        }
        return report.model_copy(update=update)


def updates(
    task: UpdatesTask,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[UpdatesReport]:
    """How like the in-context update of a case is to the update of fine-tuning; one report per repeat.

    Without demonstrations there is one complete report without rows and a notice. Raises `DemoLensError`s with one
    plain sentence for choices that cannot be run, and what `progress` raises; the model's weights are never changed.
    """
    ledger, cost = Ledger(task, model, progress), Cost()
    setting = ledger.set_up(dataset, subject)
    empty = UpdatesReport.model_validate({**setting.head(task), "learning_rate": task.learning_rate})
    if not setting.prompt.demos:
        yield ledger.complete(empty, "There are no demonstrations in the prompt, so there is no update to compare.")
        return
    ledger.label = "reading the prompts"
    ledger.count(cost)
    if model.dtype in ("bfloat16", "float16"):
        notice = f"In {model.dtype} small steps of the fine-tuning are rounded away; float32 shows them."
        empty = empty.model_copy(update={"notices": (*empty.notices, notice)})
    trainee = Trainee(model.network, cost=cost, between=ledger.tell)
    study = _Study(material_of(setting), task.learning_rate, setting.case.seed, trainee)
    for repeat in range(task.repeats):
        study.round(repeat, ledger)
        report = study.report(empty)
        yield ledger.now(report) if repeat < task.repeats - 1 else ledger.complete(report)


def _row(measure: Measure, subject: Learner, outcomes: Sequence[_Outcome]) -> UpdateRow:
    values, baselines = (np.stack([outcome.values[measure][which] for outcome in outcomes]) for which in (0, 1))
    means = [_mean(each) for each in values]
    finite = [mean for mean in means if math.isfinite(mean)] if len(means) > 1 else []
    return UpdateRow(
        measure=measure,
        subject=subject,
        by_layer=tuple(number(_mean(column)) for column in values.T),
        mean=number(_mean(np.array(means))),
        low=min(finite, default=None),
        high=max(finite, default=None),
        baseline_by_layer=tuple(number(_mean(column)) for column in baselines.T),
        baseline=number(_mean(np.array([_mean(each) for each in baselines]))),
    )


def _tuning(subject: Learner, outcomes: Sequence[_Outcome], steps: int) -> TuningRow:
    return TuningRow(
        subject=subject,
        loss_before=float(np.mean([outcome.before for outcome in outcomes])),
        loss_after=float(np.mean([outcome.after for outcome in outcomes])),
        steps=steps,
    )


def notices(rows: Sequence[UpdateRow], tunings: Sequence[TuningRow], rate: float, material: Material) -> Iterator[str]:
    """What a reader should know: a rate that raised the loss, layers without a figure, answers all equal."""
    for row in tunings:
        if row.loss_after > row.loss_before:
            yield (
                f"Fine-tuning {SUBJECTS[row.subject]} at learning rate {rate:g} raised the loss it trains, from "
                f"{row.loss_before:.3f} to {row.loss_after:.3f} nats per token: try a smaller rate."
            )
    undefined: dict[tuple[Measure, str], list[str]] = {}
    for measured in rows:
        layers = ", ".join(str(layer) for layer, value in enumerate(measured.by_layer) if value is None)
        if layers:
            undefined.setdefault((measured.measure, layers), []).append(SUBJECTS[measured.subject])
    for (measure, layers), subjects in undefined.items():
        yield (
            f"{LABELS[measure]} is not defined in layer {layers} for {', '.join(subjects)}: "
            "nothing to compare there changes or varies by more than rounding."
        )
    if len({_answer(material, k) for k in range(len(material.demos))}) == 1:
        yield "The demonstrations have one answer only, so the shuffled control changes just their other tokens."


def _answer(material: Material, demo: int) -> tuple[int, ...]:
    return tuple(material.demos[demo][place] for place in material.answers[demo])


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan

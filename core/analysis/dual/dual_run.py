"""A case's dual model: exact parts of every head, and one head with explicit features trained by gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.analysis.dual.dual_task import Descent, DualReport, DualTask, FeaturePoint, Map, Part
from core.analysis.dual.features import EASY, ExplicitDual, Kernel, descend, errors, explicit, kernel_of, minimum
from core.analysis.dual.parts import Attention, DualParts, Head, dual_parts, ids_of, labels_of, position_in
from core.analysis.ledger import Ledger, silent
from core.analysis.setting import Setting
from core.analysis.subject import Subject
from core.analysis.values import Array
from core.errors import ComputeError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.sweep import Cost
from core.prompt.case_source import CaseSource
from core.prompt.spans import Prompt
from core.question.task import Progress
from core.seeds import generator

LOW, HIGH = 0.1, 0.9
"""Quantiles over feature draws that an error bar shows."""
PARTS_SHARE, CURVE_SHARE = 0.4, 0.8
"""Share of the progress bar behind after the parts, and after the errors over features."""


def dual(
    task: DualTask,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[DualReport]:
    """The exact parts, then the errors of explicit features, then gradient descent; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    _check_head(task, model)
    setting = ledger.set_up(dataset, subject)
    progress("reading every layer's attention", 0.0)
    parts, head = _read(task, setting, progress)
    ledger.count(Cost(tokens=len(ids_of(setting.prompt, setting.targets[0])), forwards=1))
    report = ledger.now(_report(task, setting, parts, head))
    yield report
    kernel = kernel_of(head)
    if kernel is None:
        notice = (
            "This model caps its attention logits, so its heads are not exponential kernels: "
            "random features cannot stand in for them, and the explicit dual model is left out."
        )
        yield ledger.complete(report, notice)
        return
    factor = min(1.0, EASY / kernel.exponent)
    soft = kernel.softened(factor)
    report = report.model_copy(update={"exponent": kernel.exponent, "softening": factor})
    curve = _curve(task, kernel, progress, PARTS_SHARE, "errors of explicit features")
    softened = curve if factor == 1 else _curve(task, soft, progress, 0.6, "errors of explicit features, softened")
    report = ledger.now(report, curve=curve, softened=softened)
    yield report
    if kernel.demos == 0:
        yield ledger.complete(report)
        return
    features = max(task.features)
    model_of_head = explicit(soft, features, generator("features", task.case.seed, features, 0))
    descents = tuple(_descent(model_of_head, task.steps, decay, progress) for decay in (0.0, task.weight_decay))
    yield ledger.complete(report, descents=descents, descent_features=features)


def _check_head(task: DualTask, model: LanguageModel) -> None:
    for name, number, count in (("layer", task.layer, model.layers), ("head", task.head, model.heads)):
        if number is not None and number >= count:
            raise RequestError(
                f"{name} {number} of a model with {count} {name}s",
                expected=f"a number from 0 to {count - 1}",
                where=name,
            )


@dataclass
class _Choice:
    """The head that the task names, or that in which the demonstrations write most among those not ruled out."""

    task: DualTask
    labels: Tensor
    demos: int
    head: Head | None = None
    size: float = -1.0

    def see(self, attention: Attention, outputs: Tensor) -> None:
        """Keep this layer's best head [head, part, width] if it is better than the earlier ones."""
        if self.task.layer not in (None, attention.layer):
            return
        sizes = torch.linalg.vector_norm(outputs[:, : self.demos].sum(dim=1), dim=-1)
        number = int(sizes.argmax()) if self.task.head is None else self.task.head
        if float(sizes[number]) > self.size:
            self.size = float(sizes[number])
            self.head = attention.head(number, self.labels, self.demos)


def _read(task: DualTask, setting: Setting, progress: Progress) -> tuple[DualParts, Head]:
    """Parts of every head, and the chosen head."""
    prompt, model = setting.prompt, setting.model
    candidate, _ = setting.targets
    choice = _Choice(task, labels_of(prompt, candidate), len(prompt.demos))

    def see(attention: Attention, outputs: Tensor) -> None:
        choice.see(attention, outputs)
        progress("reading every layer's attention", PARTS_SHARE * ((attention.layer + 1) / model.layers))

    position_in(len(choice.labels), task.position)
    try:
        parts = dual_parts(model, prompt, candidate, position=task.position, see=see)
    except torch.OutOfMemoryError as error:
        raise ComputeError(
            f"out of memory on {model.device} with one prompt of {len(choice.labels)} tokens",
            expected="a shorter prompt, a smaller model or another device",
        ) from error
    if choice.head is None or not np.isfinite(parts.residual).all():
        raise ComputeError("the model gave attention that is not finite numbers", expected="finite attention")
    return parts, choice.head


def _report(task: DualTask, setting: Setting, parts: DualParts, head: Head) -> DualReport:
    candidate, _ = setting.targets
    norms = np.linalg.norm(parts.outputs, axis=-1)
    place, token = _token(setting.prompt, candidate, parts.position)
    report = DualReport.model_validate(
        {
            **setting.head(task),
            "position": parts.position,
            "token": token,
            "place": place,
            "layer": head.layer,
            "head": head.number,
            "residual": _map(parts.residual),
            "zero_factor": _map(parts.zero_factor),
            "output_norm": _map(np.linalg.norm(parts.outputs.sum(axis=2), axis=-1)),
            "mass": tuple(_map(layer[:, :-1]) for layer in parts.masses),
            "norm": tuple(_map(layer[:, :-1]) for layer in norms),
            "parts": _parts(parts, head),
        }
    )
    return report.model_copy(update={"notices": (*report.notices, *_notices(setting, parts, place))})


def _notices(setting: Setting, parts: DualParts, place: str) -> list[str]:
    notices = []
    if not setting.prompt.demos:
        notices.append("There are no demonstrations in the prompt: attention is W0 alone, and Z_T/Z is 1.")
    if place.startswith("D"):
        notices.append(
            f"The token lies inside {place}: that part is what it reads of its own demonstration so far, "
            "and later demonstrations are out of its sight."
        )
    if setting.model.dtype not in ("float32", "float64"):
        notices.append(f"The model runs in {setting.model.dtype}: the residual is the rounding of its own attention.")
    if parts.sink_masses.any():
        notices.append("This model has attention sinks, keys without a value: they count to Z_T.")
    return notices


def _token(prompt: Prompt, candidate: int, position: int) -> tuple[str, str]:
    """The span a token stands in, and its text."""
    for span in (*prompt.prefix, prompt.candidates[candidate]):
        if position < len(span.token_ids):
            first, last = span.offsets[position]
            return f"D{span.index + 1}" if span.kind == "demo" else span.kind, span.text[first:last]
        position -= len(span.token_ids)
    raise IndexError("no such token")


def _parts(parts: DualParts, head: Head) -> tuple[Part, ...]:
    """W0 first, then the demonstrations."""
    outputs, masses = parts.outputs[head.layer, head.number], parts.masses[head.layer, head.number]
    whole = outputs.sum(axis=0)
    size = float(np.linalg.norm(whole))
    rows = []
    for part in (head.demos, *range(head.demos)):
        norm, along = float(np.linalg.norm(outputs[part])), float(outputs[part] @ whole)
        rows.append(
            Part(
                label="W0" if part == head.demos else f"D{part + 1}",
                norm=norm,
                cosine=along / (norm * size) if norm > 0 and size > 0 else None,
                share=along / size**2 if size > 0 else None,
                mass=float(masses[part]),
            )
        )
    return tuple(rows)


def _curve(task: DualTask, kernel: Kernel, progress: Progress, behind: float, label: str) -> tuple[FeaturePoint, ...]:
    """Errors over the numbers of features, smallest first."""
    points = []
    counts = sorted(set(task.features))
    for done, features in enumerate(counts):
        share = behind + 0.2 * done / len(counts)
        sampled = errors(
            kernel,
            features,
            draws=task.draws,
            seed=task.case.seed,
            between=partial(progress, label, share),
        )
        low, middle, high = np.quantile(sampled, [LOW, 0.5, HIGH]).tolist()
        points.append(FeaturePoint(features=features, error=middle, low=low, high=high))
    return tuple(points)


def _descent(dual: ExplicitDual, steps: int, decay: float, progress: Progress) -> Descent:
    """Losses in units of |sum of dW_k|^2 / eta, the fall of the plain loss in one step."""
    unit = _fall(dual)
    losses, distances = [], []
    for done, step in enumerate(descend(dual, steps=steps, decay=decay)):
        progress("gradient descent on the demonstrations", CURVE_SHARE + 0.1 * (done / steps + (decay > 0)))
        losses.append(step.loss / unit)
        distances.append(dual.error(step.weights))
    lowest = minimum(dual, decay=decay)
    return Descent(
        weight_decay=decay,
        loss=tuple(losses),
        error=tuple(distances),
        limit_error=None if lowest is None else dual.error(lowest),
        limit_loss=None if lowest is None else -1 / (2 * decay),
    )


def _fall(dual: ExplicitDual) -> float:
    total = sum(dual.update(label) for label in range(dual.kernel.demos))
    return float(torch.as_tensor(total).square().sum()) or 1.0


def _map(values: Array) -> Map:
    return tuple(tuple(float(value) for value in row) for row in values)

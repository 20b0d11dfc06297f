"""One session of a tuning run: steps, validations, checkpoints, and when to stop.

Everything that a step does follows from the settings, the step's number and the state before it; so a run that was
killed and went on from a checkpoint ends with the same weights, bit for bit on a CPU, as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.errors import ComputeError
from core.prompt.codes import Codes
from core.question.task import Progress
from core.seeds import seed_of
from core.tuning.training.batches import TrainingSet
from core.tuning.training.card import Point
from core.tuning.training.checkpoint import Checkpoints, TrainingState
from core.tuning.training.objectives import TrainingObjective, ValidationFigures
from core.tuning.training.processes import Processes
from core.tuning.training.start import Start, copy_weights
from core.tuning.training.training_settings import TuningSettings

POINT_EVERY = 10
"""Steps between points of the curve that hold the training loss alone."""
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of each parameter."""


@dataclass
class TrainingRun:
    """The parameters that are trained, and the state of the run."""

    settings: TuningSettings
    examples: TrainingSet
    network: Any
    wrapped: Any
    """The network behind PEFT; None where all weights are learned."""
    weights: dict[str, Tensor]
    """Parameters that are trained, by their names in the network."""
    optimiser: torch.optim.AdamW
    objective: TrainingObjective[Any]
    codes: Codes | None
    """What the prompts say about users and items, if anything."""
    start: Start | None
    """The adapter that it began from; None where it began from the model alone."""
    processes: Processes
    checkpoints: Checkpoints
    progress: Progress
    state: TrainingState = field(default_factory=TrainingState)
    best: dict[str, Tensor] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    resumed: TrainingState = field(default_factory=TrainingState)
    """Where this session began."""

    @property
    def seconds(self) -> float:
        """Of all sessions until now."""
        return self.resumed.seconds + time.monotonic() - self.started

    def train(self) -> None:
        """Make the steps that are left, until there is a reason to stop; then `weights` holds the result."""
        if self.state.step == 0 and not self.state.curve:
            self._add_point(validate=True)
        while self.state.stop is None:
            self._step()
            done = self.state.step == self.examples.steps
            due = done or self.state.step % self.settings.evaluate_every == 0
            if due or self.state.step % POINT_EVERY == 0:
                self._add_point(validate=due)
            stale = self.state.stale >= self.settings.patience
            self._update(stop="steps" if done else "patience" if stale else None)
            late = self._is_over_time()
            if late or self.state.stop is not None or self.state.step % self.settings.checkpoint_every == 0:
                self._save()
            if late and self.state.stop is None:  # Not in the checkpoint: with more minutes it goes on from there.
                if not due:
                    self._add_point(validate=True)
                self._update(stop="minutes")
        if self.best and self.settings.keep == "best":
            copy_weights(self.weights, self.best)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, or from the start where there is none."""
        checkpoint = self.checkpoints.latest()
        torch.manual_seed(seed_of("tuning", self.settings.seed))
        if checkpoint is None:
            return
        copy_weights(self.weights, _stored(checkpoint.tensors, "weight"))
        self.best = _stored(checkpoint.tensors, "best")
        moments = {kind: _stored(checkpoint.tensors, kind) for kind in MOMENTS}
        for name, parameter in self.weights.items():
            self.optimiser.state[parameter] = {
                kind: named[name].to("cpu" if kind == "step" else parameter.device) for kind, named in moments.items()
            }
        torch.set_rng_state(checkpoint.tensors["random/cpu"])
        if "random/cuda" in checkpoint.tensors and self.network.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint.tensors["random/cuda"])
        self.state = self.resumed = checkpoint.state

    def _step(self) -> None:
        """One update of the weights from one batch."""
        step = self.state.step
        pieces = self.objective.batch(step)
        total = sum(map(self.objective.weight, pieces))
        loss = torch.zeros((), dtype=torch.float64)
        self.network.train()
        for group in self.objective.groups(self.network, self.processes.share(pieces)):
            self.progress(self._label(), step / self.examples.steps)
            part = self.objective.loss(self.network, group) / total
            torch.autograd.backward(part)
            loss += part.detach().double().cpu()
        self.network.eval()
        value = float(self.processes.total(loss))
        self.processes.add_gradients(self.weights.values())
        length = float(torch.nn.utils.clip_grad_norm_(self.weights.values(), self.settings.clip))
        if not math.isfinite(value) or not math.isfinite(length):
            raise ComputeError(
                f"the loss or its gradient is not a finite number in step {step + 1}", expected="a lower learning_rate"
            )
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate(step, self.examples.steps, self.settings)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._update(step=step + 1, loss=self.state.loss + value)

    def _add_point(self, *, validate: bool) -> None:
        """Add a point to the curve, validated where `validate` says so, and keep the best weights."""
        curve, mean = self.state.curve, None
        if curve and curve[-1].step == self.state.step:  # Its loss is there already; the validation joins it.
            curve, mean = curve[:-1], curve[-1].loss
        elif curve:
            mean = self.state.loss / (self.state.step - curve[-1].step)
        judged = self._validate() if validate and self.objective.validation else None
        point = Point(
            step=self.state.step,
            loss=mean,
            learning_rate=rate(max(0, self.state.step - 1), self.examples.steps, self.settings),
            validation_auc=None if judged is None else judged.auc,
            validation_loss=None if judged is None else judged.loss,
            validation_ndcg=None if judged is None else judged.ndcg,
            validation_gain=None if judged is None else judged.gain,
            demo_attention=None if judged is None else judged.attention,
            demo_effect=None if judged is None else judged.effect,
            seconds=self.seconds,
        )
        self._update(curve=(*curve, point), loss=0.0)
        if judged is not None and self.state.step > 0:
            self._compare(judged.result)

    def _compare(self, result: float) -> None:
        """Keep the weights if no validation before them was as good."""
        if self.state.best is not None and result <= self.state.best:
            self._update(stale=self.state.stale + 1)
            return
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.weights.items()}
        self._update(best=result, best_step=self.state.step, stale=0)

    @torch.no_grad()
    def _validate(self) -> ValidationFigures:
        """The figures of all validation rows, each process scoring its share."""
        rows = self.objective.validation
        places = self.processes.share(range(len(rows)))
        place_of = {id(rows[place]): place for place in places}
        table = torch.zeros(self.objective.figures, len(rows), dtype=torch.float64)
        for group in self.objective.groups(self.network, [rows[place] for place in places]):
            self.progress(f"validating, {self._label()}", self.state.step / self.examples.steps)
            table[:, [place_of[id(row)] for row in group]] = torch.from_numpy(
                self.objective.results(self.network, group)
            )
        results = self.processes.total(table)
        if not bool(torch.isfinite(results).all()):
            raise ComputeError("a validation score is not a finite number", expected="a lower learning_rate")
        return self.objective.judgement(results.numpy())

    def _is_over_time(self) -> bool:
        """Whether the time is up by the first process's clock."""
        over = self.settings.minutes is not None and self.seconds > 60 * self.settings.minutes
        flag = torch.tensor(1.0 if over and self.processes.is_first else 0.0)
        return float(self.processes.total(flag)) > 0

    def _save(self) -> None:
        if not self.processes.is_first:
            return
        tensors = {f"weight/{name}": tensor.detach() for name, tensor in self.weights.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for name, tensor in self.weights.items():
            tensors |= {f"{kind}/{name}": self.optimiser.state[tensor][kind] for kind in MOMENTS}
        tensors["random/cpu"] = torch.get_rng_state()
        if self.network.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state()
        self.checkpoints.save(self.state.model_copy(update={"seconds": self.seconds}), tensors)

    def _label(self) -> str:
        """Where the run stands, and how long the steps that are left will take at this session's pace."""
        step, steps = self.state.step, self.examples.steps
        words = f"step {min(step + 1, steps)} of {steps}"
        latest = next((point.loss for point in reversed(self.state.curve) if point.loss is not None), None)
        words += "" if latest is None else f", loss {latest:.3f}"
        steps_run = step - self.resumed.step
        if not steps_run:
            return words
        left = (steps - step) * (time.monotonic() - self.started) / steps_run
        return f"{words}, about {left / 60:.0f} min left" if left >= 90 else f"{words}, about {left:.0f} s left"

    def _update(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)


def rate(step: int, steps: int, settings: TuningSettings) -> float:
    """The learning rate of a step, counted from 0: in a line up to the highest, then half a cosine down to 0."""
    rising = round(settings.warm_up * steps)
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _stored(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors under `kind/`, by the rest of their names."""
    return {name[len(kind) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{kind}/")}

"""The ledger of one run: its scorers, what they cost, how far the run is, and how its report begins and ends."""

from __future__ import annotations

import time
from typing import TypeVar

from core.analysis.setting import Setting, set_up
from core.analysis.subject import Subject
from core.analysis.values import Array
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.lm.scoring.sweep import Aggregate, Cost
from core.prompt.case_source import CaseSource
from core.prompt.spans import Prompt
from core.question.case_spec import CaseSpec
from core.question.task import Progress, Report, Task

R = TypeVar("R", bound=Report)
PICKING_SHOWN = 0.01
"""Share of the work that a run says is behind while the model picks its demonstrations."""
MOST_SHOWN = 0.99
"""Largest share of the work that a run says is behind while it goes on, however small its plan was."""


def silent(_label: str, _fraction: float) -> None:
    """The progress of a run that nobody watches."""


def aggregate_of(spec: CaseSpec) -> Aggregate:
    """How the log-probabilities of a title's tokens become one number."""
    return "mean" if spec.scoring == "mean" else "sum"


class Ledger:
    """Counts what the scorers of one run cost, and says how far the run is between their forward passes."""

    def __init__(self, task: Task, model: LanguageModel, progress: Progress) -> None:
        self.task, self.model, self.progress = task, model, progress
        self.planned = task.predicted_passes
        self.label = "preparing"
        self.unit = 1
        """Tokens of one full pass: those of the case's prompt."""
        self.picking_tokens = 0
        """Tokens that picking demonstrations has cost."""
        self._open: list[Cost] = []
        self._forwards, self._passes = 0, 0.0
        self._start = time.monotonic()

    def set_up(self, dataset: CaseSource, subject: Subject | None = None) -> Setting:
        """The task's setting, whose prompt is the unit of cost."""
        cost = Cost()
        setting = set_up(self.task, dataset, self.model, subject, cost=cost, between=self.tell_picking)
        self.unit = setting.prompt.length
        self.planned = self.task.sized(len(setting.demos), len(setting.case.candidates)).predicted_passes
        self.count_picking(cost)
        return setting

    def tell_picking(self) -> None:
        """Say that the model picks demonstrations; the prompt that cost is counted in is not there yet."""
        self.progress("the model picks the demonstrations", PICKING_SHOWN)

    def count_picking(self, cost: Cost) -> None:
        """Count what picking demonstrations has cost, which no task predicts."""
        self.planned += cost.tokens / self.unit
        self.picking_tokens += cost.tokens
        self.count(cost)

    def next_case(self, setting: Setting) -> None:
        """Count from now on in passes over another case's prompt."""
        self._forwards, self._passes, self._open = self.forwards, self.passes, []
        self.unit = setting.prompt.length

    # ---- scorers

    def scorer(self, prompt: Prompt, model: LanguageModel | None = None) -> Scorer:
        """A scorer of one prompt whose cost is counted."""
        scorer = Scorer(model or self.model, prompt, aggregate=aggregate_of(self.task.case), between=self.tell)
        self.count(scorer.cost)
        return scorer

    def sweep(self) -> ManyScorer:
        """A scorer of many prompts whose cost is counted."""
        scorer = ManyScorer(self.model, aggregate=aggregate_of(self.task.case), between=self.tell)
        self.count(scorer.cost)
        return scorer

    def stream(self, model: LanguageModel) -> StreamScorer:
        """A scorer of prompts that grow, whose cost is counted."""
        scorer = StreamScorer(model, aggregate=aggregate_of(self.task.case), between=self.tell)
        self.count(scorer.cost)
        return scorer

    def count(self, cost: Cost) -> None:
        """Count a cost that grows elsewhere."""
        self._open.append(cost)

    def content_free(self, setting: Setting) -> Array | float:
        """Scores [candidate] under a prompt without any history, for calibrated scoring; else 0."""
        if not setting.spec.calibrated:
            return 0.0
        return self.scorer(setting.content_free()).full()

    # ---- cost

    @property
    def forwards(self) -> int:
        """Forward passes so far."""
        return self._forwards + sum(cost.forwards for cost in self._open)

    @property
    def passes(self) -> float:
        """Full-prompt forward equivalents so far."""
        return self._passes + sum(cost.tokens for cost in self._open) / self.unit

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def tell(self) -> None:
        """Say how far the run is; raises `Cancelled` where somebody stopped it."""
        self.progress(self.label, min(self.passes / self.planned, MOST_SHOWN))

    # ---- reports

    def spent(self) -> dict[str, object]:
        """The cost fields of a report."""
        return {"forwards": self.forwards, "passes": self.passes, "seconds": self.seconds}

    def now(self, report: R, **fields: object) -> R:
        """The report with `fields`, as far as the run is."""
        return report.model_copy(update=self.spent() | fields)

    def complete(self, report: R, *notices: str, **fields: object) -> R:
        """The last report of the run, with what a reader must know besides."""
        return self.now(report, stage="complete", notices=(*report.notices, *notices), **fields)

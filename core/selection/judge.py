"""Scores of sets of demonstrations on the held-out choices, by the model, and what scoring them costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from core.analysis.ledger import aggregate_of
from core.analysis.noise import DEVIATIONS
from core.analysis.setting import Setting
from core.analysis.subject import items_of
from core.data.records import Demonstration, Item
from core.lm.scoring.many import ManyScorer, sweep_tokens
from core.lm.scoring.sweep import Cost
from core.metrics.intervals import Floats
from core.prompt.spans import Prompt
from core.selection.heldout import HeldOut, prediction_score
from core.selection.improve_task import ObjectiveNoise
from core.selection.members import Member
from core.selection.objectives import Objective
from core.selection.search import MemberOrder, Question, rotated

REPEATS = 5
"""Judgements of the empty set that a server's noise is measured by."""


class PromptJudge:
    """Scores sets with a model; all prompts of one call are one sweep, so what they share is run once.

    `unit` is the tokens of one full prompt. `between` is called before every pass and may raise `Cancelled`.
    """

    def __init__(
        self,
        setting: Setting,
        held: Sequence[HeldOut],
        members: Sequence[Member],
        *,
        objective: Objective,
        unit: int,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.setting, self.held, self.members, self.objective, self.unit = setting, held, members, objective, unit
        self.spec = setting.spec
        self._scorer = ManyScorer(setting.model, aggregate=aggregate_of(self.spec), between=between)
        self.items = _items_of(setting, held, members)
        """Every item that the choices or what they show name, by id."""
        self._prompts: dict[tuple[Question, int], Prompt] = {}
        self._free: Floats | None = None
        self.repeated = 0.0
        """Full-prompt forward equivalents that measuring a server's noise took."""

    @property
    def cost(self) -> Cost:
        """What its prompts cost; grows."""
        return self._scorer.cost

    @property
    def spent(self) -> float:
        """Full-prompt forward equivalents really run so far."""
        return self._scorer.cost.tokens / self.unit

    @property
    def forwards(self) -> int:
        """Prompts scored so far."""
        return self._scorer.cost.forwards

    def demos(self, order: MemberOrder, choice: int) -> tuple[Demonstration, ...]:
        """What the prompt of held-out choice number `choice` shows of a set, each interaction at most once."""
        demos = [demo for member in order if (demo := self.members[member].then[choice]) is not None]
        latest = {(demo.user_id, demo.position): place for place, demo in enumerate(demos)}
        return tuple(demo for place, demo in enumerate(demos) if latest[demo.user_id, demo.position] == place)

    def passes(self, questions: Sequence[Question]) -> float:
        """What scoring these together costs, in full-prompt forward equivalents; exact."""
        return sweep_tokens([*self._content_free(), *self._all(questions)]) / self.unit

    def scores(self, questions: Sequence[Question]) -> Floats:
        """Held-out scores [question, held-out choice], higher is better; see `ask`."""
        pairs = [(question, choice) for question in questions for choice in range(len(self.held))]
        return self.ask(pairs).reshape(len(questions), len(self.held))

    def ask(self, pairs: Sequence[tuple[Question, int]]) -> Floats:
        """Scores [pair] of questions to one choice each, by number; see `prediction_score`. Raises `ComputeError`."""
        free = self._content_free()
        table = self._scorer.scores([*free, *(self._written(question, choice) for question, choice in pairs)])
        if self._free is None:
            self._free = table[: len(free)] if free else np.zeros((len(self.held), table.shape[1]))
        return np.array([self._value(row, choice) for row, (_, choice) in zip(table[len(free) :], pairs, strict=True)])

    def _value(self, scores: Floats, choice: int) -> float:
        assert self._free is not None
        return prediction_score(scores - self._free[choice], self.held[choice], self.spec.family, self.objective)

    def _all(self, questions: Sequence[Question]) -> list[Prompt]:
        return [self._written(question, choice) for question in questions for choice in range(len(self.held))]

    def _written(self, question: Question, choice: int) -> Prompt:
        if (question, choice) not in self._prompts:
            self._prompts[question, choice] = self._prompt(question, choice)
        return self._prompts[question, choice]

    def _prompt(self, question: Question, choice: int) -> Prompt:
        held, order = self.held[choice], question.order
        if not question.changed:
            return self.setting.write(held.case, self.demos(order, choice), items=self.items)
        if choice % 2:
            return self.setting.write(held.shortened, self.demos(order, choice), items=self.items)
        return self.setting.write(held.case, self.demos(rotated(order), choice), items=self.items)

    def _content_free(self) -> list[Prompt]:
        """The prompts that calibrated scores are held against, until they have been scored."""
        missing = self.spec.calibrated and self._free is None
        cases = [held.case for held in self.held] if missing else []
        return [self.setting.content_free(case, items=self.items) for case in cases]


def objective_noise(judge: PromptJudge) -> ObjectiveNoise:
    """What `REPEATS` judgements of the empty set say of the noise of a difference of two sets' mean scores."""
    before = judge.spent
    means = np.array([judge.scores([Question(())]).mean() for _ in range(REPEATS)])
    judge.repeated += judge.spent - before
    deviation = float(means.std(ddof=1))
    return ObjectiveNoise(
        repeats=REPEATS, deviation=deviation, floor=max(DEVIATIONS * math.sqrt(2) * deviation, float(np.ptp(means)))
    )


def _items_of(setting: Setting, held: Sequence[HeldOut], members: Sequence[Member]) -> dict[str, Item]:
    """Every item that the choices or what they show name, by id."""
    shown = {demo.demo_id: demo for member in members for demo in (member.here, *member.then) if demo is not None}
    items = items_of(setting.dataset, setting.case, tuple(shown.values()))
    for choice in held:
        items |= items_of(setting.dataset, choice.case, ())
    return items

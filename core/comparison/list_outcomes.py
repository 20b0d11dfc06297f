"""What each arm makes of each list: how high the item really chosen stands, and what the prompt costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.analysis.prompt_reader import PromptReader
from core.analysis.setting import prompt_of, reader_for
from core.analysis.subject import demonstrations_for, item_ids
from core.comparison.arm import Arm
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration
from core.lm.loading.load import LanguageModel
from core.metrics.intervals import Floats
from core.metrics.ranking import expected_ndcg, ranks
from core.prompt.families import Family
from core.prompt.spans import Prompt
from core.question.case_spec import CaseSpec, Scoring
from core.tuning.evaluation.evaluation_plan import ScoreCache, scores_of, uncached


@dataclass(frozen=True)
class ListOutcome:
    """One list under one arm."""

    ndcg: Mapping[Scoring, float]
    """NDCG@10 of the item really chosen."""
    rank: Mapping[Scoring, float]
    """Its place, 1 is best; equal scores share the middle of their places."""
    shows_target: bool
    """Whether a demonstration shows the item really chosen, as its item or in its history."""
    demos: int
    """Demonstrations in the prompt."""
    tokens: int
    """Tokens of the prompt with its longest candidate."""
    scores: Mapping[Scoring, tuple[float, ...]]
    """Scores of the model, [candidate]."""


@dataclass
class ListOutcomes:
    """The outcomes of arms on lists so far; what was scored before is not scored again."""

    dataset: Dataset
    models: Mapping[str | None, LanguageModel]
    """By adapter."""
    history: int
    dataset_name: str = "sample"
    model_name: str = "sample"
    cache: ScoreCache = uncached
    between: Callable[[str], None] = lambda _: None
    tokens: int = 0
    """Tokens that went through the models."""
    seconds: float = 0.0
    by_arm: dict[Arm, dict[Case, ListOutcome]] = field(default_factory=dict)
    _readers: dict[tuple[str | None, Family], PromptReader] = field(default_factory=dict)

    def measure(self, arms: Iterable[Arm], lists: Sequence[Case]) -> None:
        """Score what is missing of these arms on these lists, list by list."""
        for case in lists:
            for arm in arms:
                outcomes = self.by_arm.setdefault(arm, {})
                if case not in outcomes:
                    self.between(arm.name)
                    outcomes[case] = self._outcome(arm, case)

    def column(self, arm: Arm, lists: Sequence[Case], value: Callable[[ListOutcome], float]) -> Floats:
        """A figure of each list under an arm; shape (lists,)."""
        return np.array([value(self.by_arm[arm][case]) for case in lists], dtype=np.float64)

    def shows_target(self, arm: Arm, lists: Sequence[Case]) -> NDArray[np.bool_]:
        """Whether a demonstration shows the item really chosen; shape (lists,)."""
        return np.array([self.by_arm[arm][case].shows_target for case in lists], dtype=bool)

    def _outcome(self, arm: Arm, case: Case) -> ListOutcome:
        spec = arm.spec(self.dataset_name, self.model_name, self.history)
        demos = self._picked(arm, spec, case)
        prompt = self._prompt(arm, case, demos, self.history)
        totals = self._scores(arm, prompt)
        target = case.candidates.index(str(case.target))
        scores = {scoring: self._scored(arm, case, prompt, totals, scoring) for scoring in arm.scorings}
        return ListOutcome(
            ndcg={scoring: expected_ndcg(each, target) for scoring, each in scores.items()},
            scores={scoring: tuple(each.tolist()) for scoring, each in scores.items()},
            rank={scoring: float(ranks(each)[target]) for scoring, each in scores.items()},
            shows_target=any(case.target in (demo.item_id, *demo.history) for demo in demos),
            demos=len(prompt.demos),
            tokens=prompt.length,
        )

    def _picked(self, arm: Arm, spec: CaseSpec, case: Case) -> tuple[Demonstration, ...]:
        """The arm's demonstrations; what the model reads to pick them counts as tokens."""
        key = (arm.adapter, arm.family)
        if key not in self._readers:
            self._readers[key] = reader_for(spec, self.dataset, self.models[arm.adapter])
        reader = self._readers[key]
        before = reader.cost.tokens
        demos = demonstrations_for(spec, self.dataset, case, reader)
        self.tokens += reader.cost.tokens - before
        return demos

    def _scored(self, arm: Arm, case: Case, prompt: Prompt, totals: Floats, scoring: Scoring) -> Floats:
        if scoring == "mean":
            return np.asarray(totals / [len(span.token_ids) for span in prompt.candidates])
        if scoring == "calibrated":
            return np.asarray(totals - self._scores(arm, self._prompt(arm, case, (), 0)))
        return totals

    def _prompt(self, arm: Arm, case: Case, demos: tuple[Demonstration, ...], history: int) -> Prompt:
        spec = arm.spec(self.dataset_name, self.model_name, history)
        items = self.dataset.items(item_ids(case, demos))
        return prompt_of(spec, self.dataset, self.models[arm.adapter], case, demos, items)

    def _scores(self, arm: Arm, prompt: Prompt) -> Floats:
        """Summed scores [candidate]."""
        record = scores_of(self.models[arm.adapter], [prompt], self.cache)
        self.tokens += record["tokens"]
        self.seconds += record["seconds"]
        return np.array(record["scores"][0], dtype=np.float64)

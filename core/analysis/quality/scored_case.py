"""The scores of one case's demonstrations that are held against their true use, higher is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.analysis.quality.quality_task import GainMethod
from core.analysis.quality.quality_work import scored_setting
from core.analysis.quality.score_rows import UTILITY_SCORES, UtilityScore
from core.analysis.quality.scores import LabelFree, alignment, gain, label_free, redundancy
from core.analysis.setting import Setting
from core.analysis.values import Array, TargetScore
from core.lm.scoring.score import Scorer

ScorerOf = Callable[[Setting], Scorer]
"""Makes a scorer of a setting's prompt whose cost is counted."""


def _no_scorer(_setting: Setting) -> Scorer:
    raise AssertionError("a floor knows nothing of the model")


@dataclass(frozen=True)
class ScoredCase:
    """A setting, and the scores of its demonstrations, [demo] each; scores that share a pass run it once."""

    setting: Setting
    scorer_of: ScorerOf = _no_scorer

    @cached_property
    def _score(self) -> TargetScore:
        return TargetScore(self._scorer, self.setting.targets[0])

    @cached_property
    def _scorer(self) -> Scorer:
        return self.scorer_of(self.setting)

    @cached_property
    def _proxy(self) -> tuple[Setting, TargetScore] | None:
        """The setting with the proxy target, and its score; None where there is none."""
        held = scored_setting(self.setting, proxy=True)
        return None if held is None else (held, TargetScore(self.scorer_of(held), held.targets[0]))

    @property
    def gain(self) -> Array:
        """Gain by one gradient towards the true target."""
        return gain(self._score).values

    def proxy_gain(self, method: GainMethod) -> Array:
        """Gain towards the proxy target; nan without one, and for a demonstration cut for room."""
        gains = np.full(len(self.setting.prompt.demos), np.nan)
        if self._proxy is not None:
            held, score = self._proxy
            gains[list(held.prompt.kept_demos)] = gain(score, method=method).values
        return gains

    @cached_property
    def free(self) -> LabelFree:
        """The pass without a target."""
        return label_free(self._scorer)

    @property
    def redundancy(self) -> Array:
        """Largest cosine with another demonstration."""
        return redundancy(self.free.gram.cosines)[0]

    @property
    def alignment(self) -> Array:
        """Alignment with the true target's gradient."""
        return alignment(self._score).values


def quality_scores(setting: Setting, scorer_of: ScorerOf) -> Mapping[UtilityScore, Array]:
    """Every score of a prompt's demonstrations that is no floor, [demo] each."""
    case = ScoredCase(setting, scorer_of)
    return {row.name: row.function(case) for row in UTILITY_SCORES if not row.is_floor}


def floors(setting: Setting) -> Mapping[UtilityScore, Array]:
    """Scores that know nothing of the model, [demo] each."""
    case = ScoredCase(setting)
    return {row.name: row.function(case) for row in UTILITY_SCORES if row.is_floor}

"""The scores of one case's demonstrations that are held against their true use, higher is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from core.analysis.quality.quality_task import GainMethod
from core.analysis.quality.quality_work import scored_setting
from core.analysis.quality.score_rows import UTILITY_SCORES, UtilityScore
from core.analysis.quality.scores import (
    LabelFree,
    alignment,
    gain,
    label_free,
    length_scores,
    position_scores,
    random_scores,
    redundancy,
)
from core.analysis.setting import Setting
from core.analysis.values import Array, TargetScore
from core.lm.scoring.score import Scorer

ScorerOf = Callable[[Setting], Scorer]
"""Makes a scorer of a setting's prompt whose cost is counted."""


class ScoredCase:
    """A setting, and the passes over it that its scores share."""

    def __init__(self, setting: Setting, scorer_of: ScorerOf) -> None:
        self.setting, self.scorer_of = setting, scorer_of

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer of the prompt."""
        return self.scorer_of(self.setting)

    @cached_property
    def score(self) -> TargetScore:
        """The score of the true target."""
        return TargetScore(self.scorer, self.setting.targets[0])

    @cached_property
    def free(self) -> LabelFree:
        """The pass without a target."""
        return label_free(self.scorer)

    @cached_property
    def proxy(self) -> tuple[Setting, TargetScore] | None:
        """The setting with the proxy target, and its score; None where there is none."""
        held = scored_setting(self.setting, proxy=True)
        return None if held is None else (held, TargetScore(self.scorer_of(held), held.targets[0]))

    def proxy_gain(self, method: GainMethod) -> Array:
        """Gain towards the proxy target, [demo]; nan without one, and for a demonstration cut for room."""
        gains = np.full(len(self.setting.prompt.demos), np.nan)
        if self.proxy is not None:
            held, score = self.proxy
            gains[list(held.prompt.kept_demos)] = gain(score, method=method).values
        return gains


def quality_scores(setting: Setting, scorer_of: ScorerOf) -> Mapping[UtilityScore, Array]:
    """Every score of a prompt's demonstrations that is no floor, [demo] each."""
    case = ScoredCase(setting, scorer_of)
    return {row.name: row.function(case) for row in UTILITY_SCORES if not row.is_floor}


def floors(setting: Setting) -> Mapping[UtilityScore, Array]:
    """Scores that know nothing of the model, [demo] each."""
    return {row.name: row.function(setting) for row in UTILITY_SCORES if row.is_floor}


def gain_of_target(case: ScoredCase) -> Array:
    """Gain by one gradient towards the true target."""
    return gain(case.score).values


def gain_of_proxy_by_deletion(case: ScoredCase) -> Array:
    """Gain towards the proxy target, each demonstration deleted from the text."""
    return case.proxy_gain("leave_one_out")


def gain_of_proxy_by_gradient(case: ScoredCase) -> Array:
    """Gain towards the proxy target by one gradient."""
    return case.proxy_gain("gradient")


def effect(case: ScoredCase) -> Array:
    """Energy of the equivalent gradient."""
    return case.free.gram.energy


def alignment_with_target(case: ScoredCase) -> Array:
    """Alignment with the true target's gradient."""
    return alignment(case.score).values


def low_redundancy(case: ScoredCase) -> Array:
    """Minus the redundancy."""
    return -redundancy(case.free.gram.cosines)[0]


def random_floor(setting: Setting) -> Array:
    """A random number, fixed by the case."""
    case = setting.case
    return random_scores(len(setting.prompt.demos), case.dataset_id, case.user_id, case.split, case.seed)


def length_floor(setting: Setting) -> Array:
    """The length in tokens."""
    return length_scores(setting.prompt)


def position_floor(setting: Setting) -> Array:
    """The place in the prompt."""
    return position_scores(setting.prompt)

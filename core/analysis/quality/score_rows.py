"""The quality scores of demonstrations: a row each, with its words, unit, cost and function; needs no torch.

A new score is a function in a file of its own and a row here: of a `QualityWork` for a column of the quality report,
of a `ScoredCase` for a score that is held against the true use. `function_at("module:name")` imports it on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.prompt.spans import Prompt
from core.seeds import generator

if TYPE_CHECKING:
    from core.analysis.quality.quality_task import QualityTask
    from core.analysis.quality.quality_work import Measured, QualityWork
    from core.analysis.quality.scored_case import ScoredCase
    from core.analysis.values import Array

QualityScore = Literal["gain", "effect", "alignment", "redundancy", "stability"]
UtilityScore = Literal[
    "gain", "gain_proxy", "gain_proxy_gradient", "effect", "alignment", "redundancy", "random", "length", "position"
]
Truth = Literal["removal_score", "removal_ndcg", "addition_score", "addition_ndcg"]
GRADIENT = 3.0
"""Full-prompt forward equivalents of one forward and one backward pass."""


def function_at(place: str) -> Callable[..., Any]:
    """The function `module:name` below `core.analysis.quality`, imported when it is called."""
    module, _, name = place.partition(":")
    return lambda *values: getattr(import_module(f"core.analysis.quality.{module}"), name)(*values)


# ---- scores of one prompt


def _gradient_passes(task: QualityTask) -> float:
    """One forward and one backward pass with every candidate, each about 0.02 of the prompt."""
    return GRADIENT * (1 + 0.02 * task.case.candidate_count)


def _gain_passes(task: QualityTask) -> float:
    """Cost of the gain; a list of candidates without a target may lack the item chosen, and a proxy stands in then."""
    deletion, gradient = 1 + task.case.demo_count / 2, _gradient_passes(task)
    may_be_proxy = task.proxy or (task.case.candidate_ids is not None and task.target is None)
    return {
        "auto": max(deletion, gradient) if may_be_proxy else gradient,
        "gradient": gradient,
        "leave_one_out": deletion,
        "default": max(task.budget, gradient),
    }[task.gain_method]


@dataclass(frozen=True)
class QualityScoreRow:
    """A score of a prompt's demonstrations; its name is that of a field of `QualityRow`."""

    name: QualityScore
    unit: str
    label: str
    """What the run says while it measures the score."""
    function: Callable[[QualityWork], Measured] | None
    """None where another score's function gives this one too."""
    passes: Callable[[QualityTask], float]
    """Full-prompt forward equivalents."""
    needs_target: bool = True
    shared_with: QualityScore | None = None
    """The score whose function gives this one too, in the same pass."""
    applies: Callable[[QualityTask], bool] = lambda _task: True
    """Whether the task's choices ask for it."""
    needs_weights: bool = True
    """Whether it reads gradients or keys and values, which a server does not give."""


QUALITY_SCORES = (
    QualityScoreRow(
        "gain",
        "nats",
        "computing gains",
        function_at("measures:measured_gain"),
        _gain_passes,
        needs_weights=False,
    ),
    QualityScoreRow(
        "effect",
        "ln of energy",
        "reading the demonstrations' equivalent gradients",
        function_at("measures:measured_label_free"),
        lambda _task: 1.0,
        needs_target=False,
    ),
    QualityScoreRow(
        "alignment",
        "cosine",
        "aligning with the margin's gradient",
        function_at("measures:measured_alignment"),
        _gradient_passes,
    ),
    QualityScoreRow("redundancy", "cosine", "", None, lambda _task: 0.0, needs_target=False, shared_with="effect"),
    QualityScoreRow(
        "stability",
        "share",
        "perturbing the prompt",
        function_at("measures:measured_stability"),
        lambda task: _gradient_passes(task) * task.stability,
        applies=lambda task: task.stability > 0,
    ),
)


# ---- scores held against the true use of demonstrations


@dataclass(frozen=True)
class UtilityScoreRow:
    """A score that is held against what demonstrations are worth, higher is better."""

    name: UtilityScore
    words: str
    """On the screen."""
    definition: str
    function: Callable[[ScoredCase], Array]
    """Gives the scores, [demo]."""
    is_floor: bool = False
    """Whether it knows nothing of the model: what other scores have to beat."""


def random_scores(demos: int, *seed: object) -> Array:
    """A score that knows nothing, [demo], uniform in [0, 1): what any quality score has to beat."""
    return generator("random quality", *seed).random(demos)


def length_scores(prompt: Prompt) -> Array:
    """The length of each demonstration in tokens, [demo]: what a label-free score has to beat."""
    return np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64)


def position_scores(prompt: Prompt) -> Array:
    """The place of each demonstration in the prompt, the last one highest, [demo]: what the order alone tells."""
    return np.arange(len(prompt.demos), dtype=np.float64)


def _random_of_case(scored: ScoredCase) -> Array:
    case = scored.setting.case
    return random_scores(len(scored.setting.prompt.demos), case.dataset_id, case.user_id, case.split, case.seed)


UTILITY_SCORES = (
    UtilityScoreRow(
        "gain",
        "gain by gradient, true target",
        "Contribution to the true target's score by one gradient at half learning rate; knows the target.",
        lambda case: case.gain,
    ),
    UtilityScoreRow(
        "gain_proxy",
        "gain by deletion, proxy target",
        "How far the score of the user's latest known choice, held out of the prompt, falls when the demonstration is "
        "deleted; does not know the target.",
        lambda case: case.proxy_gain("leave_one_out"),
    ),
    UtilityScoreRow(
        "gain_proxy_gradient",
        "gain by gradient, proxy target",
        "The gradient's contribution to the score of that choice; does not know the target.",
        lambda case: case.proxy_gain("gradient"),
    ),
    UtilityScoreRow(
        "effect",
        "update energy",
        "Natural logarithm of the energy of the equivalent gradient; needs no target.",
        lambda case: case.free.gram.energy,
    ),
    UtilityScoreRow(
        "alignment",
        "alignment",
        "Cosine of dW φ(q) and the gradient of the true target's score; knows the target.",
        lambda case: case.alignment,
    ),
    UtilityScoreRow(
        "redundancy",
        "low redundancy",
        "Minus the largest cosine with another demonstration's equivalent gradient; needs no target.",
        lambda case: -case.redundancy,
    ),
    UtilityScoreRow(
        "random",
        "random (floor)",
        "A random number, fixed by the case.",
        _random_of_case,
        is_floor=True,
    ),
    UtilityScoreRow(
        "length",
        "length (floor)",
        "Tokens of the demonstration.",
        lambda case: length_scores(case.setting.prompt),
        is_floor=True,
    ),
    UtilityScoreRow(
        "position",
        "position (floor)",
        "Its place in the prompt; the last one is highest.",
        lambda case: position_scores(case.setting.prompt),
        is_floor=True,
    ),
)
SCORES: dict[UtilityScore, str] = {row.name: row.words for row in UTILITY_SCORES}
DEFINITIONS: dict[UtilityScore, str] = {row.name: row.definition for row in UTILITY_SCORES}
FLOORS: tuple[UtilityScore, ...] = tuple(row.name for row in UTILITY_SCORES if row.is_floor)
TRUTHS: dict[Truth, str] = {
    "removal_score": "fall of the target score on removal",
    "removal_ndcg": "fall of NDCG@10 on removal",
    "addition_score": "rise of the target score on addition",
    "addition_ndcg": "rise of NDCG@10 on addition",
}
"""Removal: the demonstration is deleted from the text of the full prompt. Addition: it stands alone in a prompt that
had none. Differences of target scores are in nats."""

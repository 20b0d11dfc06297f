"""Measures a server's noise: the whole and the empty prompt scored again and again, alone and among other requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from core.analysis.ledger import Ledger
from core.analysis.noise_floor import NoiseFloor
from core.analysis.setting import Setting
from core.analysis.values import Array, TargetScore
from core.lm.scoring.score import Scorer
from core.lm.scoring.tree import Tree
from core.lm.server.tree_scores import tree_scores
from core.prompt.spans import Prompt
from core.seeds import generator

ALONE, MIXED = 5, 5
"""Repeats of each kind."""
OTHERS = 2
"""Prompts with half of the demonstrations among which the repeats stand in a batch."""
DEVIATIONS = 3.0
"""Standard deviations up to which an effect is noise."""
ENDS_IN_PASSES = 1.5
"""What one repeat costs in passes over the whole prompt."""
PASSES = (ALONE + MIXED) * ENDS_IN_PASSES


@dataclass(frozen=True)
class Repeats:
    """Scores of one prompt with and without its demonstrations, again and again."""

    whole: Array
    """[repeat, candidate]"""
    empty: Array
    """[repeat, candidate]"""

    def floor(self, weights: Array) -> NoiseFloor:
        """What they say of effects on the weighted sum `weights` [candidate], and on each candidate's own score."""
        effects = np.column_stack([self.whole - self.empty, (self.whole - self.empty) @ weights])
        effects -= np.median(effects, axis=0)  # So that equal repeats have a deviation of exactly 0.
        largest, deviation = _spread(effects), float(effects.std(axis=0, ddof=1).max())
        return NoiseFloor(
            alone=ALONE,
            mixed=len(effects) - ALONE,
            score=max(_spread(self.whole), _spread(self.empty)),
            effect=largest,
            deviation=deviation,
            floor=max(largest, DEVIATIONS * deviation),
        )


def repeated(scorer: Scorer, *, seed: int) -> Repeats:
    """Scores of the scorer's prompt with and without demonstrations; nothing that was scored before is used again.

    First one request after another, then in batches among other prompts in an order drawn by `seed`. The scorer's cost
    counts what that takes.
    """
    prompt, rows = scorer.prompt, []
    ends = [prompt, replace(prompt, demos=())]
    for _ in range(ALONE):
        rows.append([_scores(scorer, [each], in_flight=1)[0] for each in ends])
    for number in range(MIXED):
        drawn = generator("server noise", seed, number)
        masks = drawn.random((OTHERS, scorer.demos)) < 0.5
        others = [replace(prompt, demos=tuple(compress(prompt.demos, mask))) for mask in masks]
        rows.append(_scores(scorer, [*ends, *others], shuffle=int(drawn.integers(2**31)))[:2])
    table = np.array(rows)
    return Repeats(table[:, 0], table[:, 1])


def measured_floor(ledger: Ledger, setting: Setting, weights: Array) -> NoiseFloor | None:
    """What repeats of a setting's prompt by a server say of effects on the weighted sum `weights` [candidate]; None for
    a model that is loaded here, whose equal prompts get equal scores."""
    if setting.model.server is None:
        return None
    ledger.label = "measuring the server's noise"
    ledger.planned += PASSES
    return repeated(ledger.scorer(setting.prompt), seed=setting.case.seed).floor(weights)


def drift(score: TargetScore, repeats: Repeats) -> float:
    """How far what is explained of the whole prompt lies now from its median over the repeats, in nats."""
    now = _scores(score.scorer, [score.scorer.prompt])[0] @ score.weights
    return float(abs(now - np.median(repeats.whole @ score.weights)))


def _scores(scorer: Scorer, prompts: Sequence[Prompt], **how: int) -> list[Array]:
    """Scores [candidate] of each prompt."""
    server = scorer.model.server
    assert server is not None
    tree = Tree()
    for prompt in prompts:
        tree.plant(prompt)
    scores = tree_scores(server, tree, between=scorer.between, **how)
    scorer.cost.tokens += sum(len(node.ids) for node in tree.nodes())
    scorer.cost.forwards += len(prompts)
    scores = scores if scorer.aggregate == "sum" else scores / np.array(tree.terms)
    return list(scores.reshape(len(prompts), scorer.candidates))


def _spread(table: Array) -> float:
    """Largest distance of a number to the median of its column, [repeat, column]."""
    return float(np.abs(table - np.median(table, axis=0)).max())

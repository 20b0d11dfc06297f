"""Scores of many prompts that resemble one another, in one sweep: what two of them begin with is run once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError
from core.lm.forward.rotation import beyond
from core.lm.scoring.sweep import Aggregate, Cost, TreeScorer
from core.lm.scoring.tree import Tree, prefix_ids
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel


class ManyScorer(TreeScorer):
    """Scores many prompts; the prefix of one of them, `remember`ed, is never run again."""

    def remember(self, prompt: Prompt) -> NDArray[np.float64]:
        """Scores [candidate] of `prompt`, whose prefix is remembered for the prompts that follow."""
        self._trunks.clear()
        tree = self._tree(beyond(self._turn, prompt.length))
        prefix = tree.root.grown(prefix_ids(prompt))
        tree.plant(prompt, query=prefix)
        self.cost.forwards += 1
        return self._scores(tree, budget=self._pack_tokens, trunk=prefix)

    def scores(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        """Scores [prompt, candidate] in nats, equal to those of `Scorer(model, prompt).full()` one by one.

        Out of memory halves the passes. Raises `ComputeError` when one stretch of tokens alone does not fit or a
        score is not a finite number, `RequestError` for prompts with different numbers of candidates.
        """
        width = _candidates(prompts)
        table = np.zeros((len(prompts), width))
        for stretched in (False, True):
            rows = [row for row, prompt in enumerate(prompts) if beyond(self._turn, prompt.length) is stretched]
            tree = self._tree(stretched)
            for row in rows:
                tree.plant(prompts[row])
            table[rows] = self._scores(tree, budget=self._pack_tokens).reshape(len(rows), width)
        self.cost.forwards += len(prompts)
        return table


def scores_of_prompts(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    *,
    aggregate: Aggregate = "sum",
    pack_tokens: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.float64], Cost]:
    """Scores [prompt, candidate] in nats of all `prompts` in one sweep, and what it cost; see `ManyScorer.scores`."""
    scorer = ManyScorer(model, aggregate=aggregate, pack_tokens=pack_tokens, between=between)
    return scorer.scores(prompts), scorer.cost


def sweep_tokens(prompts: Sequence[Prompt]) -> int:
    """Tokens that one sweep over `prompts` runs."""
    tree = Tree()
    for prompt in prompts:
        tree.plant(prompt)
    return sum(len(node.ids) for node in tree.nodes())


def separate_tokens(prompts: Sequence[Prompt]) -> int:
    """Tokens that `prompts` cost one by one: each prefix once, and its candidates."""
    return sum(len(span.token_ids) for prompt in prompts for span in (*prompt.prefix, *prompt.candidates))


def _candidates(prompts: Sequence[Prompt]) -> int:
    widths = sorted({len(prompt.candidates) for prompt in prompts})
    if len(widths) > 1:
        raise RequestError(f"prompts with {widths[0]} and {widths[-1]} candidates", expected="the same in each")
    return widths[0] if widths else 0

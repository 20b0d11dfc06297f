"""Scores of prompts that grow with a user's stream: what the last prompt ran is not run again.

A new interaction becomes the newest demonstration, behind all the others; and as its history is the one that the last
query showed, even its beginning is remembered. What candidates have in common at their beginning (`Will the user like
the movie`) is run once. So a step costs the end of one demonstration, the query, and the candidates' own words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.lm.forward.rotation import beyond
from core.lm.scoring.sweep import TreeScorer
from core.lm.scoring.tree import common, prefix_ids
from core.prompt.spans import Prompt


class StreamScorer(TreeScorer):
    """Scores prompts one after the other, each from the longest beginning that it shares with the one before.

    Token ids are compared to find the beginning, so any prompt may follow any other.
    """

    @property
    def remembered(self) -> int:
        """Tokens whose keys and values are kept for the next prompt."""
        return sum(memory.tokens for memory in self._trunks.values())

    def score(self, prompt: Prompt) -> NDArray[np.float64]:
        """Scores [candidate] in nats, equal to those of `Scorer(model, prompt).full()`.

        One pass; out of memory falls back to many small ones, with nothing remembered. Raises `ComputeError` when even
        those do not fit, or when a score is not a finite number.
        """
        stretched = beyond(self._turn, prompt.length)
        tree = self._tree(stretched)
        candidates = [span.token_ids for span in prompt.candidates]
        alike = candidates[0][: min(common(candidates), min(map(len, candidates)) - 1)]
        query = tree.root.grown(prefix_ids(prompt))
        trunk = query.grown(alike)
        tree.plant(prompt, query=query)
        scores = self._scores(tree, trunk=trunk)
        self._trunks.pop(not stretched, None)
        self.cost.forwards += 1
        return scores

"""Scores of a prompt's candidates, for the whole prompt and for any subset of its demonstrations, by shared prefixes.

The prefix is run once and remembered. Candidates are packed behind it in one pass, and prompts with demonstrations
left out branch off it at the first missing one; nothing that two prompts share is run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ComputeError
from core.lm.forward.attention import Probe
from core.lm.forward.dual_change import DualChange
from core.lm.forward.forest import Forest, Segment, chain
from core.lm.forward.rotation import beyond
from core.lm.scoring.sweep import Aggregate, TreeScorer, segments_of, summed, terms_of
from core.lm.scoring.tree import Node, Term, Tree
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Removal = Literal["text", "gate"]
"""`text`: the demonstration is deleted and what follows moves up; `gate`: it is masked and every position is kept."""


class Scorer(TreeScorer):
    """Scores a prompt's candidates; what all its subsets share is remembered."""

    def __init__(
        self,
        model: LanguageModel,
        prompt: Prompt,
        *,
        aggregate: Aggregate = "sum",
        pack_tokens: int | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(model, aggregate=aggregate, pack_tokens=pack_tokens, between=between)
        self.prompt = prompt
        self.demos, self.candidates = len(prompt.demos), len(prompt.candidates)
        self._prefix = chain([span.token_ids for span in prompt.prefix], [None, *range(self.demos), None])

    @property
    def passes(self) -> float:
        """Cost so far in full-prompt forward equivalents."""
        return self.cost.tokens / self.prompt.length

    @property
    def stretched(self) -> bool:
        """Whether the whole prompt lies beyond the turning point of the network's rotations."""
        return beyond(self._turn, self.prompt.length)

    @property
    def demo_of_token(self) -> NDArray[np.int64]:
        """Number of the demonstration each prefix token belongs to, -1 for none, [token]."""
        return Forest(self._prefix).demo_of.numpy()

    def full(self) -> NDArray[np.float64]:
        """Scores [candidates] of the whole prompt, in one pass; the prefix is remembered for what follows."""
        tree = self._tree(self.stretched)
        trunk = _behind(tree.root, self._prefix[:-1])
        tree.plant(self.prompt, query=_behind(trunk, self._prefix[-1:]))
        scores = self._scores(tree, trunk=trunk)
        self.cost.forwards += 1
        return scores

    def subsets(
        self, masks: NDArray[np.bool_], *, candidates: Sequence[int] | None = None, removal: Removal = "text"
    ) -> NDArray[np.float64]:
        """Scores [subset, candidate] with the demonstrations of each row of `masks` [subset, demo] kept.

        Prompts are packed into as few passes as fit; out of memory halves them. Raises `ComputeError` when a stretch
        of tokens alone does not fit, or when a score is not a finite number.
        """
        table = np.empty((len(masks), self._width(candidates)))
        for stretched in (True, False):
            rows = [row for row, mask in enumerate(masks) if self._beyond(mask, removal) is stretched]
            if rows:
                tree = self._tree_behind_trunk(stretched)
                for mask in masks[rows]:
                    present = compress(self._prefix, (True, *mask, True))
                    query = _behind(tree.root, present, in_place=removal == "gate")
                    tree.plant(self.prompt, candidates, query=query)
                table[rows] = self._scores(tree, budget=self._pack_tokens).reshape(len(rows), -1)
        self.cost.forwards += len(masks)
        return table

    def changed(self, changes: Sequence[DualChange], *, candidates: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Scores [change, candidate] of the whole prompt with the query and the candidates reading changed dual models.

        The demonstrations are run once, unchanged; behind them every changed model costs the query and the candidates,
        packed as in `subsets`. Raises `ComputeError` as there, and for gates that are not one per demonstration.
        """
        for change in changes:
            if change.gates is not None and len(change.gates) != self.demos:
                raise ComputeError(f"{len(change.gates)} gates", expected=f"{self.demos}, one per demonstration")
        tree = self._tree_behind_trunk(self.stretched)
        trunk = _behind(tree.root, self._prefix[:-1])
        for number in range(len(changes)):
            query = trunk.grown(self.prompt.query.token_ids, change=number)
            tree.plant(self.prompt, candidates, query=query)
        scores = self._scores(tree, budget=self._pack_tokens, changes=changes)
        self.cost.forwards += len(changes)
        return scores.reshape(len(changes), self._width(candidates))

    def gated(self, gates: Tensor, *, candidates: Sequence[int] | None = None, probe: Probe | None = None) -> Tensor:
        """Scores [candidate] with learning-rate gates; a gradient flows back to `gates` if it asks for one.

        `gates` is [demo], or [layer or 1, head or 1, token of the prefix]. Raises `ComputeError` where the prompt does
        not fit into one pass.
        """
        tree = Tree(stretched=self.stretched)
        forest, rows, terms = self._whole(tree, candidates)
        try:
            logits, _ = self._run(forest, rows, gates=_over_tokens(gates, forest), probe=probe)
        except torch.OutOfMemoryError as error:
            raise self._out_of_memory(tree, len(forest.token_ids)) from error
        self.cost.forwards += 1
        return self._aggregated(tree, summed(logits, rows, terms, len(tree.ends))).to(logits)

    def reading(self, candidates: Sequence[int] | None = None) -> tuple[NDArray[np.int64], list[int]]:
        """How `gated` lays out its pass: the demonstration of each token, -1 for none, and the rows where scores are
        read; of titles only the last token of the query, which their first tokens follow."""
        forest, rows, _ = self._whole(Tree(stretched=self.stretched), candidates)
        if self.prompt.answer_ids is None:
            rows = [sum(len(span.token_ids) for span in self.prompt.prefix) - 1]
        return forest.demo_of.numpy(), rows

    def _whole(self, tree: Tree, candidates: Sequence[int] | None) -> tuple[Forest, list[int], list[tuple[int, Term]]]:
        """The whole prompt with its candidates in one pass: the forest, the rows that are read, and their terms."""
        tree.plant(self.prompt, candidates, query=_behind(tree.root, self._prefix))
        order = tree.order()
        forest = Forest(segments_of(order, order), by_demo=True, stretched=self.stretched)
        return forest, *terms_of(order)

    def counted_backward(self, candidates: Sequence[int] = (0,)) -> None:
        """Add the cost of one backward pass through the packed `candidates`."""
        spans = (*self.prompt.prefix, *(self.prompt.candidates[candidate] for candidate in candidates))
        self.cost.backwards += 1
        self.cost.tokens += 2 * sum(len(span.token_ids) for span in spans)

    def _width(self, candidates: Sequence[int] | None) -> int:
        return self.candidates if candidates is None else len(candidates)

    def _tree_behind_trunk(self, stretched: bool) -> Tree:
        """A tree in which the prefix without the query is remembered; it is run where it is not yet."""
        if stretched not in self._trunks:
            tree = Tree(stretched=stretched)
            self._scores(tree, trunk=_behind(tree.root, self._readable(stretched)))
        return self._tree(stretched)

    def _readable(self, stretched: bool) -> Iterable[Segment]:
        """The prefix without the query, in short prompts only what lies before the turning point."""
        prefix = self._prefix[:-1]
        if self._turn is None or stretched:
            return prefix
        return [segment for segment in prefix if segment.start + len(segment.token_ids) <= self._turn]

    def _beyond(self, mask: NDArray[np.bool_], removal: Removal) -> bool:
        """Whether the prompt with some of its demonstrations lies beyond the turning point."""
        if self._turn is None or removal == "gate":
            return self.stretched
        return beyond(self._turn, replace(self.prompt, demos=tuple(compress(self.prompt.demos, mask))).length)


def _behind(node: Node, segments: Iterable[Segment], *, in_place: bool = False) -> Node:
    """The node that ends `segments` one after the other behind `node`; gaps are closed unless they stay `in_place`."""
    for segment in segments:
        node = node.grown(segment.token_ids, start=segment.start if in_place else None, demo=segment.demo)
    return node


def _over_tokens(gates: Tensor, forest: Forest) -> Tensor:
    """Gates [layer or 1, head or 1, all tokens]: 1 for tokens outside demonstrations, and for the candidates'."""
    if gates.dim() == 1:
        padded = torch.cat([gates.new_ones(1), gates])
        return padded[forest.demo_of.to(gates.device) + 1][None, None]
    missing = len(forest.demo_of) - gates.shape[-1]
    return torch.cat([gates, gates.new_ones(*gates.shape[:-1], missing)], dim=-1)

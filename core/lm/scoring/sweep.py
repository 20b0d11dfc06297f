"""Scores of a tree of token sequences, in as few passes as memory allows; nothing in the tree is run twice.

Nodes are run from the root outwards, packed into passes. Keys and values stay as long as a later pass continues from
them, so the tokens run are exactly the tokens of the tree, whatever the size of a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ComputeError, RequestError
from core.lm.forward.dual_change import DualChange
from core.lm.forward.forest import Forest, Memory, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import turning_point
from core.lm.scoring.tree import Node, Term, Tree
from core.lm.server.tree_scores import SCORES_ONLY, tree_scores

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Aggregate = Literal["sum", "mean"]

PACK_TOKENS = {"cpu": 1_024, "cuda": 16_384, "mps": 4_096}
"""Most new tokens in one pass: beyond this a larger pass only needs more memory, and on a CPU falls out of its cache
(measured on two cores: leave-one-out takes 8 % longer with 3,072)."""


@dataclass
class Cost:
    """What has been run so far."""

    forwards: int = 0
    """Prompts scored (subsets of demonstrations, or settings of the gates)."""
    backwards: int = 0
    tokens: int = 0
    """Tokens that went through the model; a backward pass counts twice its tokens."""


@dataclass(frozen=True)
class _Front:
    """Nodes that later passes continue from, in the order of `memory`'s segments."""

    nodes: list[Node]
    memory: Memory


class TreeScorer:
    """Scores in nats of candidates behind prompts: logit(Yes) - logit(No), or log-probability of the title; and what a
    prompt's `prior` adds to each.

    `between` is called before every pass and may raise `Cancelled`; the object can be used afterwards. It belongs to
    one job and one thread. Where a server holds the model, it gives the scores, and what would need the weights raises
    `RequestError`; tokens are counted as if they went through a model here, so that budgets mean the same prompts.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        aggregate: Aggregate = "sum",
        pack_tokens: int | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.aggregate, self.between = model, aggregate, between
        self.cost = Cost()
        self._pack_tokens = pack_tokens or most_tokens(model.device)
        self._turn = None if model.server is not None else turning_point(model.network.config)
        self._trunks: dict[bool, Memory] = {}
        """Remembered beginnings, as prompts up to and beyond the turning point have their keys and values."""

    def _tree(self, stretched: bool) -> Tree:
        """A new tree that begins with the remembered trunk."""
        return Tree(self._trunks.get(stretched), stretched=stretched)

    def _scores(
        self,
        tree: Tree,
        *,
        budget: float = math.inf,
        trunk: Node | None = None,
        changes: Sequence[DualChange] = (),
    ) -> NDArray[np.float64]:
        """Scores of all that is planted in `tree`, in order; the tokens up to and with `trunk` are remembered.

        A pass has at most `budget` tokens, or one node. Out of memory halves the passes, and then no trunk is
        remembered. Raises `ComputeError` when one node alone does not fit, or for a score that is no finite number.
        """
        if self.model.server is not None:
            return self._served(tree, trunk)
        order, scores, done = tree.order(), torch.zeros(len(tree.ends), dtype=torch.float64), 0
        lengths = [len(node.ids) for node in order]
        front = _started(tree, order, trunk)
        while done < len(order):
            end = end_of_pack(lengths, done, budget)
            pack, follower = order[done:end], order[end] if end < len(order) else None
            try:
                values, front = self._pass(tree, pack, front, _needed(front, follower, trunk), changes)
            except torch.OutOfMemoryError as error:
                if len(pack) == 1:
                    raise self._out_of_memory(tree, lengths[done]) from error
                budget = sum(lengths[done:end]) // 2
                if trunk is not None:
                    self._trunks.pop(tree.stretched, None)
                trunk = None
                continue
            scores, done = scores + values, end
        if trunk is not None:
            self._trunks[tree.stretched] = _memory_of(trunk, front)
        return self._aggregated(tree, scores).numpy()

    def _served(self, tree: Tree, trunk: Node | None) -> NDArray[np.float64]:
        """The scores as a server gives them; of the trunk only the tokens are remembered, to count none twice."""
        assert self.model.server is not None
        scores = tree_scores(self.model.server, tree, between=self.between)
        self.cost.tokens += sum(len(node.ids) for node in tree.order())
        if trunk is not None:
            line = trunk.line()
            self._trunks[tree.stretched] = Memory(segments_of(line, line), stretched=tree.stretched)
        return self._aggregated(tree, torch.from_numpy(scores)).numpy()

    def _pass(
        self, tree: Tree, pack: list[Node], front: _Front, needed: set[Node], changes: Sequence[DualChange]
    ) -> tuple[Tensor, _Front]:
        """What one pass adds to each score, and the nodes that later passes continue from."""
        reached = [*front.nodes, *pack]
        forest = Forest(segments_of(pack, reached), front.memory, stretched=tree.stretched)
        rows, terms = terms_of(pack)
        with torch.no_grad():
            logits, memory = self._run(forest, rows, keep=not needed.isdisjoint(pack), changes=changes)
        values = summed(logits, rows, terms, len(tree.ends))
        if not bool(torch.isfinite(values).all()):
            raise ComputeError("the model gave scores that are not finite numbers", expected="finite logits")
        if memory is None:
            return values, front
        places = [place for place, node in enumerate(reached) if node in needed]
        return values, _Front([reached[place] for place in places], memory.chosen(places))

    def _run(self, forest: Forest, rows: Sequence[int], **how: Any) -> tuple[Tensor, Memory | None]:
        if self.model.server is not None:
            raise RequestError(SCORES_ONLY, expected="a model folder for this", where=self.model.name)
        self.between()
        result = run(self.model.network, forest, rows, **how)
        self.cost.tokens += len(forest.token_ids)
        return result

    def _aggregated(self, tree: Tree, scores: Tensor) -> Tensor:
        """The candidates' scores of the sums of their terms, both [end], with what a blend adds."""
        means = scores if self.aggregate == "sum" else scores / torch.tensor(tree.terms)
        priors = tree.priors
        return means + torch.tensor(priors, dtype=means.dtype) if any(priors) else means

    def _out_of_memory(self, tree: Tree, tokens: int) -> ComputeError:
        longest = max((prompt.length for _, prompt, _ in tree.ends), default=tokens)
        return ComputeError(
            f"out of memory on {self.model.device} in one pass over {tokens} tokens of a prompt of {longest} tokens",
            expected="a shorter prompt, fewer candidates, a smaller model or another device",
        )


def most_tokens(device: str) -> int:
    """Most new tokens in one pass on a device such as `cuda:1`."""
    return PACK_TOKENS.get(device.split(":")[0], PACK_TOKENS["cpu"])


def end_of_pack(lengths: Sequence[int], first: int, budget: float) -> int:
    """Where the pack ends that begins with `first`: its lengths fit the budget together, or it is one alone."""
    end, tokens = first + 1, lengths[first]
    while end < len(lengths) and (tokens := tokens + lengths[end]) <= budget:
        end += 1
    return end


def segments_of(pack: Sequence[Node], reached: Sequence[Node]) -> tuple[Segment, ...]:
    """The nodes of a pass; parents are counted over all nodes `reached`."""
    place = {node: number for number, node in enumerate(reached)}
    parents = (place.get(node.parent) if node.parent else None for node in pack)
    nodes = zip(pack, parents, strict=True)
    return tuple(Segment(node.ids, parent, node.start, node.demo, node.change) for node, parent in nodes)


def terms_of(pack: Sequence[Node]) -> tuple[list[int], list[tuple[int, Term]]]:
    """Rows of a pass whose logits are read, at least one, and all terms with their rows."""
    firsts = np.cumsum([0, *(len(node.ids) for node in pack[:-1])]).tolist()
    terms = [(first + place, term) for node, first in zip(pack, firsts, strict=True) for place, term in node.terms]
    return sorted({row for row, _ in terms}) or [0], terms


def summed(logits: Tensor, rows: Sequence[int], terms: Sequence[tuple[int, Term]], scores: int) -> Tensor:
    """Sum of each score's terms [scores] in double precision on the CPU, from logits [rows, vocab]; differentiable."""
    line = {row: number for number, row in enumerate(rows)}
    lines = torch.tensor([line[row] for row, _ in terms], dtype=torch.long, device=logits.device)
    tokens = torch.tensor([term.token for _, term in terms], dtype=torch.long, device=logits.device)
    against = torch.tensor(
        [-1 if term.against is None else term.against for _, term in terms], dtype=torch.long, device=logits.device
    )
    level = logits[lines, against.clamp(min=0)]
    if any(term.against is None for _, term in terms):
        level = torch.where(against < 0, torch.logsumexp(logits, dim=1)[lines], level)
    values = (logits[lines, tokens] - level).cpu().double()
    places = torch.tensor([term.score for _, term in terms], dtype=torch.long)
    return torch.zeros(scores, dtype=torch.float64).index_add(0, places, values)


def _started(tree: Tree, order: list[Node], trunk: Node | None) -> _Front:
    """The remembered nodes up to the last that something continues; a beginning of the tree's trunk, not copied."""
    parents = [node.parent or tree.root for node in order] + (trunk.line() if trunk else [])
    last = max((node for node in parents if node.remembered), key=lambda node: node.stop, default=tree.root)
    nodes, memory = last.line(), tree.trunk
    keys, values = (tuple(tensor[:, : last.stop] for tensor in each) for each in (memory.keys, memory.values))
    return _Front(nodes, Memory(segments_of(nodes, nodes), keys, values, memory.stretched))


def _needed(front: _Front, follower: Node | None, trunk: Node | None) -> set[Node]:
    """The nodes that are read again after a pass, or remembered."""
    nodes = set(trunk.line()) if trunk else set()
    if follower is not None:
        nodes.update(follower.line(), (node for node in front.nodes if node.remembered))
    return nodes


def _memory_of(trunk: Node, front: _Front) -> Memory:
    line = trunk.line()
    if front.nodes == line:
        return front.memory
    place = {node: number for number, node in enumerate(front.nodes)}
    return front.memory.chosen([place[node] for node in line])

"""Scores of many prompts that resemble one another, in one sweep: what two of them share at the beginning is run once.

The token sequences of all prompts with all their candidates are laid into a tree. Its nodes are run from the root
outwards, packed into passes, and keys and values are kept as long as a later pass continues from them; so the tokens
run are exactly the tokens of the tree, whatever the size of a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ComputeError, RequestError
from core.lm.forward.forest import Forest, Memory, Segment, chain
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import beyond, turning_point
from core.lm.scoring.score import PACK_TOKENS, SHORTEST_SHARED, Aggregate, Cost
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel


class ManyScorer:
    """Scores many prompts; the prefix of one of them, `remember`ed, is never run again.

    `between` is called before every pass and may raise `Cancelled`; `cost.tokens` counts the tokens run. The object
    belongs to one job and one thread.
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
        self._pack = pack_tokens or PACK_TOKENS.get(model.device.split(":")[0], 1_024)
        self._trunk = Memory()
        self._turn = turning_point(model.network.config)

    def remember(self, prompt: Prompt) -> NDArray[np.float64]:
        """Scores [candidate] of `prompt`, whose prefix is kept for the prompts that follow."""
        ids = _prefix(prompt)[:-1]  # The last row foretells titles, so it is run with every prompt.
        self._trunk = Memory()
        stretched = beyond(self._turn, prompt.length)
        if ids:
            try:
                _, memory = self._run(Forest(chain([ids], [None]), stretched=stretched), [len(ids) - 1], keep=True)
            except torch.OutOfMemoryError as error:
                raise self._too_long(len(ids)) from error
            assert memory is not None
            self._trunk = memory
        first: NDArray[np.float64] = self.scores([prompt])[0]
        return first

    def scores(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        """Scores [prompt, candidate] in nats, equal to those of `Scorer(model, prompt).full()` one by one.

        Out of memory halves the passes. Raises `ComputeError` when one stretch of tokens alone does not fit or a
        score is not a finite number, `RequestError` for prompts with different numbers of candidates.
        """
        width = _candidates(prompts)
        table = np.zeros((len(prompts), width))
        for stretched in (False, True):
            alike = [place for place, prompt in enumerate(prompts) if beyond(self._turn, prompt.length) is stretched]
            if alike:
                table[alike] = self._sums([prompts[place] for place in alike], width, stretched)
        if self.aggregate == "mean":
            table /= np.array([[_terms(prompt, c) for c in range(width)] for prompt in prompts])
        if not np.isfinite(table).all():
            raise ComputeError("the model gave scores that are not finite numbers", expected="finite logits")
        self.cost.forwards += len(prompts)
        return table

    def _sums(self, prompts: Sequence[Prompt], width: int, stretched: bool) -> NDArray[np.float64]:
        """Sums of terms [prompt, candidate] of prompts whose positions are all rotated alike."""
        table = np.zeros((len(prompts), width))
        for pack in self._passes(_planted(prompts, self._usable(prompts, stretched)), stretched):
            for term, value in pack:
                table.flat[term.score] += value
        return table

    def _usable(self, prompts: Sequence[Prompt], stretched: bool) -> tuple[int, ...]:
        """The remembered tokens, up to the first whose logits one of the prompts needs."""
        usable = self._trunk.segments and self._trunk.stretched is stretched
        trunk = self._trunk.segments[0].token_ids if usable else ()
        for prompt in prompts:
            ids = _prefix(prompt)
            if _shared(ids, trunk) == len(ids):
                trunk = trunk[: len(ids) - 1]
        return trunk

    def _passes(self, tree: _Tree, stretched: bool) -> Iterator[list[tuple[_Term, float]]]:
        order = [node for node in tree.nodes() if not node.known]
        kept: dict[int, Memory] = {}
        budget, done = self._pack, 0
        while done < len(order):
            pack = _pack(order, done, budget)
            follower = order[done + len(pack)] if done + len(pack) < len(order) else None
            try:
                values, kept = self._pass(pack, kept, follower, stretched)
            except torch.OutOfMemoryError as error:
                if len(pack) == 1:
                    raise self._too_long(len(pack[0].ids)) from error
                budget = sum(len(node.ids) for node in pack) // 2
                continue
            done += len(pack)
            yield values

    def _pass(
        self, pack: list[_Node], kept: dict[int, Memory], follower: _Node | None, stretched: bool
    ) -> tuple[list[tuple[_Term, float]], dict[int, Memory]]:
        """Values of the terms read in this pass, and the memory of each node that `follower` continues."""
        inside = {id(node) for node in pack}
        before = {id(a): a for node in pack for a in node.line()[:-1] if id(a) not in inside}
        ancestors = sorted(before.values(), key=lambda node: node.start)
        place = {id(node): number for number, node in enumerate([*ancestors, *pack])}
        known = self._joined([self._memory_of(node, kept) for node in ancestors], ancestors, place)
        forest = Forest(tuple(_segment(node, place) for node in pack), known, stretched=stretched)
        first = dict(zip(map(id, pack), np.cumsum([0, *(len(node.ids) for node in pack[:-1])]).tolist(), strict=True))
        terms = [(first[id(node)] + at, term) for node in pack for at, term in node.terms]
        wanted = [] if follower is None else follower.line()[:-1]
        keep = any(id(node) in inside for node in wanted)
        rows = sorted({row for row, _ in terms}) or [0]
        logits, memory = self._run(forest, rows, keep=keep)
        left = {id(node): kept[id(node)] for node in wanted if id(node) in kept}
        if memory is not None:
            stops = forest.ranges
            left |= {id(node): _cut(memory, stops[place[id(node)]]) for node in wanted if id(node) in inside}
        return self._read(logits, rows, terms), left

    def _memory_of(self, node: _Node, kept: dict[int, Memory]) -> Memory:
        if node.known:
            return _cut(self._trunk, slice(node.start, node.start + len(node.ids)))
        return kept[id(node)]

    def _joined(self, parts: list[Memory], nodes: list[_Node], place: dict[int, int]) -> Memory:
        if not parts:
            return Memory()
        layers = range(len(parts[0].keys))
        return Memory(
            tuple(_segment(node, place) for node in nodes),
            tuple(torch.cat([part.keys[layer] for part in parts], dim=1) for layer in layers),
            tuple(torch.cat([part.values[layer] for part in parts], dim=1) for layer in layers),
            parts[0].stretched,
        )

    def _run(self, forest: Forest, rows: Sequence[int], *, keep: bool) -> tuple[Tensor, Memory | None]:
        self.between()
        with torch.no_grad():
            result = run(self.model.network, forest, rows, keep=keep)
        self.cost.tokens += len(forest.token_ids)
        return result

    def _read(self, logits: Tensor, rows: list[int], terms: list[tuple[int, _Term]]) -> list[tuple[_Term, float]]:
        """Each term's value: log-probability of its token, or its logit less that of the token it is held against."""
        if not terms:
            return []
        at = {row: number for number, row in enumerate(rows)}
        lines = torch.tensor([at[row] for row, _ in terms], device=logits.device)
        tokens = torch.tensor([term.token for _, term in terms], device=logits.device)
        others = torch.tensor([-1 if term.against is None else term.against for _, term in terms], device=logits.device)
        whole = torch.logsumexp(logits, dim=1)[lines]
        base = torch.where(others < 0, whole, logits[lines, others.clamp(min=0)])
        values = (logits[lines, tokens] - base).double().cpu().tolist()
        return [(term, value) for (_, term), value in zip(terms, values, strict=True)]

    def _too_long(self, tokens: int) -> ComputeError:
        return ComputeError(
            f"out of memory on {self.model.device} in one pass over {tokens} tokens",
            expected="a shorter prompt, a smaller model or another device",
        )


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
    return sum(len(node.ids) for node in _planted(prompts, ()).nodes())


def separate_tokens(prompts: Sequence[Prompt]) -> int:
    """Tokens that `prompts` cost one by one: each prefix once, and its candidates."""
    return sum(len(span.token_ids) for prompt in prompts for span in (*prompt.prefix, *prompt.candidates))


@dataclass(frozen=True)
class _Term:
    """One number that is added to a score: log p(token), or logit(token) - logit(against)."""

    score: int
    token: int
    against: int | None = None


@dataclass(eq=False)
class _Node:
    """Consecutive tokens of the tree; `terms` are read after the token at their place among `ids`."""

    ids: tuple[int, ...]
    start: int
    parent: _Node | None
    known: bool = False
    """Whether keys and values are remembered already."""
    children: list[_Node] = field(default_factory=list)
    terms: list[tuple[int, _Term]] = field(default_factory=list)

    def line(self) -> list[_Node]:
        """Ancestors from the start of the prompt, itself last; the empty root is none of them."""
        nodes, at = [], self
        while at.parent is not None:
            nodes.append(at)
            at = at.parent
        return nodes[::-1]

    def grown(self, ids: tuple[int, ...], *, known: bool = False) -> _Node:
        """The node that ends the sequence of this one continued by `ids`, made where there is none."""
        at = self
        while ids:
            shared = [_shared(ids, child.ids) for child in at.children]
            best = int(np.argmax(shared)) if shared else -1
            if best >= 0 and shared[best] == len(at.children[best].ids):
                at, ids = at.children[best], ids[shared[best] :]
            elif best >= 0 and shared[best] >= SHORTEST_SHARED:
                at, ids = at._split(best, shared[best]), ids[shared[best] :]
            else:
                at.children.append(_Node(ids, at.start + len(at.ids), at, known))
                return at.children[-1]
        return at

    def _split(self, child: int, size: int) -> _Node:
        """The first `size` tokens of a child as a node of their own; the child keeps the rest."""
        lower = self.children[child]
        upper = _Node(lower.ids[:size], lower.start, self, lower.known, [lower])
        lower.ids, lower.start, lower.parent = lower.ids[size:], lower.start + size, upper
        self.children[child] = upper
        return upper


@dataclass(frozen=True)
class _Tree:
    root: _Node

    def nodes(self) -> Iterator[_Node]:
        """Every node but the root, each before those that continue it."""
        waiting = self.root.children[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children[::-1]


def _planted(prompts: Sequence[Prompt], trunk: tuple[int, ...]) -> _Tree:
    """The tree of all sequences, with the remembered `trunk` in it, and what is to be read where."""
    root = _Node((), 0, None)
    root.grown(trunk, known=True)
    ends: list[tuple[int, _Node, Prompt, int]] = []
    for number, prompt in enumerate(prompts):
        query = root.grown(_prefix(prompt))
        for place, span in enumerate(prompt.candidates):
            score = number * len(prompt.candidates) + place
            ends.append((score, query.grown(span.token_ids), prompt, place))
    for score, end, prompt, place in ends:
        _read_along(end, score, prompt, place)
    return _Tree(root)


def _read_along(end: _Node, score: int, prompt: Prompt, candidate: int) -> None:
    """Note at the nodes that lead to `end` which terms of one candidate's score are read there."""
    if prompt.answer_ids is not None:
        end.terms.append((len(end.ids) - 1, _Term(score, *prompt.answer_ids)))
        return
    ids = prompt.candidates[candidate].token_ids
    node, last = end, end.start + len(end.ids) - 1
    for back, token in enumerate(reversed(ids), start=1):
        position = last - back
        while position < node.start:
            assert node.parent is not None
            node = node.parent
        node.terms.append((position - node.start, _Term(score, token)))


def _pack(order: list[_Node], first: int, budget: int) -> list[_Node]:
    """The next nodes whose tokens together fit the budget; at least one."""
    pack, spent = [order[first]], len(order[first].ids)
    for node in order[first + 1 :]:
        spent += len(node.ids)
        if spent > budget:
            break
        pack.append(node)
    return pack


def _segment(node: _Node, place: dict[int, int]) -> Segment:
    parent = None if node.parent is None or node.parent.parent is None else place[id(node.parent)]
    return Segment(node.ids, parent, node.start)


def _cut(memory: Memory, tokens: slice) -> Memory:
    """Keys and values of some tokens, copied so that the rest can be freed; without segments."""
    return Memory(
        (),
        tuple(keys[:, tokens].clone() for keys in memory.keys),
        tuple(values[:, tokens].clone() for values in memory.values),
        memory.stretched,
    )


def _prefix(prompt: Prompt) -> tuple[int, ...]:
    return tuple(token for span in prompt.prefix for token in span.token_ids)


def _terms(prompt: Prompt, candidate: int) -> int:
    return 1 if prompt.answer_ids is not None else len(prompt.candidates[candidate].token_ids)


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Tokens at the beginning that two sequences have in common."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(place for place in range(size) if one[place] != other[place])


def _candidates(prompts: Sequence[Prompt]) -> int:
    widths = sorted({len(prompt.candidates) for prompt in prompts})
    if len(widths) > 1:
        raise RequestError(f"prompts with {widths[0]} and {widths[-1]} candidates", expected="the same in each")
    return widths[0] if widths else 0

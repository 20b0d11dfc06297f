"""The token sequences of prompts and their candidates as one tree: what two of them begin with stands in it once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from core.lm.forward.forest import Memory
from core.prompt.spans import Prompt

SHORTEST_SHARED = 4
"""Sequences share a node only where they have at least this many tokens in common: a shorter one would cost more
in attention calls than it saves."""


class Term(NamedTuple):
    """One number that is added to a score: log p(token), or logit(token) - logit(against)."""

    score: int
    token: int
    against: int | None = None


@dataclass(eq=False)
class Node:
    """Consecutive tokens that continue those of `parent`; `terms` are read after the token at their place in `ids`."""

    ids: tuple[int, ...]
    start: int
    """Position id of the first token."""
    parent: Node | None
    demo: int | None = None
    """The demonstration that the tokens belong to, and the changed dual model that they read; see `Segment`."""
    change: int | None = None
    remembered: bool = False
    """Whether keys and values are there already."""
    children: list[Node] = field(default_factory=list)
    terms: list[tuple[int, Term]] = field(default_factory=list)

    @property
    def stop(self) -> int:
        """Position id after the last token."""
        return self.start + len(self.ids)

    @property
    def labels(self) -> tuple[int, int, int | None, int | None]:
        """What sequences that share the node have in common: first token, its position, demonstration and change."""
        return self.ids[0], self.start, self.demo, self.change

    def line(self) -> list[Node]:
        """Ancestors from the start of the prompt, itself last; the empty root is none of them."""
        nodes, node = [], self
        while node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def grown(
        self, ids: tuple[int, ...], *, start: int | None = None, demo: int | None = None, change: int | None = None
    ) -> Node:
        """The node that ends the sequence of this one continued by `ids`, new where there is none.

        Tokens are shared where position, demonstration and changed model are equal too; equal sequences end at the same
        node, so that their scores are exactly equal. `start` is the position of the first of `ids`, right behind this
        node unless given.
        """
        node, start = self, self.stop if start is None else start
        while ids:
            labels = (ids[0], start, demo, change)
            alike = [(common([ids, child.ids]), child) for child in node.children if child.labels == labels]
            size, child = max(alike, key=lambda pair: (pair[0], -len(pair[1].ids)), default=(0, None))
            if child is None or size < min(len(child.ids), 1 if child.remembered else SHORTEST_SHARED):
                return node.add(ids, start=start, demo=demo, change=change)
            node = child if size == len(child.ids) else child.split(size)
            ids, start = ids[size:], node.stop
        return node

    def add(
        self,
        ids: tuple[int, ...],
        *,
        start: int,
        demo: int | None = None,
        change: int | None = None,
        remembered: bool = False,
    ) -> Node:
        """A new child."""
        self.children.append(Node(ids, start, self, demo, change, remembered))
        return self.children[-1]

    def split(self, size: int) -> Node:
        """The first `size` tokens as a node above this one, which keeps the rest."""
        assert self.parent is not None
        upper = Node(self.ids[:size], self.start, self.parent, self.demo, self.change, self.remembered, [self])
        self.parent.children[self.parent.children.index(self)] = upper
        self.ids, self.start, self.parent = self.ids[size:], upper.stop, upper
        return upper

    def run_again(self, place: int) -> Node:
        """A node for the token at `place` of a remembered node, whose logits are gone; this one then begins with it."""
        before = self.split(place) if place else self.parent
        assert before is not None
        twins = (child for child in before.children if child.labels == self.labels and not child.remembered)
        return next(twins, None) or before.add(self.ids[:1], start=self.start, demo=self.demo, change=self.change)


class Tree:
    """A remembered beginning, the prompts planted behind and beside it, and where each score is read."""

    def __init__(self, trunk: Memory | None = None, *, stretched: bool = False) -> None:
        self.root = Node((), 0, None)
        self.trunk, self.stretched = trunk or Memory(), stretched
        """Keys and values of the remembered nodes; whether all tokens are rotated as those of long prompts."""
        self.ends: list[tuple[Node, Prompt, int]] = []
        """Score -> node of its last token, prompt and candidate."""
        node = self.root
        for segment in self.trunk.segments:
            node = node.add(segment.token_ids, start=segment.start, demo=segment.demo, remembered=True)

    def plant(self, prompt: Prompt, candidates: Sequence[int] | None = None, *, query: Node | None = None) -> None:
        """Add a prompt with some or all of its candidates; one score each follows those planted before.

        `query` ends the prompt's prefix, where parts of it are nodes of their own.
        """
        query = query or self.root.grown(prefix_ids(prompt))
        for candidate in range(len(prompt.candidates)) if candidates is None else candidates:
            ids = prompt.candidates[candidate].token_ids
            self.ends.append((query.grown(ids, change=query.change), prompt, candidate))

    def order(self) -> list[Node]:
        """The nodes to run, each before those that continue it, with the terms to be read there; call it once."""
        for score, (end, prompt, candidate) in enumerate(self.ends):
            _read_along(end, score, prompt, candidate)
        return [node for node in self.nodes() if not node.remembered]

    def nodes(self) -> Iterator[Node]:
        """Every node but the root, each before those that continue it; remembered ones first among siblings."""
        waiting = self.root.children[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children[::-1]

    @property
    def terms(self) -> list[int]:
        """How many terms each score is the sum of."""
        spans = (prompt.candidates[candidate] for _, prompt, candidate in self.ends)
        answers = (prompt.answer_ids is not None for _, prompt, _ in self.ends)
        return [1 if answer else len(span.token_ids) for span, answer in zip(spans, answers, strict=True)]

    @property
    def priors(self) -> list[float]:
        """What is added to each score beside its terms, in nats; see `Prompt.prior`."""
        return [prompt.prior[candidate] if prompt.prior else 0.0 for _, prompt, candidate in self.ends]


def prefix_ids(prompt: Prompt) -> tuple[int, ...]:
    """The tokens that all candidates of a prompt continue."""
    return tuple(token for span in prompt.prefix for token in span.token_ids)


def common(sequences: Sequence[tuple[int, ...]]) -> int:
    """Tokens at the beginning that all sequences have in common."""
    columns = enumerate(zip(*sequences, strict=False))
    return next((place for place, tokens in columns if len(set(tokens)) > 1), min(map(len, sequences)))


def _read_along(end: Node, score: int, prompt: Prompt, candidate: int) -> None:
    """Note at the nodes that lead to `end` which terms of one candidate's score are read there."""
    if prompt.answer_ids is not None:
        _read(end, len(end.ids) - 1, Term(score, *prompt.answer_ids))
        return
    node, place = end, len(end.ids) - 1
    for token in reversed(prompt.candidates[candidate].token_ids):
        if place == 0:
            assert node.parent is not None
            node = node.parent
            place = len(node.ids)
        place = _read(node, place - 1, Term(score, token))


def _read(node: Node, place: int, term: Term) -> int:
    """Note one term; the place of its token in the node afterwards."""
    if not node.remembered:
        node.terms.append((place, term))
        return place
    node.run_again(place).terms.append((0, term))
    return 0

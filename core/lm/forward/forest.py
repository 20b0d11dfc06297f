"""Many prompts that share beginnings, run as one: a forest of segments, each reading its ancestors and itself.

Candidates after one prefix, prompts with demonstrations left out, all subsets of demonstrations: each is a tree of
segments. Every segment is run once, however many prompts go through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

BLOCK_OVERHEAD = 4_000
"""Cost of one more attention call, in query-key pairs; measured on two CPU cores with 64-wide heads."""
PIECE = 128
"""Most rows of one segment that are attended to together unless joining them costs less."""


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens that continue `parent` (None: the start of a prompt)."""

    token_ids: tuple[int, ...]
    parent: int | None
    """Index of the segment before this one, counted over the memory's segments and then the new ones."""
    start: int
    """Position id of the first token."""
    demo: int | None = None
    """The demonstration these tokens belong to, if any."""
    change: int | None = None
    """Which changed dual model these tokens read (see `core.lm.forward.dual_change`), if not the untouched one; for
    segments outside demonstrations."""


@dataclass(frozen=True)
class Memory:
    """Keys and values of segments already run; `keys[layer]` and `values[layer]` are [kv_heads, tokens, width]."""

    segments: tuple[Segment, ...] = ()
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()
    stretched: bool = False
    """Whether they were rotated as those of prompts beyond the network's turning point (`core.lm.forward.rotation`)."""

    @property
    def tokens(self) -> int:
        """Number of tokens remembered."""
        return sum(len(segment.token_ids) for segment in self.segments)

    def first(self, count: int) -> Memory:
        """The memory of the first `count` segments alone."""
        return self.chosen(range(count))

    def chosen(self, places: Sequence[int]) -> Memory:
        """The memory of some segments, whose parents are among them; copied, so that the rest can be freed."""
        number: dict[int | None, int] = {place: count for count, place in enumerate(places)}
        ends = [0, *accumulate(len(segment.token_ids) for segment in self.segments)]
        ranges: list[slice] = []
        for place in places:
            start = ranges.pop().start if ranges and ranges[-1].stop == ends[place] else ends[place]
            ranges.append(slice(start, ends[place + 1]))

        def cut(tensor: Tensor) -> Tensor:
            return torch.cat([tensor[:, tokens] for tokens in ranges or [slice(0)]], dim=1)

        segments = [self.segments[place] for place in places]
        return Memory(
            tuple(replace(segment, parent=number.get(segment.parent)) for segment in segments),
            tuple(map(cut, self.keys)),
            tuple(map(cut, self.values)),
            self.stretched,
        )


@dataclass(frozen=True)
class Block:
    """New rows that are attended to together: `rows` of the new tokens over the tokens `keys` (indices over all)."""

    rows: slice
    keys: Tensor | slice
    visible: Tensor
    """Bool [rows, keys]: whether the key's segment is an ancestor of, or earlier in, the row's segment."""
    distance: Tensor
    """Int [rows, keys]: position of the row minus position of the key (for sliding windows)."""
    inside: Tensor
    """Bool [keys]: whether the key belongs to the demonstration that the rows belong to."""
    change: int | None = None
    """Which changed dual model all of these rows read, if any."""


@dataclass(frozen=True)
class Forest:
    """Segments to run after those of `memory`, and how attention visits them."""

    new: tuple[Segment, ...]
    memory: Memory = field(default_factory=Memory)
    by_demo: bool = False
    """Keep the rows of different demonstrations in different blocks (needed for gates)."""
    stretched: bool = False
    """The segments belong to prompts beyond the network's turning point, even if they do not reach it themselves."""

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Remembered segments, then new ones."""
        return (*self.memory.segments, *self.new)

    @cached_property
    def ranges(self) -> tuple[slice, ...]:
        """Token range of every segment, counted over all tokens."""
        ranges, at = [], 0
        for segment in self.segments:
            ranges.append(slice(at, at + len(segment.token_ids)))
            at += len(segment.token_ids)
        return tuple(ranges)

    @cached_property
    def token_ids(self) -> Tensor:
        """Ids of the new tokens, [tokens]."""
        return torch.tensor([token for segment in self.new for token in segment.token_ids], dtype=torch.long)

    @cached_property
    def positions(self) -> Tensor:
        """Position ids over all tokens, [tokens]."""
        parts = [torch.arange(s.start, s.start + len(s.token_ids)) for s in self.segments]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long)

    @cached_property
    def demo_of(self) -> Tensor:
        """Number of the demonstration each of all tokens belongs to, -1 for none, [tokens]."""
        return torch.tensor(
            [-1 if s.demo is None else s.demo for s in self.segments for _ in s.token_ids], dtype=torch.long
        )

    def rows_of(self, index: int) -> range:
        """Rows, among the new tokens, of segment `index` (counted over all segments)."""
        offset = self.memory.tokens
        return range(self.ranges[index].start - offset, self.ranges[index].stop - offset)

    def line(self, index: int) -> tuple[int, ...]:
        """Ancestors of segment `index` from the start of its prompt, itself last."""
        chain = [index]
        while (parent := self.segments[chain[-1]].parent) is not None:
            chain.append(parent)
        return tuple(reversed(chain))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """New rows grouped so that few attention calls touch few needless query-key pairs."""
        groups: list[_Group] = []
        for piece in self._pieces():
            alone = _Group((piece,), self._needed(piece))
            if groups and self._may_join(groups[-1], alone):
                joined = groups[-1].joined(alone)
                if joined.cost <= groups[-1].cost + alone.cost:
                    groups[-1] = joined
                    continue
            groups.append(alone)
        return tuple(self._block(group) for group in groups)

    def _pieces(self) -> Iterator[_Piece]:
        """The rows of the new segments in order; a long one is cut, so that its first rows leave out its last keys."""
        for index in range(len(self.memory.segments), len(self.segments)):
            size = self._size(index)
            count = max(1, -(-size // PIECE))
            ends = [size * number // count for number in range(count + 1)]
            yield from (_Piece(index, range(*both)) for both in pairwise(ends))

    def _size(self, index: int) -> int:
        return len(self.segments[index].token_ids)

    def _needed(self, piece: _Piece) -> dict[int, int]:
        """How many tokens of each segment, from its first on, the rows of a piece may read."""
        line = self.line(piece.segment)
        return {index: self._size(index) for index in line[:-1]} | {piece.segment: piece.rows.stop}

    def _may_join(self, group: _Group, other: _Group) -> bool:
        before, new = (self.segments[each.pieces[0].segment] for each in (group, other))
        return before.change == new.change and (not self.by_demo or before.demo == new.demo)

    def _block(self, group: _Group) -> Block:
        pieces, needed = group.pieces, group.needed
        starts = {index: self.ranges[index].start for index in sorted(needed)}
        keys = torch.cat([torch.arange(start, start + needed[index]) for index, start in starts.items()])
        owner = torch.cat([torch.full((needed[index],), index) for index in starts])
        visible = torch.cat([self._sees(piece, keys, owner) for piece in pieces])
        first, last = (self.rows_of(piece.segment).start for piece in (pieces[0], pieces[-1]))
        rows = slice(first + pieces[0].rows.start, last + pieces[-1].rows.stop)
        offset, positions = self.memory.tokens, self.positions
        distance = positions[rows.start + offset : rows.stop + offset, None] - positions[keys][None, :]
        of_group = self.segments[pieces[0].segment]
        inside = self.demo_of[keys] == (-2 if of_group.demo is None else of_group.demo)
        return Block(rows, _as_slice(keys), visible, distance, inside, of_group.change)

    def _sees(self, piece: _Piece, keys: Tensor, owner: Tensor) -> Tensor:
        """Bool [rows of piece, keys]: ancestors wholly, the segment itself up to and with the row."""
        line = torch.tensor(self.line(piece.segment)[:-1], dtype=torch.long)
        before = torch.isin(owner, line)
        inside = owner == piece.segment
        start = self.ranges[piece.segment].start
        rows = torch.arange(start + piece.rows.start, start + piece.rows.stop)
        return before[None, :] | (inside[None, :] & (keys[None, :] <= rows[:, None]))


@dataclass(frozen=True)
class _Piece:
    """Some of a segment's rows, counted from its first."""

    segment: int
    rows: range


@dataclass(frozen=True)
class _Group:
    """Pieces that are attended to together, and how many tokens of each segment, from its first on, they may read."""

    pieces: tuple[_Piece, ...]
    needed: dict[int, int]

    @property
    def cost(self) -> int:
        """Query-key pairs computed, needless ones too, and the price of the call."""
        return sum(len(piece.rows) for piece in self.pieces) * sum(self.needed.values()) + BLOCK_OVERHEAD

    def joined(self, other: _Group) -> _Group:
        """Both as one."""
        both = (*self.needed, *other.needed)
        needed = {index: max(self.needed.get(index, 0), other.needed.get(index, 0)) for index in both}
        return _Group((*self.pieces, *other.pieces), needed)


def _as_slice(keys: Tensor) -> Tensor | slice:
    """A slice where the indices are consecutive: a view costs nothing, a gather copies."""
    if len(keys) and int(keys[-1]) - int(keys[0]) + 1 == len(keys):
        return slice(int(keys[0]), int(keys[-1]) + 1)
    return keys


def chain(spans: Sequence[Sequence[int]], demos: Sequence[int | None]) -> tuple[Segment, ...]:
    """Segments that follow one another from position 0: one prompt."""
    segments: list[Segment] = []
    start = 0
    for number, (token_ids, demo) in enumerate(zip(spans, demos, strict=True)):
        segments.append(Segment(tuple(token_ids), number - 1 if number else None, start, demo))
        start += len(token_ids)
    return tuple(segments)

"""Scores of a prompt's candidates, for the whole prompt and for any subset of its demonstrations, by shared prefixes.

The prefix is run once and remembered. Candidates are packed behind it in one pass, and prompts with demonstrations
left out branch off it at the first missing one; nothing that two prompts share is run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ComputeError
from core.lm.forward.attention import Probe
from core.lm.forward.dual_change import DualChange
from core.lm.forward.forest import Forest, Memory, Segment, chain
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import beyond, turning_point
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Removal = Literal["text", "gate"]
"""`text`: the demonstration is deleted and what follows moves up; `gate`: it is masked and every position is kept."""
Aggregate = Literal["sum", "mean"]

PACK_TOKENS = {"cpu": 1_024, "cuda": 16_384, "mps": 4_096}
"""Most new tokens in one pass: beyond this a larger pass only needs more memory, and on a CPU falls out of its cache
(measured on two cores: leave-one-out takes 8 % longer with 3,072)."""
SHORTEST_SHARED = 4
"""Sequences share a segment only where they have at least this many tokens in common: a shorter one would cost more
in attention calls than it saves."""


@dataclass
class Cost:
    """What has been run so far."""

    forwards: int = 0
    """Prompts scored (subsets of demonstrations, or settings of the gates)."""
    backwards: int = 0
    tokens: int = 0
    """Tokens that went through the model; a backward pass counts twice its tokens."""


_Work = Callable[[list[int], list[int]], NDArray[np.float64]]
"""Scores [row, candidate] of some prompts and some candidates."""


@dataclass(frozen=True)
class _Leaf:
    """Where to read one candidate's score: rows of the pass, and the token that should follow each."""

    subset: int
    candidate: int
    rows: tuple[int, ...]
    next_ids: tuple[int, ...]


class Scorer:
    """Scores a prompt's candidates in nats: logit(Yes) - logit(No), or log-probability of the title.

    `between` is called before every pass and may raise `Cancelled`. The object belongs to one job and one thread.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: Prompt,
        *,
        aggregate: Aggregate = "sum",
        pack_tokens: int | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.prompt, self.aggregate, self.between = model, prompt, aggregate, between
        self.demos, self.candidates = len(prompt.demos), len(prompt.candidates)
        self.cost = Cost()
        self._pack = pack_tokens or PACK_TOKENS.get(model.device.split(":")[0], 1_024)
        self._turn = turning_point(model.network.config)
        self._trunks: dict[bool, Memory] = {}
        """Keys and values of the prefix without the query, as prompts up to and beyond the turning point have them."""

    @property
    def passes(self) -> float:
        """Cost so far in full-prompt forward equivalents."""
        return self.cost.tokens / self.prompt.length

    def full(self) -> NDArray[np.float64]:
        """Scores [candidates] of the whole prompt, in one pass; the prefix is remembered for what follows."""
        prefix = self._prefix()
        stretched = self.stretched
        known = self._trunks.get(stretched, Memory())
        forest_segments = list(prefix[len(known.segments) :])
        leaves_of = self._attach(forest_segments, known, len(prefix) - 1, 0, range(self.candidates))
        try:
            scores, memory = self._run(forest_segments, known, leaves_of, keep=not known.segments, stretched=stretched)
        except torch.OutOfMemoryError:
            packed = self.subsets(np.ones((1, self.demos), dtype=bool))  # In smaller passes, or a plain sentence.
            return np.asarray(packed[0])
        if memory is not None:
            self._trunks[stretched] = memory.first(len(prefix) - 1)
        self.cost.forwards += 1
        first: NDArray[np.float64] = scores[0]
        return first

    def subsets(
        self, masks: NDArray[np.bool_], *, candidates: Sequence[int] | None = None, removal: Removal = "text"
    ) -> NDArray[np.float64]:
        """Scores [subset, candidate] with the demonstrations of each row of `masks` [subset, demo] kept.

        Prompts are packed into as few passes as fit; out of memory halves the pack. Raises `ComputeError` when one
        prompt alone does not fit, or when a score is not a finite number.
        """
        chosen = range(self.candidates) if candidates is None else candidates
        result = np.empty((len(masks), len(chosen)))
        order = sorted(range(len(masks)), key=lambda row: masks[row].tolist(), reverse=True)
        for stretched in (True, False):
            alike = [row for row in order if self._beyond(masks[row], removal) is stretched]
            for pack in self._packs(alike, masks, chosen):
                result[pack] = self._halving(
                    lambda rows, some: self._pack_scores(masks[rows], some, removal), pack, list(chosen)
                )
        self.cost.forwards += len(masks)
        return result

    def changed(self, changes: Sequence[DualChange], *, candidates: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Scores [change, candidate] of the whole prompt with the query and the candidates reading changed dual models.

        The demonstrations are run once, unchanged; behind them every changed model costs the query and the candidates,
        packed as in `subsets`. Raises `ComputeError` as there, and for gates that are not one per demonstration.
        """
        for change in changes:
            if change.gates is not None and len(change.gates) != self.demos:
                raise ComputeError(f"{len(change.gates)} gates", expected=f"{self.demos}, one per demonstration")
        chosen = range(self.candidates) if candidates is None else candidates
        result = np.empty((len(changes), len(chosen)))
        every = np.ones((len(changes), self.demos), dtype=bool)
        for pack in self._packs(list(range(len(changes))), every, chosen):
            result[pack] = self._halving(
                lambda rows, some: self._changed_scores([changes[row] for row in rows], some), pack, list(chosen)
            )
        self.cost.forwards += len(changes)
        return result

    def gated(self, gates: Tensor, *, candidates: Sequence[int] | None = None, probe: Probe | None = None) -> Tensor:
        """Scores [candidate] with learning-rate gates; a gradient flows back to `gates` if it asks for one.

        `gates` is [demo], or [layer or 1, head or 1, token of the prefix].
        """
        chosen = range(self.candidates) if candidates is None else candidates
        prefix = self._prefix()
        new = list(prefix)
        leaves = self._attach(new, Memory(), len(prefix) - 1, 0, chosen)
        forest = Forest(tuple(new), by_demo=True, stretched=self.stretched)
        of_tokens = self._over_tokens(gates, forest)
        self.between()
        rows, at = _unique_rows(leaves)
        logits, _ = self._guard(lambda: run(self.model.network, forest, rows, gates=of_tokens, probe=probe), forest)
        self.cost.forwards += 1
        self.cost.tokens += len(forest.token_ids)
        return torch.stack([self._score(leaf, logits[[at[r] for r in leaf.rows]]) for leaf in leaves])

    def counted_backward(self, candidates: int = 1) -> None:
        """Add the cost of one backward pass for `candidates` packed candidates."""
        extra = sum(len(span.token_ids) for span in self.prompt.candidates[:candidates])
        self.cost.backwards += 1
        self.cost.tokens += 2 * (sum(len(span.token_ids) for span in self.prompt.prefix) + extra)

    @property
    def demo_of_token(self) -> NDArray[np.int64]:
        """Number of the demonstration each prefix token belongs to, -1 for none, [token]."""
        return Forest(self._prefix()).demo_of.numpy()

    def _prefix(self) -> tuple[Segment, ...]:
        demos = [None, *range(self.demos), None]
        return chain([span.token_ids for span in self.prompt.prefix], demos)

    def _over_tokens(self, gates: Tensor, forest: Forest) -> Tensor:
        if gates.dim() == 1:
            padded = torch.cat([gates.new_ones(1), gates])
            return padded[forest.demo_of.to(gates.device) + 1][None, None]
        missing = len(forest.demo_of) - gates.shape[-1]
        return torch.cat([gates, gates.new_ones(*gates.shape[:-1], missing)], dim=-1)

    def _packs(self, order: list[int], masks: NDArray[np.bool_], chosen: Sequence[int]) -> list[list[int]]:
        packs: list[list[int]] = []
        spent = self._pack + 1
        for row in order:
            cost = self._own_tokens(masks[row], chosen)
            if spent + cost > self._pack:
                packs.append([])
                spent = 0
            packs[-1].append(row)
            spent += cost
        return packs

    def _own_tokens(self, mask: NDArray[np.bool_], chosen: Sequence[int]) -> int:
        first_gap = int(np.argmin(mask)) if not mask.all() else len(mask)
        kept = sum(len(self.prompt.demos[k].token_ids) for k in range(first_gap, len(mask)) if mask[k])
        again = len(self._lead(chosen)) * (len(chosen) - 1)
        candidates = sum(len(self.prompt.candidates[c].token_ids) for c in chosen) - again
        return kept + len(self.prompt.query.token_ids) + candidates

    def _pack_scores(self, masks: NDArray[np.bool_], chosen: Sequence[int], removal: Removal) -> NDArray[np.float64]:
        stretched = self._beyond(masks[0], removal)
        known = self._remembered(stretched)
        new: list[Segment] = []
        leaves: list[_Leaf] = []
        nodes: dict[tuple[int, ...], int] = {}
        for subset, mask in enumerate(masks):
            query = self._grow(new, known, nodes, mask, removal)
            leaves += self._attach(new, known, query, subset, chosen)
        return self._run(new, known, leaves, keep=False, stretched=stretched)[0]

    def _changed_scores(self, changes: Sequence[DualChange], chosen: Sequence[int]) -> NDArray[np.float64]:
        known, query = self._remembered(self.stretched), self._prefix()[-1]
        new: list[Segment] = []
        leaves: list[_Leaf] = []
        for number in range(len(changes)):
            new.append(replace(query, change=number))
            leaves += self._attach(new, known, len(known.segments) + len(new) - 1, number, chosen)
        return self._run(new, known, leaves, keep=False, changes=changes, stretched=self.stretched)[0]

    def _halving(self, work: _Work, rows: list[int], chosen: list[int]) -> NDArray[np.float64]:
        """`work(rows, chosen)` [row, candidate]; out of memory does it again in halves, prompts first."""
        try:
            return work(rows, chosen)
        except torch.OutOfMemoryError as error:
            return self._halved(work, rows, chosen, error)

    def _halved(self, work: _Work, rows: list[int], chosen: list[int], error: Exception) -> NDArray[np.float64]:
        if len(rows) > 1:
            half = len(rows) // 2
            return np.concatenate([self._halving(work, part, chosen) for part in (rows[:half], rows[half:])])
        if len(chosen) > 1:
            half = len(chosen) // 2
            columns = [self._halving(work, rows, part) for part in (chosen[:half], chosen[half:])]
            return np.concatenate(columns, axis=1)
        raise ComputeError(
            f"out of memory on {self.model.device} with one prompt of {self.prompt.length} tokens and one candidate",
            expected="a shorter prompt, a smaller model or another device",
        ) from error

    def _remembered(self, stretched: bool) -> Memory:
        if stretched not in self._trunks:
            prefix = self._prefix()[:-1]
            if self._turn is not None and not stretched:  # What lies beyond is never read as in a short prompt.
                prefix = tuple(one for one in prefix if one.start + len(one.token_ids) <= self._turn)
            forest = Forest(prefix, stretched=stretched)
            _, memory = self._run_raw(forest, [len(prefix[0].token_ids) - 1], keep=True)
            assert memory is not None
            self._trunks[stretched] = memory
        return self._trunks[stretched]

    @property
    def stretched(self) -> bool:
        """Whether the whole prompt lies beyond the turning point of the network's rotations."""
        return beyond(self._turn, self.prompt.length)

    def _beyond(self, mask: NDArray[np.bool_], removal: Removal) -> bool:
        """The same for the prompt with some of its demonstrations."""
        if self._turn is None or removal == "gate":
            return self.stretched
        return beyond(self._turn, replace(self.prompt, demos=tuple(compress(self.prompt.demos, mask))).length)

    def _grow(
        self,
        new: list[Segment],
        known: Memory,
        nodes: dict[tuple[int, ...], int],
        mask: NDArray[np.bool_],
        removal: Removal,
    ) -> int:
        """Add the segments of one subset that no earlier one has; return the index of its query."""
        original = self._prefix()
        kept = tuple(int(k) for k in np.flatnonzero(mask))
        parent, position = 0, len(original[0].token_ids)
        for depth in range(len(kept) + 1):
            source = original[kept[depth] + 1] if depth < len(kept) else original[-1]
            path = kept[: depth + 1] if depth < len(kept) else (*kept, -1)
            start = position if removal == "text" else source.start
            index = nodes.get(path)
            if index is None:
                index = self._known(path, known)
            if index is None:
                index = len(known.segments) + len(new)
                new.append(replace(source, parent=parent, start=start))
            nodes[path] = index
            parent, position = index, start + len(source.token_ids)
        return parent

    def _known(self, path: tuple[int, ...], known: Memory) -> int | None:
        """The remembered segment at the end of `path`, if the path is a beginning of the whole prompt."""
        whole = (*range(self.demos), -1)
        at = len(path)
        return at if path == whole[:at] and at < len(known.segments) else None

    def _attach(self, new: list[Segment], known: Memory, query: int, subset: int, chosen: Sequence[int]) -> list[_Leaf]:
        """Add the candidates behind a query segment; say where their scores are to be read.

        Words that all of them begin with are a segment of their own, run once; equal candidates share one, so that
        their scores are equal too. The first token of a title is predicted by the row before it, which is why queries
        are never remembered.
        """
        segments = (*known.segments, *new)
        end = segments[query].start + len(segments[query].token_ids)
        lead, parent = self._lead(chosen), query
        before = [_rows(segments, query, known)[-1]]
        if lead:
            parent = len(segments)
            new.append(Segment(lead, query, end, change=segments[query].change))
            before += _rows((*known.segments, *new), parent, known)
        leaves, rows = [], dict[tuple[int, ...], tuple[int, ...]]()
        for candidate in chosen:
            ids = self.prompt.candidates[candidate].token_ids
            if ids not in rows:
                new.append(Segment(ids[len(lead) :], parent, end + len(lead), change=segments[query].change))
                own = _rows((*known.segments, *new), len(known.segments) + len(new) - 1, known)
                rows[ids] = (*before, *own[:-1]) if self.prompt.answer_ids is None else (own[-1],)
            leaves.append(_Leaf(subset, candidate, rows[ids], ids if self.prompt.answer_ids is None else ()))
        return leaves

    def _lead(self, chosen: Sequence[int]) -> tuple[int, ...]:
        """The tokens that all chosen candidates begin with, if they are worth a segment of their own."""
        spans = [self.prompt.candidates[candidate].token_ids for candidate in chosen]
        longest = min(len(ids) for ids in spans) - 1  # Every candidate keeps a token of its own.
        count = next((place for place in range(longest) if len({ids[place] for ids in spans}) > 1), longest)
        return spans[0][:count] if len(spans) > 1 and count >= SHORTEST_SHARED else ()

    def _run(
        self,
        new: list[Segment],
        known: Memory,
        leaves: list[_Leaf],
        *,
        keep: bool,
        changes: Sequence[DualChange] = (),
        stretched: bool,
    ) -> tuple[NDArray[np.float64], Memory | None]:
        rows, at = _unique_rows(leaves)
        forest = Forest(tuple(new), known, stretched=stretched)
        logits, memory = self._run_raw(forest, rows, keep=keep, changes=changes)
        subsets = max(leaf.subset for leaf in leaves) + 1
        scores = torch.stack([self._score(leaf, logits[[at[r] for r in leaf.rows]]) for leaf in leaves])
        table = scores.double().cpu().numpy().reshape(subsets, -1)
        if not np.isfinite(table).all():
            raise ComputeError("the model gave scores that are not finite numbers", expected="finite logits")
        return table, memory

    def _run_raw(
        self, forest: Forest, rows: Sequence[int], *, keep: bool, changes: Sequence[DualChange] = ()
    ) -> tuple[Tensor, Memory | None]:
        self.between()
        with torch.no_grad():
            result = run(self.model.network, forest, rows, keep=keep, changes=changes)
        self.cost.tokens += len(forest.token_ids)
        return result

    def _guard(self, work: Callable[[], tuple[Tensor, Memory | None]], forest: Forest) -> tuple[Tensor, Memory | None]:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            raise ComputeError(
                f"out of memory on {self.model.device} in one pass over {len(forest.token_ids)} tokens",
                expected="a shorter prompt, fewer candidates, a smaller model or another device",
            ) from error

    def _score(self, leaf: _Leaf, logits: Tensor) -> Tensor:
        """One candidate's score from its rows' logits [row, vocab]."""
        if self.prompt.answer_ids is not None:
            yes, no = self.prompt.answer_ids
            return logits[-1, yes] - logits[-1, no]
        ids = torch.tensor(leaf.next_ids, device=logits.device)
        each = logits.gather(1, ids[:, None])[:, 0] - torch.logsumexp(logits, dim=1)
        return each.sum() if self.aggregate == "sum" else each.mean()


def _rows(segments: Sequence[Segment], index: int, known: Memory) -> range:
    """Rows of a segment among the tokens that are not remembered."""
    first = sum(len(segment.token_ids) for segment in segments[:index]) - known.tokens
    return range(first, first + len(segments[index].token_ids))


def _unique_rows(leaves: Sequence[_Leaf]) -> tuple[list[int], dict[int, int]]:
    rows = sorted({row for leaf in leaves for row in leaf.rows})
    return rows, {row: number for number, row in enumerate(rows)}

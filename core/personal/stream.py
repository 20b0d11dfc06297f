"""Scores of prompts that grow with a user's stream: what the last prompt ran is not run again.

A new interaction becomes the newest demonstration, behind all the others; and as its history is the one that the last
query showed, even its beginning is remembered. What candidates have in common at their beginning (`Will the user like
the movie`) is run once. So a step costs the end of one demonstration, the query, and the candidates' own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ComputeError
from core.lm.forward.forest import Forest, Memory, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import beyond, turning_point
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.score import Aggregate, Cost
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel


@dataclass(frozen=True)
class _Plan:
    """One pass over what a prompt adds to the remembered tokens."""

    trunk: tuple[int, ...]
    """Tokens that every candidate continues: the prefix, and what the candidates share at their beginning."""
    reused: int
    """How many of them are remembered."""
    new: tuple[Segment, ...]
    """The rest of the trunk, then each candidate's own tokens."""
    rows: tuple[tuple[int, ...], ...]
    """[candidate] rows of the pass whose logits make its score."""


class StreamScorer:
    """Scores prompts one after the other, each from the longest beginning that it shares with those before.

    The beginning is found by comparing token ids, so any prompt may follow any other. `between` is called before every
    pass and may raise `Cancelled`; the object can be used afterwards. It belongs to one job and one thread.
    """

    def __init__(
        self, model: LanguageModel, *, aggregate: Aggregate = "sum", between: Callable[[], None] = lambda: None
    ) -> None:
        self.model, self.aggregate, self.between = model, aggregate, between
        self.cost = Cost()
        self._memory = Memory()

    @property
    def remembered(self) -> int:
        """Tokens whose keys and values are kept for the next prompt."""
        return self._memory.tokens

    def score(self, prompt: Prompt) -> NDArray[np.float64]:
        """Scores [candidate] in nats, equal to those of `Scorer(model, prompt).full()`.

        One pass; out of memory falls back to many small ones, with nothing remembered. Raises `ComputeError` when even
        those do not fit, or when a score is not a finite number.
        """
        stretched = beyond(turning_point(self.model.network.config), prompt.length)
        usable = self._memory.segments and self._memory.stretched is stretched
        plan = _planned(prompt, self._memory.segments[0].token_ids if usable else ())
        try:
            scores = self._read(prompt, plan, self._run(plan, stretched))
        except torch.OutOfMemoryError:
            scores = self._in_packs(prompt)
        if not np.isfinite(scores).all():
            raise ComputeError("the model gave scores that are not finite numbers", expected="finite logits")
        self.cost.forwards += 1
        return scores

    def _run(self, plan: _Plan, stretched: bool) -> Tensor:
        """Logits [row, vocab] of the plan's rows in order, each once; the trunk is remembered."""
        known = _beginning(self._memory, plan.reused)
        forest = Forest(plan.new, known, stretched=stretched)
        self.between()
        with torch.no_grad():
            logits, memory = run(self.model.network, forest, _distinct(plan.rows), keep=True)
        self.cost.tokens += len(forest.token_ids)
        assert memory is not None
        kept = memory.first(len(known.segments) + 1)
        self._memory = Memory((Segment(plan.trunk, None, 0),), kept.keys, kept.values, stretched)
        return logits

    def _read(self, prompt: Prompt, plan: _Plan, logits: Tensor) -> NDArray[np.float64]:
        at = {row: line for line, row in enumerate(_distinct(plan.rows))}
        if prompt.answer_ids is not None:
            yes, no = prompt.answer_ids
            margins: NDArray[np.float64] = (logits[:, yes] - logits[:, no]).double().cpu().numpy()
            return margins[[at[rows[-1]] for rows in plan.rows]]
        norms = torch.logsumexp(logits, dim=1)
        scores = []
        for rows, span in zip(plan.rows, prompt.candidates, strict=True):
            lines = torch.tensor([at[row] for row in rows], device=logits.device)
            each = logits[lines, torch.tensor(span.token_ids, device=logits.device)] - norms[lines]
            scores.append(float(each.sum() if self.aggregate == "sum" else each.mean()))
        return np.array(scores)

    def _in_packs(self, prompt: Prompt) -> NDArray[np.float64]:
        self._memory = Memory()
        scorer = ManyScorer(self.model, aggregate=self.aggregate, between=self.between)
        table = scorer.scores([prompt])
        self.cost.tokens += scorer.cost.tokens
        first: NDArray[np.float64] = table[0]
        return first


def _planned(prompt: Prompt, known: tuple[int, ...]) -> _Plan:
    prefix = tuple(token for span in prompt.prefix for token in span.token_ids)
    candidates = [span.token_ids for span in prompt.candidates]
    shared = min(_common(candidates), min(map(len, candidates)) - 1)
    trunk = (*prefix, *candidates[0][:shared])
    # The prefix's last row foretells titles, so at least that token is run.
    reused = min(_common([trunk, known]), len(prefix) - 1)
    rest = Segment(trunk[reused:], 0 if reused else None, reused)
    own = {ids: Segment(ids[shared:], 1 if reused else 0, len(trunk)) for ids in candidates}
    rows, first = {}, len(rest.token_ids)
    for ids, segment in own.items():
        line = [*range(len(prefix) - 1 - reused, len(rest.token_ids)), *range(first, first + len(segment.token_ids))]
        rows[ids] = tuple(line[-1:] if prompt.answer_ids is not None else line[:-1])
        first += len(segment.token_ids)
    return _Plan(trunk, reused, (rest, *own.values()), tuple(rows[ids] for ids in candidates))


def _common(sequences: Sequence[tuple[int, ...]]) -> int:
    """Tokens at the beginning that all sequences have in common."""
    columns = enumerate(zip(*sequences, strict=False))
    return next((place for place, tokens in columns if len(set(tokens)) > 1), min(map(len, sequences)))


def _beginning(memory: Memory, tokens: int) -> Memory:
    if tokens == 0:
        return Memory()
    return Memory(
        (Segment(memory.segments[0].token_ids[:tokens], None, 0),),
        tuple(keys[:, :tokens] for keys in memory.keys),
        tuple(values[:, :tokens] for values in memory.values),
        memory.stretched,
    )


def _distinct(rows: Sequence[tuple[int, ...]]) -> list[int]:
    return sorted({row for line in rows for row in line})

"""The usual ways of scoring: one prompt at a time through an untouched network, or a cache copied per candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.case_list import PromptSubject
from core.lm.forward.forest import Forest, Segment, chain
from core.lm.forward.forward_pass import run


def forward(network: Any, token_ids: Sequence[int], keep: int = 1) -> Tensor:
    """Logits [keep, vocab] of the last `keep` positions, no cache."""
    with torch.no_grad():
        output = network(input_ids=torch.tensor([list(token_ids)]), use_cache=False, logits_to_keep=keep)
    logits: Tensor = output.logits[0]
    return logits


def target_score(network: Any, subject: PromptSubject, mask: NDArray[np.bool_] | None = None) -> float:
    """The target candidate's score by one plain forward over the written-out prompt."""
    ids = subject.prompt.candidates[subject.target].token_ids
    if subject.prompt.answer_ids is not None:
        return _answer(forward(network, subject.ids(mask))[-1], subject)
    return _title(forward(network, subject.ids(mask), len(ids) + 1)[:-1], ids)


def by_copied_cache(network: Any, subject: PromptSubject) -> list[float]:
    """All candidates' scores as a library user writes it: the prefix once, its cache repeated, padded candidates."""
    prefix = [token for span in subject.prompt.prefix for token in span.token_ids]
    titles = [span.token_ids for span in subject.prompt.candidates]
    width = max(map(len, titles))
    padded = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in titles])
    lengths = torch.tensor([len(ids) for ids in titles])
    mask = torch.arange(len(prefix) + width)[None] < (len(prefix) + lengths)[:, None]
    with torch.no_grad():
        first = network(input_ids=torch.tensor([prefix]), use_cache=True, logits_to_keep=1)
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(titles))
        rest = network(input_ids=padded, attention_mask=mask.long(), past_key_values=cache, use_cache=True).logits
    return [_score(subject, first.logits[0, -1:], rest[place, : len(ids)], ids) for place, ids in enumerate(titles)]


def by_second_pass(network: Any, subject: PromptSubject) -> list[float]:
    """All candidates' scores by our own network in two passes: the prefix, then all candidates on its memory."""
    spans = subject.prompt.prefix
    prefix = chain([span.token_ids for span in spans], [None] * len(spans))
    length = sum(len(span.token_ids) for span in spans)
    titles = [span.token_ids for span in subject.prompt.candidates]
    with torch.no_grad():
        first, memory = run(network, Forest(prefix), [length - 1], keep=True)
        assert memory is not None
        new = tuple(Segment(ids, len(prefix) - 1, length) for ids in titles)
        logits, _ = run(network, Forest(new, memory), range(sum(map(len, titles))))
    ends = np.cumsum([len(ids) for ids in titles])
    return [_score(subject, first, logits[end - len(ids) : end], ids) for end, ids in zip(ends, titles, strict=True)]


def _score(subject: PromptSubject, before: Tensor, rows: Tensor, ids: Sequence[int]) -> float:
    """Score of one candidate from the logits before its first token [1, vocab] and after each token [token, vocab]."""
    if subject.prompt.answer_ids is not None:
        return _answer(rows[-1], subject)
    return _title(torch.cat([before, rows[:-1]]), ids)


def _answer(logits: Tensor, subject: PromptSubject) -> float:
    assert subject.prompt.answer_ids is not None
    yes, no = subject.prompt.answer_ids
    return float(logits[yes] - logits[no])


def _title(logits: Tensor, ids: Sequence[int]) -> float:
    each = logits.gather(1, torch.tensor(list(ids))[:, None])[:, 0] - torch.logsumexp(logits, dim=1)
    return float(each.sum())

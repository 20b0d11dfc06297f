"""Scores of a tree of prompts by a server: the same numbers that a pass over the tree gives with the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError
from core.lm.server.calls import LogprobQuery
from core.lm.server.model_server import ModelServer

if TYPE_CHECKING:
    from core.lm.scoring.tree import Node, Tree
    from core.prompt.spans import Prompt

SCORES_ONLY = "a server gives scores only: no gradients, no gates, no layers and no hidden states"


def tree_scores(
    server: ModelServer,
    tree: Tree,
    *,
    between: Callable[[], None] = lambda: None,
    in_flight: int | None = None,
    shuffle: int | None = None,
) -> NDArray[np.float64]:
    """The score in nats of each end of `tree`, [end]: logit(Yes) - logit(No), or the sum over the title's tokens.

    Equal token sequences are scored once. Raises `RequestError` for masked demonstrations and changed dual models.
    """
    queries = [_query(*end) for end in tree.ends]
    distinct = list(dict.fromkeys(queries))
    values = server.logprobs(distinct, between=between, in_flight=in_flight, shuffle=shuffle)
    scores = {each: _score(each, numbers) for each, numbers in zip(distinct, values, strict=True)}
    return np.array([scores[each] for each in queries], dtype=np.float64)


def _score(query: LogprobQuery, values: list[float]) -> float:
    return values[0] - values[1] if query.labels else sum(values)


def _query(end: Node, prompt: Prompt, candidate: int) -> LogprobQuery:
    ids = _ids(end)
    if prompt.answer_ids is not None:
        return LogprobQuery(ids, len(ids), prompt.answer_ids)
    return LogprobQuery(ids, len(ids) - len(prompt.candidates[candidate].token_ids))


def _ids(end: Node) -> tuple[int, ...]:
    """The tokens from the start of the prompt; a gap in their positions stands for a masked demonstration."""
    ids: list[int] = []
    for node in end.line():
        if node.start != len(ids) or node.change is not None:
            raise RequestError(SCORES_ONLY, expected="a model folder for this")
        ids += node.ids
    return tuple(ids)

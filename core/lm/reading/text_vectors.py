"""What a short text means to a model: the mean of the last hidden states of its words.

As in ReLLa (arXiv 2308.11131), which finds related items by the mean hidden state of their descriptions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from core.lm.forward.forest import Forest, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.output_head import wide
from core.lm.reading.packs import Vectors, read_in_packs, width_of
from core.lm.scoring.sweep import Cost, most_tokens

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

LONGEST_TEXT = 64
"""Tokens of a text that are read; of a longer one its beginning."""


def text_vectors(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    cue: str,
    cost: Cost | None = None,
    pack_tokens: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> Vectors:
    """Mean of the last hidden states (the input of the output layer) over the tokens of each text, [text, hidden].

    Every text is read alone behind the words `cue`, as an answer behind a question; the cue's own tokens, the first of
    which are unlike any other in most models, take no part in the mean. A text that gives no token has zeros. All are
    packed behind one cue into few passes of at most `pack_tokens` tokens; equal texts are read once. `between` is
    called before every pass and may raise `Cancelled`; `cost` counts the tokens run. Raises `ComputeError` where a
    text does not fit into memory or a hidden state is not a finite number.
    """
    opening = model.tokenizer.opening(cue, chat=False).token_ids
    distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    ids = [model.tokenizer.reply(text, chat=False).token_ids[:LONGEST_TEXT] for text in distinct]
    spent = Cost() if cost is None else cost

    def read(places: Sequence[int]) -> Vectors:
        between()
        rows = [ids[place] for place in places]
        spent.forwards += 1
        spent.tokens += len(opening) + sum(map(len, rows))
        return _means(model, opening, rows)

    budget = (pack_tokens or most_tokens(model.device)) - len(opening)
    lengths = [len(row) for row in ids]
    vectors = read_in_packs(model, lengths, read, budget)
    return vectors[[distinct[text] for text in texts]]


@contextlib.contextmanager
def head_inputs(network: Any, *, first_row_only: bool = False) -> Iterator[list[Tensor]]:
    """What the output layer reads in the passes of this block, [1, row, hidden] each.

    With `first_row_only` it then works on one row only: no logits are computed that nobody reads.
    """
    states: list[Tensor] = []

    def note(_layer: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        states.append(inputs[0])
        return (inputs[0][:, :1], *inputs[1:]) if first_row_only else None

    handle = network.get_output_embeddings().register_forward_pre_hook(note)
    try:
        yield states
    finally:
        handle.remove()


def _means(model: LanguageModel, opening: tuple[int, ...], rows: Sequence[tuple[int, ...]]) -> Vectors:
    """Mean hidden states [text, hidden] in one pass; zeros for a text without tokens."""
    read = [place for place, ids in enumerate(rows) if ids]
    means = np.zeros((len(rows), width_of(model.network)), dtype=np.float32)
    if not read:
        return means
    parent = 0 if opening else None
    texts = tuple(Segment(rows[place], parent, len(opening)) for place in read)
    forest = Forest((Segment(opening, None, 0), *texts) if opening else texts)
    with torch.no_grad(), head_inputs(model.network, first_row_only=True) as states:
        run(model.network, forest, range(len(forest.token_ids)))
    hidden = wide(states[0][0])
    ranges = forest.ranges[1:] if opening else forest.ranges
    means[read] = torch.stack([hidden[tokens].mean(dim=0) for tokens in ranges]).float().cpu().numpy()
    return means

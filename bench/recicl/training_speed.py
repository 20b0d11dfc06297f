"""Time of learning from whole lists against a plain transformers and PEFT loop over the same prompts.

The plain loop has one sequence for each candidate, the whole prompt before it, padded to one batch. Both loops learn
the same LoRA matrices from the same scores, which are compared before anything is timed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.case_list import Bench
from bench.record_store import RECICL_RECORDS, CaseRecord
from bench.results_table import ResultRow, as_row
from bench.spread import ratio_interval
from bench.timing import timed
from core.data.dataset import Dataset
from core.errors import ComputeError
from core.lm.forward.attention import prepare
from core.lm.loading.load import LanguageModel
from core.lm.scoring.tree import prefix_ids
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt
from core.tuning.evaluation.evaluation_plan import ids_of
from core.tuning.list_examples import ListExample
from core.tuning.training.answer_loss import precision
from core.tuning.training.batches import training_set
from core.tuning.training.list_loss import EncodedList, encode_list, list_losses, list_scores, ranking_loss
from core.tuning.training.lora import attach_lora
from core.tuning.training.objectives import ListObjective
from core.tuning.training.training_settings import TuningSettings

LISTS = 6
"""Lists of each family that are timed, after one that is not."""
LEAST = ">= 1.3"
AGREEMENT = 0.05
"""Most nats by which a score may differ between the loops: both multiply in bfloat16 where the machine can."""
SIZE = {"rank": 8, "alpha": 16}


def training_speed_rows(bench: Bench) -> Iterator[ResultRow]:
    """Rows for each family: time and tokens of the plain loop over ours, forward and backward."""
    for family in FAMILIES:
        rows = _lists(bench.model, bench.dataset, family, bench.seed)
        content = [bench.model.model_id, bench.model.device, ids_of([row.prompt for row in rows])]
        record = RECICL_RECORDS.record("speed", content, partial(_timed, bench.model, rows))
        ours, plain = (np.array(record[name], dtype=np.float64) for name in ("ours", "plain"))
        tokens = sum(map(_plain_tokens, rows[1:])) / sum(row.tokens for row in rows[1:])
        what = f"tuning on lists, {family}, 8 demonstrations and 16 candidates ({len(ours)} lists)"
        yield as_row(f"{what}: time of a plain transformers and PEFT loop / ours", ratio_interval(plain, ours), LEAST)
        yield as_row(f"{what}: tokens that the plain loop runs / those of ours", (tokens,))


def _timed(model: LanguageModel, rows: Sequence[EncodedList]) -> CaseRecord:
    """Seconds of both loops for all rows but the first, on copies of the network."""
    packed, plain = _learner(model.network), _learner(model.network)
    prepare(packed)
    plain.set_attn_implementation("sdpa")
    _check(packed, plain, rows[0])
    seconds = [(_time(packed, row, _packed_loss), _time(plain, row, _plain_loss)) for row in rows]
    ours, theirs = zip(*seconds[1:], strict=True)
    return {"ours": list(ours), "plain": list(theirs)}


def _learner(network: Any) -> Any:
    """A copy in single precision with fresh LoRA matrices."""
    twin = copy.deepcopy(network).float()
    attach_lora(twin, base="bench", **SIZE, dropout=0.0, seed=0)
    return twin.train()


def _lists(model: LanguageModel, dataset: Dataset, family: Family, seed: int) -> list[EncodedList]:
    settings = TuningSettings(
        loss="list",
        families=(family,),
        demos=8,
        history=5,
        dropped=0.0,
        shorten=0.0,
        scoring="sum",
        answer_weight=0.0,
        batch=LISTS + 1,
        most_examples=10 * LISTS,
        validation_examples=0,
        seed=seed,
    )

    def encode(family: Family, row: ListExample) -> EncodedList:
        return encode_list(row, dataset, model.tokenizer, family=family, scoring="sum", context=model.context)

    return ListObjective(training_set(settings, dataset), dataset, encode, ()).batch(0)


def _packed_loss(network: Any, row: EncodedList) -> Tensor:
    return list_losses(network, [row], answer_weight=0.0, temperature=1.0, autocast=True).sum()


def _plain_loss(network: Any, row: EncodedList) -> Tensor:
    return ranking_loss(_plain_scores(network, row.prompt))


def _plain_scores(network: Any, prompt: Prompt) -> Tensor:
    """Scores [candidate] from one padded batch with a sequence for each candidate."""
    before = list(prefix_ids(prompt))
    ends = [list(span.token_ids) for span in prompt.candidates]
    width = len(before) + max(map(len, ends))
    ids = torch.tensor([before + end + [0] * (width - len(before) - len(end)) for end in ends])
    most = max(map(len, ends))
    with precision(network.device.type, True):
        logits = network(input_ids=ids.to(network.device), logits_to_keep=most + 1, use_cache=False).logits.float()
    return torch.stack([_score(rows, end, prompt) for rows, end in zip(logits, ends, strict=True)])


def _score(rows: Tensor, end: Sequence[int], prompt: Prompt) -> Tensor:
    """Of one candidate, from the logits after the last token of the prefix and those that follow."""
    if prompt.answer_ids is not None:
        yes, no = prompt.answer_ids
        return rows[len(end), yes] - rows[len(end), no]
    each = torch.log_softmax(rows[: len(end)], dim=-1)
    return each[range(len(end)), list(end)].sum()


def _check(packed: Any, plain: Any, row: EncodedList) -> None:
    with torch.no_grad():
        scores = list_scores(packed, [row], autocast=False).scores[0]
        others = _plain_scores(plain, row.prompt)
    apart = float((scores - others.double()).abs().max())
    if not apart <= AGREEMENT * max(1.0, float(scores.abs().max())):
        raise ComputeError(f"scores of the two loops differ by {apart:.3f} nats", expected="the same prompts")


def _time(network: Any, row: EncodedList, loss: Callable[[Any, EncodedList], Tensor]) -> float:
    """Seconds of one forward and backward pass."""
    seconds, _ = timed(lambda: torch.autograd.backward(loss(network, row)))
    network.zero_grad(set_to_none=True)
    return seconds


def _plain_tokens(row: EncodedList) -> int:
    before = len(prefix_ids(row.prompt))
    return sum(before + len(span.token_ids) for span in row.prompt.candidates)

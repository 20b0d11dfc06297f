"""The costs of a robustness sweep and of the label-free scores of a large pool, against the naive way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bench import plain_forward
from bench.case_list import Bench, packed_ids
from bench.constants import BUILD, DEMOS
from bench.record_store import LRGD_RECORDS, CaseRecord
from bench.results_table import ResultRow, as_row
from bench.spread import quartiles
from bench.timing import timed
from core.analysis.quality.pool import label_free
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.perturbations import KINDS, REPEATS, STRENGTHS
from core.analysis.setting import Setting, prompt_of, setting_for
from core.analysis.subject import item_ids
from core.data.demonstrations import by_ids
from core.data.peers import peers_before
from core.data.records import Demonstration
from core.lm.scoring.encoded import Encoded
from core.lm.scoring.many import ManyScorer, separate_tokens
from core.prompt.spans import Prompt
from core.question.case_spec import CaseSpec

POOL = 1_000
SWEEP_DEMOS = DEMOS
UNWRITTEN = BUILD / "encodings"
"""Where encodings would lie; nothing is ever written there."""


# ---- robustness sweep


def sweep_of(bench: Bench, spec: CaseSpec) -> CaseRecord:
    """Seconds and tokens of one sweep over a case's variants, and of as many naive prompts."""
    spec = spec.model_copy(update={"demos": SWEEP_DEMOS})
    return bench.record(LRGD_RECORDS, "sweep", spec.model_dump(mode="json"), lambda: time_sweep(bench, spec))


def time_sweep(bench: Bench, spec: CaseSpec) -> CaseRecord:
    """Kinds take turns between the sweep and the naive prompts, so that a busy machine slows both.

    The sweep also scores the case as it is; the naive side does not. A naive prompt is one plain forward of the
    untouched network over the prompt with all its candidates, with the rows of logits that scores need.
    """
    setting = setting_for(spec, bench.dataset, bench.model)
    _naive(bench, [setting.prompt])  # The first pass also pays for loading and allocations.
    ManyScorer(bench.model).scores([setting.prompt])
    scorer, count, naive_tokens = ManyScorer(bench.model), 0, 0
    seconds, naive = timed(lambda: scorer.remember(setting.prompt))[0], 0.0
    for kind in KINDS:
        perturbed = variants(setting, kinds=[kind], strengths=STRENGTHS, repeats=REPEATS)
        prompts = [prompt_of_variant(setting, variant) for variant in perturbed]
        if not prompts:
            continue
        seconds += timed(partial(scorer.scores, prompts))[0]
        naive += timed(partial(_naive, bench, prompts))[0]
        naive_tokens += separate_tokens(prompts)
        count += len(prompts)
    return {
        "family": spec.family,
        "variants": count,
        "seconds": seconds,
        "naive_seconds": naive,
        "tokens": scorer.cost.tokens,
        "naive_tokens": naive_tokens,
    }


def _naive(bench: Bench, prompts: Sequence[Prompt]) -> None:
    for prompt in prompts:
        titles = [len(span.token_ids) for span in prompt.candidates]
        rows = sum(titles) if prompt.answer_ids is None else len(titles)
        plain_forward.forward(bench.untouched, packed_ids(prompt), rows)


def sweep_rows(records: Sequence[CaseRecord]) -> list[ResultRow]:
    """The sweep's time and tokens over those of the naive prompts."""
    if not records:
        return []
    counts = [int(record["variants"]) for record in records]
    fewer = f" ({min(counts)} for next_item, which has no answers to flip)" if min(counts) < max(counts) else ""
    label = f"robustness sweep of {max(counts)}{fewer} variants / as many naive prompts"
    return [
        as_row(
            f"{label}, {name} ({len(records)} cases)",
            quartiles(np.array([record[field] / record[f"naive_{field}"] for record in records])),
            target,
        )
        for name, field, target in (("time", "seconds", "<= 0.5"), ("tokens", "tokens", None))
    ]


# ---- pool


def pool_of(bench: Bench, spec: CaseSpec) -> CaseRecord:
    """Tokens and seconds of the label-free scores of `POOL` demonstrations."""
    question = [POOL, spec.model_dump(mode="json")]
    return bench.record(LRGD_RECORDS, "pool", question, lambda: time_pool(bench, spec, POOL))


def time_pool(bench: Bench, spec: CaseSpec, size: int) -> CaseRecord:
    """Every demonstration is encoded anew and nothing is written, so that what the disk holds does not help."""
    setting = setting_for(spec.model_copy(update={"demos": 0}), bench.dataset, bench.model)
    demos = latest_of_others(setting, size)
    spans = [_alone(setting, demo) for demo in demos]
    instruction = setting.prompt.instruction.token_ids
    seconds, scores = timed(
        lambda: label_free(Encoded(bench.model, instruction, spans, limit_bytes=0, folder=UNWRITTEN))
    )
    return {
        "demos": len(demos),
        "tokens": scores.tokens,
        "each_once": scores.each_once,
        "seconds": seconds,
        "cosine_error": scores.cosine_error,
    }


def latest_of_others(setting: Setting, size: int) -> tuple[Demonstration, ...]:
    """`size` demonstrations by other users known before the case's moment: the latest of each, then the one before."""
    peers = peers_before(setting.data, setting.case)
    ids: list[str] = []
    back = 0
    while len(ids) < size and any(peer.position > back for peer in peers):
        ids += [f"{peer.user_id}:{peer.position - back}" for peer in peers if peer.position > back]
        back += 1
    return by_ids(setting.data, setting.case, ids[:size], history=setting.spec.history)


def _alone(setting: Setting, demo: Demonstration) -> tuple[int, ...]:
    items = setting.data.items(sorted(item_ids(setting.case, (demo,))))
    prompt = prompt_of(setting.spec, setting.data, setting.model, setting.case, (demo,), items)
    return prompt.demos[0].token_ids


def pool_rows(records: Sequence[CaseRecord]) -> list[ResultRow]:
    """The pool's tokens over those of encoding each demonstration once, and its seconds."""
    rows = []
    for record in records:
        label = f"label-free quality of a pool of {record['demos']:,}"
        ratio = record["tokens"] / record["each_once"]
        rows += [
            as_row(f"{label}, tokens run / encoding each once", [ratio], "<= 1.2"),
            as_row(f"{label}, seconds", [record["seconds"]]),
            as_row(f"{label}, root mean square error of the sketched cosines", [record["cosine_error"]]),
        ]
    return rows

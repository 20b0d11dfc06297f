"""What do a robustness sweep and the label-free scores of a large pool cost, against the naive way?"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench import plain
from bench.case_list import Bench
from bench.clock import timed
from bench.lrgd.lrgd_records import FOLDER, kept
from bench.results_table import Row, row
from bench.run_records import Record
from bench.spread import quartiles
from core.analysis.quality.pool import label_free
from core.analysis.request import Request
from core.analysis.robustness.kinds import KINDS, REPEATS, STRENGTHS
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.setting import Setting, prompt_of, set_up
from core.analysis.subject import item_ids
from core.data.demonstrations import by_ids
from core.data.peers import peers_before
from core.data.records import Demonstration
from core.lm.scoring.encoded import Encoded
from core.lm.scoring.many import ManyScorer, separate_tokens
from core.prompt.spans import Prompt

POOL = 1_000
SWEEP_DEMOS = 8
NO_FOLDER = FOLDER / "encodings"
"""Where encodings would lie; nothing is ever written there."""


# ---- robustness sweep


def sweep_of(bench: Bench, asked: Request) -> Record:
    """Seconds and tokens of one sweep over a case's variants, and of as many naive prompts."""
    wanted = asked.model_copy(update={"demos": SWEEP_DEMOS})
    return kept(bench, "sweep", wanted.model_dump(mode="json"), lambda: swept(bench, wanted))


def swept(bench: Bench, asked: Request) -> Record:
    """Kinds take turns between the sweep and the naive prompts, so that a busy machine slows both.

    The sweep also scores the case as it is; the naive side does not. A naive prompt is one plain forward of the
    untouched network over the prompt with all its candidates, with the rows of logits that scores need.
    """
    setting = set_up(asked, bench.dataset, bench.model)
    _naive(bench, [setting.prompt])  # The first pass also pays for loading and allocations.
    ManyScorer(bench.model).scores([setting.prompt])
    scorer, count, naive_tokens = ManyScorer(bench.model), 0, 0
    seconds, naive = timed(lambda: scorer.remember(setting.prompt))[0], 0.0
    for kind in KINDS:
        made = variants(setting, kinds=[kind], strengths=STRENGTHS, repeats=REPEATS)
        prompts = [prompt_of_variant(setting, one) for one in made]
        if not prompts:
            continue
        seconds += _seconds_of_sweep(scorer, prompts)
        naive += _seconds_of_naive(bench, prompts)
        naive_tokens += separate_tokens(prompts)
        count += len(prompts)
    return {
        "family": asked.family,
        "variants": count,
        "seconds": seconds,
        "naive_seconds": naive,
        "tokens": scorer.cost.tokens,
        "naive_tokens": naive_tokens,
    }


def _seconds_of_sweep(scorer: ManyScorer, prompts: Sequence[Prompt]) -> float:
    return timed(lambda: scorer.scores(prompts))[0]


def _seconds_of_naive(bench: Bench, prompts: Sequence[Prompt]) -> float:
    return timed(lambda: _naive(bench, prompts))[0]


def _naive(bench: Bench, prompts: Sequence[Prompt]) -> None:
    for prompt in prompts:
        titles = [len(span.token_ids) for span in prompt.candidates]
        rows = sum(titles) if prompt.answer_ids is None else len(titles)
        ids = [token for span in (*prompt.prefix, *prompt.candidates) for token in span.token_ids]
        plain.forward(bench.plain, ids, rows)


def sweep_rows(records: Sequence[Record]) -> list[Row]:
    """The sweep's time and tokens over those of the naive prompts."""
    if not records:
        return []
    counts = [int(one["variants"]) for one in records]
    fewer = f" ({min(counts)} for next_item, which has no answers to flip)" if min(counts) < max(counts) else ""
    count = f"{max(counts)}{fewer}"
    label = f"robustness sweep of {count} variants / as many naive prompts"
    ratios = {side: np.array([one[side] / one[f"naive_{side}"] for one in records]) for side in ("seconds", "tokens")}
    return [
        row(f"{label}, time ({len(records)} cases)", quartiles(ratios["seconds"]), "<= 0.5"),
        row(f"{label}, tokens ({len(records)} cases)", quartiles(ratios["tokens"])),
    ]


# ---- pool


def pool_of(bench: Bench, asked: Request) -> Record:
    """Tokens and seconds of the label-free scores of `POOL` demonstrations."""
    return kept(bench, "pool", [POOL, asked.model_dump(mode="json")], lambda: pooled(bench, asked, POOL))


def pooled(bench: Bench, asked: Request, size: int) -> Record:
    """Every demonstration is encoded anew and nothing is written, so that what the disk holds does not help."""
    setting = set_up(asked.model_copy(update={"demos": 0}), bench.dataset, bench.model)
    demos = latest_of_others(setting, size)
    spans = [_alone(setting, demo) for demo in demos]
    start = time.perf_counter()
    encoded = Encoded(bench.model, setting.prompt.instruction.token_ids, spans, limit_bytes=0, folder=NO_FOLDER)
    found = label_free(encoded)
    return {
        "demos": len(demos),
        "tokens": found.tokens,
        "each_once": found.each_once,
        "seconds": time.perf_counter() - start,
        "cosine_error": found.cosine_error,
    }


def latest_of_others(setting: Setting, size: int) -> tuple[Demonstration, ...]:
    """`size` demonstrations by other users known before the case's moment: the latest of each, then the one before."""
    peers = peers_before(setting.dataset, setting.case)
    ids: list[str] = []
    back = 0
    while len(ids) < size and any(peer.position > back for peer in peers):
        ids += [f"{peer.user_id}:{peer.position - back}" for peer in peers if peer.position > back]
        back += 1
    return by_ids(setting.dataset, setting.case, ids[:size], history=setting.request.history)


def _alone(setting: Setting, demo: Demonstration) -> tuple[int, ...]:
    items = setting.dataset.items(sorted(item_ids(setting.case, (demo,))))
    prompt = prompt_of(setting.request, setting.dataset, setting.model, setting.case, (demo,), items)
    return prompt.demos[0].token_ids


def pool_rows(records: Sequence[Record]) -> list[Row]:
    """The pool's tokens over those of encoding each demonstration once, and its seconds."""
    rows = []
    for one in records:
        label = f"label-free quality of a pool of {one['demos']:,}"
        rows.append(row(f"{label}, tokens run / encoding each once", [one["tokens"] / one["each_once"]], "<= 1.2"))
        rows.append(row(f"{label}, seconds", [one["seconds"]]))
        rows.append(row(f"{label}, root mean square error of the sketched cosines", [one["cosine_error"]]))
    return rows

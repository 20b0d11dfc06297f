"""The rival ContextCite: its answers, and what they cost.

The package (context-cite 0.0.4, arXiv 2409.00729) is not imported: it needs spaCy, NLTK and datasets, and fetches a
file from the network on import. Its published settings are taken over line by line: masks from
RandomState(seed).choice with keep probability 0.5, a log-odds target, standardised masks, Lasso with alpha 0.01,
one prompt per forward pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import plain_forward
from bench.case_list import Bench, PromptSubject
from bench.timing import timed
from core.analysis.explain.ablation import lasso_fit
from core.analysis.values import Array, Masks
from core.prompt.families import Family

COUNTS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of ablations after which its answer is looked at."""
MOST = COUNTS[-1]
KEEP = 0.5
REPEATS = 5
"""Sets of masks; its figures are means over them, because its masks do not depend on the case."""
TIMED = 8
"""Ablations of a case that are really run and timed."""

FOOTNOTE = (
    "ContextCite by its published settings (package 0.0.4 not imported: it needs spaCy, NLTK and datasets): "
    "keep probability 0.5, log-odds target, Lasso alpha 0.01, one ablated prompt per plain forward pass with logits of "
    f"the last positions only. {TIMED} of its ablations are run and timed in every case and scaled by tokens; its fits "
    f"cost it nothing; its scores come from the table of all subsets; means over {REPEATS} sets of masks."
)


def masks_of(count: int, demos: int, base_seed: int = 0) -> Masks:
    """The package's ablation masks [count, demo], `_create_mask` with seeds from `base_seed` on."""
    shares = [1 - KEEP, KEEP]
    return np.array(
        [np.random.RandomState(seed + base_seed).choice([False, True], size=demos, p=shares) for seed in range(count)]
    )


def row_of(masks: Masks) -> NDArray[np.int64]:
    """Place of each mask in the order of `all_masks`."""
    return np.asarray(masks.astype(np.int64) @ (1 << np.arange(masks.shape[1])))


def log_odds(scores: Array, family: Family) -> Array:
    """Its target: a yes/no score is a log-odds already; for a title log p - log(1 - p)."""
    if family == "yes_no":
        return scores
    return np.asarray(scores - np.log1p(-np.exp(np.minimum(scores, -1e-12))))


def answer(truth: Array, family: Family, count: int, repeat: int = 0) -> Array:
    """Its contributions [demo] after `count` ablations, looked up in the scores of all subsets."""
    demos = int(np.log2(len(truth)))
    masks = masks_of(count, demos, repeat * MOST)
    return lasso_fit(masks, log_odds(truth, family)[row_of(masks)])


def tokens_of(subject: PromptSubject, count: int) -> float:
    """Tokens of its first `count` ablated prompts, mean over the sets of masks."""
    demos = len(subject.prompt.demos)
    sizes = np.array([len(span.token_ids) for span in subject.prompt.demos])
    always = len(subject.ids(np.zeros(demos, dtype=bool)))
    return float(np.mean([(masks_of(count, demos, r * MOST) @ sizes + always).sum() for r in range(REPEATS)]))


def seconds_of(bench: Bench, subject: PromptSubject, masks: Masks) -> tuple[float, int]:
    """Seconds and tokens of the ablated prompts of `masks`, one plain forward each."""
    seconds, _ = timed(lambda: [plain_forward.target_score(bench.untouched, subject, mask) for mask in masks])
    return seconds, sum(len(subject.ids(mask)) for mask in masks)

"""Does recommending under a regularised or perturbed dual model flip less often, and rank no worse?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.cases import Bench
from bench.lrgd_records import kept
from bench.records import Record
from bench.spread import Array, mean_interval
from bench.table import Row, aligned, row
from core.analysis.request import Request
from core.analysis.robustness.inference import choose_setting, recommend
from core.analysis.robustness.kinds import REPEATS
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.settings import GRID, PLAIN, InferenceSettings
from core.analysis.robustness.sweep import departures, gains
from core.analysis.robustness.task import QUICK, QUICK_STRENGTH
from core.analysis.setting import set_up
from core.lm.score import Scorer

SAMPLES = 4
RANDOM = (0.1, 0.25)
"""The noise and the gate dropout that are tried: samples are dear, and the whole grid with 8 of them takes four times
as long as this choice of it."""


def _tried() -> tuple[InferenceSettings, ...]:
    random = [one for one in GRID if (one.sigma, one.dropout) in ((RANDOM[0], 0.0), (0.0, RANDOM[1]))]
    fewer = [one.model_copy(update={"samples": SAMPLES}) for one in random]
    return (*(one for one in GRID if not one.random), *fewer)


SETTINGS = _tried()
"""The plain model first."""
FEWER = (
    PLAIN,
    InferenceSettings(alpha=0.05),
    InferenceSettings(beta=0.25),
    InferenceSettings(sigma=RANDOM[0], samples=SAMPLES // 2),
    InferenceSettings(dropout=RANDOM[1], samples=SAMPLES // 2),
)
"""One of each kind, for several data sets in one run."""


def record_of(bench: Bench, asked: Request, tried: Sequence[InferenceSettings]) -> Record:
    """First places and NDCG of a case and its standard perturbations under every setting, the plain one first."""
    content = [asked.model_dump(mode="json"), [one.model_dump(mode="json") for one in tried]]
    return kept(bench, "inference", content, lambda: measured(bench, asked, tried))


def measured(bench: Bench, asked: Request, tried: Sequence[InferenceSettings]) -> Record:
    """By setting: whether each variant changes the setting's own first place, and NDCG@10 before and after."""
    setting = set_up(asked, bench.dataset, bench.model)
    made = variants(setting, kinds=QUICK, strengths=(QUICK_STRENGTH,), repeats=REPEATS)
    prompts = [setting.prompt, *(prompt_of_variant(setting, one) for one in made)]
    table = np.empty((len(tried), len(prompts), len(setting.case.candidates)))
    tokens = 0
    for place, prompt in enumerate(prompts):
        scorer = Scorer(bench.model, prompt)
        for number, one in enumerate(tried):
            table[number, place] = recommend(scorer, one, setting.case.seed).scores
        tokens += scorer.cost.tokens
    chosen = setting.case.candidates.index(str(setting.case.target))
    flips = [departures(scores[0], scores[1:]).flips for scores in table]
    worth = [gains(scores, chosen) for scores in table]
    return {
        "family": asked.family,
        "settings": [one.name for one in tried],
        "flips": [each.tolist() for each in flips],
        "ndcg": [each[1:].tolist() for each in worth],
        "ndcg_before": [float(each[0]) for each in worth],
        "passes": tokens / setting.prompt.length,
    }


def rows_of(records: Sequence[Record]) -> list[Row]:
    """The setting chosen on the first half of the cases, held against the plain model on the other half."""
    if not records:
        return []
    flips, worth, before = (table_of(records, name) for name in ("flips", "ndcg", "ndcg_before"))
    names, half = records[0]["settings"], len(records) // 2
    chosen = choose_setting(worth[:, :half], flips[:, :half])
    rest = len(records) - half
    rows = [
        row("plain inference, top-1 flip rate under the standard perturbations", mean_interval(flips[0])),
        row("plain inference, NDCG@10 under the standard perturbations", mean_interval(worth[0])),
    ]
    if chosen is None:
        words = f"no setting of {len(names) - 1} flips less than plain at no lower NDCG on the first {half} cases"
        return [*rows, row(words, [float("nan")], "<= 0", met=False)]
    label = f"{names[chosen]}, chosen of {len(names) - 1} on {half} cases, minus plain on {rest} others"
    fewer, gained = _apart(flips, chosen, half), _apart(worth, chosen, half)
    return [
        *rows,
        row(f"top-1 flip rate, {label}", fewer, "<= 0", met=fewer[0] < 0),
        row(f"NDCG@10 under the standard perturbations, {label}", gained, ">= 0"),
        row(f"NDCG@10 without perturbation, {label}", _apart(before, chosen, half)),
    ]


def table_of(records: Sequence[Record], name: str) -> Array:
    """Means over the variants, [setting, case]."""
    return np.array([[float(np.mean(each)) for each in one[name]] for one in records]).T


def _apart(table: Array, chosen: int, first: int) -> tuple[float, float, float]:
    return mean_interval(table[chosen, first:] - table[0, first:])


def text_of(records: Sequence[Record]) -> str:
    """One line a setting over all cases: means, and paired differences from the plain model."""
    flips, worth, before = (table_of(records, name) for name in ("flips", "ndcg", "ndcg_before"))
    lines = [("inference", "flip rate", "minus plain", "NDCG@10 perturbed", "minus plain", "NDCG@10 unperturbed")]
    for number, name in enumerate(records[0]["settings"]):
        cells = (*_cells(flips, number), *_cells(worth, number), f"{before[number].mean():.3f}")
        lines.append((name, *cells))
    return aligned(lines)


def _cells(table: Array, number: int) -> tuple[str, str]:
    apart, low, high = _apart(table, number, 0)
    return f"{table[number].mean():.3f}", f"{apart:+.3f} [{low:+.3f}, {high:+.3f}]"

"""Does recommending under a regularised or perturbed dual model flip less often, and rank no worse?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.case_list import Bench
from bench.lrgd.lrgd_records import kept
from bench.results_table import Row, row
from bench.run_records import Record
from bench.spread import Array, mean_interval
from core.analysis.request import Request
from core.analysis.robustness.inference import choose_setting, recommend
from core.analysis.robustness.inference_settings import GRID, PLAIN, InferenceSettings
from core.analysis.robustness.kinds import REPEATS
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.robustness_task import QUICK, QUICK_STRENGTH
from core.analysis.robustness.sweep import departures, gains
from core.analysis.setting import set_up
from core.cli.output import aligned
from core.lm.scoring.score import Scorer
from core.prompt.spans import Family

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
Tried = Callable[[Request, Sequence[Record]], Sequence[InferenceSettings]]
"""The ways of recommending a case, given the records of the cases before it; none leave the case out."""
GIVEN = (PLAIN, InferenceSettings(beta=0.1))
"""For other data: the plain model, and what the sample's cases choose for `yes_no` (for `next_item`: nothing)."""


def first_all(choosing: int) -> Tried:
    """Everything on the first `choosing` cases; after them the plain model and what they choose for a case's family."""

    def tried(asked: Request, records: Sequence[Record]) -> Sequence[InferenceSettings]:
        if len(records) < choosing:
            return SETTINGS
        found = chosen_of(_choosing(records), asked.family)
        return () if found is None else (SETTINGS[0], SETTINGS[found])

    return tried


def as_given(*_: object) -> Sequence[InferenceSettings]:
    """What was chosen before, on every case."""
    return GIVEN


def chosen_of(records: Sequence[Record], family: Family) -> int | None:
    """Number of the setting that flips least on a family's cases at no lower NDCG; None where no other beats plain."""
    own = [one for one in records if one["family"] == family]
    return choose_setting(table_of(own, "ndcg"), table_of(own, "flips")) if own else None


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
    """The plain model over all cases; then, by family, the setting chosen on some cases against it on the others.

    Records of two settings are the others: the setting was chosen before, on cases of its own.
    """
    if not records:
        return []
    rows = [
        row("plain inference, top-1 flip rate under the standard perturbations", _plain(records, "flips")),
        row("plain inference, NDCG@10 under the standard perturbations", _plain(records, "ndcg")),
    ]
    first = _choosing(records)
    for family in sorted({one["family"] for one in records}):
        own = [one for one in records if one["family"] == family and not _tries_all(one)]
        rows += _against_plain(family, own, first) if own else _undecided(family, first)
    return rows


def _choosing(records: Sequence[Record]) -> list[Record]:
    return [one for one in records if _tries_all(one)]


def _tries_all(record: Record) -> bool:
    return len(record["settings"]) > 2


def _plain(records: Sequence[Record], name: str) -> tuple[float, float, float]:
    return mean_interval(np.array([float(np.mean(one[name][0])) for one in records]))


def _against_plain(family: str, records: Sequence[Record], first: Sequence[Record]) -> list[Row]:
    source = "chosen on the sample's cases"
    if first:
        others = sum(one["family"] == family for one in first)
        source = f"chosen of {len(first[0]['settings']) - 1} on {others} other cases"
    label = f"{records[0]['settings'][1]} ({source}) minus plain ({len(records)} cases)"
    fewer, gained, before = (_apart(table_of(records, name), 1) for name in ("flips", "ndcg", "ndcg_before"))
    return [
        row(f"{family}, top-1 flip rate, {label}", fewer, "< 0"),
        row(f"{family}, NDCG@10 under the standard perturbations, {label}", gained, ">= 0"),
        row(f"{family}, NDCG@10 without perturbation, {label}", before),
    ]


def _undecided(family: Family, first: Sequence[Record]) -> list[Row]:
    own = [one for one in first if one["family"] == family]
    if chosen_of(own, family) is not None:
        return []
    words = f"no setting of {len(own[0]['settings']) - 1} flips less than plain at no lower NDCG@10"
    return [row(f"{family}, {words} ({len(own)} cases)", [float("nan")], "< 0", met=False)]


def table_of(records: Sequence[Record], name: str) -> Array:
    """Means over the variants, [setting, case]."""
    return np.array([[float(np.mean(each)) for each in one[name]] for one in records]).T


def _apart(table: Array, number: int) -> tuple[float, float, float]:
    return mean_interval(table[number] - table[0])


def text_of(records: Sequence[Record]) -> str:
    """One line a setting over the cases that try them all: means, and paired differences from the plain model."""
    records = _choosing(records)
    if not records:
        return ""
    flips, worth, before = (table_of(records, name) for name in ("flips", "ndcg", "ndcg_before"))
    lines = [("inference", "flip rate", "minus plain", "NDCG@10 perturbed", "minus plain", "NDCG@10 unperturbed")]
    for number, name in enumerate(records[0]["settings"]):
        cells = (*_cells(flips, number), *_cells(worth, number), f"{before[number].mean():.3f}")
        lines.append((name, *cells))
    return aligned(lines)


def _cells(table: Array, number: int) -> tuple[str, str]:
    apart, low, high = _apart(table, number)
    return f"{table[number].mean():.3f}", f"{apart:+.3f} [{low:+.3f}, {high:+.3f}]"

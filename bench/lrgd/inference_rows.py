"""Recommending under a regularised or perturbed dual model: how often it flips, and how well it ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.case_list import Bench
from bench.record_store import LRGD_RECORDS, CaseRecord, of_family
from bench.results_table import ResultRow, as_row, interval_text
from bench.spread import mean_interval
from core.analysis.robustness.inference import choose_setting, recommend
from core.analysis.robustness.inference_settings import GRID, PLAIN, InferenceSettings
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.perturbations import QUICK, REPEATS
from core.analysis.robustness.robustness_task import QUICK_STRENGTH
from core.analysis.robustness.sweep import departures, gains
from core.analysis.setting import setting_for
from core.analysis.values import Array
from core.cli.output import aligned
from core.lm.scoring.score import Scorer
from core.metrics.intervals import Interval
from core.prompt.families import Family
from core.question.case_spec import CaseSpec

SAMPLES = 4
RANDOM = (0.1, 0.25)
"""The noise and the gate dropout that are tried. Samples take long: the whole grid with 8 of them takes four times as
long as this choice of it."""


def _settings() -> tuple[InferenceSettings, ...]:
    random = [each for each in GRID if (each.sigma, each.dropout) in ((RANDOM[0], 0.0), (0.0, RANDOM[1]))]
    fewer = [each.model_copy(update={"samples": SAMPLES}) for each in random]
    return (*(each for each in GRID if not each.random), *fewer)


SETTINGS = _settings()
"""The plain model first."""
WaysOf = Callable[[CaseSpec, Sequence[CaseRecord]], Sequence[InferenceSettings]]
"""The ways of recommending a case, from the records of the cases before it; an empty sequence leaves the case out."""
CHOSEN = (PLAIN, InferenceSettings(beta=0.1))
"""For other data: the plain model, and what the sample's cases choose for `yes_no` (for `next_item`: nothing)."""


def first_all(choosing: int) -> WaysOf:
    """Everything on the first `choosing` cases; after them the plain model and what they choose for a case's family."""

    def ways_of(spec: CaseSpec, records: Sequence[CaseRecord]) -> Sequence[InferenceSettings]:
        if len(records) < choosing:
            return SETTINGS
        number = chosen_of(_choosing(records), spec.family)
        return () if number is None else (SETTINGS[0], SETTINGS[number])

    return ways_of


def as_chosen(*_: object) -> Sequence[InferenceSettings]:
    """What was chosen before, on every case."""
    return CHOSEN


def chosen_of(records: Sequence[CaseRecord], family: Family) -> int | None:
    """Number of the setting that flips least on a family's cases at no lower NDCG; None where no other beats plain."""
    records = of_family(records, family)
    return choose_setting(table_of(records, "ndcg"), table_of(records, "flips")) if records else None


def record_of(bench: Bench, spec: CaseSpec, ways: Sequence[InferenceSettings]) -> CaseRecord:
    """First places and NDCG of a case and its standard perturbations under every setting, the plain one first."""
    question = [spec.model_dump(mode="json"), [each.model_dump(mode="json") for each in ways]]
    return bench.record(LRGD_RECORDS, "inference", question, lambda: measure_case(bench, spec, ways))


def measure_case(bench: Bench, spec: CaseSpec, ways: Sequence[InferenceSettings]) -> CaseRecord:
    """By setting: whether each variant changes the setting's own first place, and NDCG@10 before and after."""
    setting = setting_for(spec, bench.dataset, bench.model)
    perturbed = variants(setting, kinds=QUICK, strengths=(QUICK_STRENGTH,), repeats=REPEATS)
    prompts = [setting.prompt, *(prompt_of_variant(setting, variant) for variant in perturbed)]
    table = np.empty((len(ways), len(prompts), len(setting.case.candidates)))
    tokens = 0
    for place, prompt in enumerate(prompts):
        scorer = Scorer(bench.model, prompt)
        for number, inference in enumerate(ways):
            table[number, place] = recommend(scorer, inference, setting.case.seed).scores
        tokens += scorer.cost.tokens
    chosen = setting.case.candidates.index(str(setting.case.target))
    flips = [departures(scores[0], scores[1:]).flips for scores in table]
    ndcg = [gains(scores, chosen) for scores in table]
    return {
        "family": spec.family,
        "settings": [inference.name for inference in ways],
        "flips": [each.tolist() for each in flips],
        "ndcg": [each[1:].tolist() for each in ndcg],
        "ndcg_before": [float(each[0]) for each in ndcg],
        "passes": tokens / setting.prompt.length,
    }


def rows_of(records: Sequence[CaseRecord]) -> list[ResultRow]:
    """The plain model over all cases; then, by family, the setting chosen on some cases against it on the others.

    Records of two settings are the others: the setting was chosen before, on cases of its own.
    """
    if not records:
        return []
    rows = [
        as_row("plain inference, top-1 flip rate under the standard perturbations", _plain(records, "flips")),
        as_row("plain inference, NDCG@10 under the standard perturbations", _plain(records, "ndcg")),
    ]
    first = _choosing(records)
    for family in sorted({record["family"] for record in records}):
        others = [record for record in of_family(records, family) if not _has_all_settings(record)]
        rows += _against_plain(family, others, first) if others else _undecided(family, first)
    return rows


def _choosing(records: Sequence[CaseRecord]) -> list[CaseRecord]:
    return [record for record in records if _has_all_settings(record)]


def _has_all_settings(record: CaseRecord) -> bool:
    return len(record["settings"]) > 2


def _plain(records: Sequence[CaseRecord], name: str) -> Interval:
    return mean_interval(table_of(records, name, settings=1)[0])


def _against_plain(family: str, records: Sequence[CaseRecord], first: Sequence[CaseRecord]) -> list[ResultRow]:
    source = "chosen on the sample's cases"
    if first:
        source = f"chosen of {len(first[0]['settings']) - 1} on {len(of_family(first, family))} other cases"
    label = f"{records[0]['settings'][1]} ({source}) minus plain ({len(records)} cases)"
    fewer, gained, before = (_apart(table_of(records, name), 1) for name in ("flips", "ndcg", "ndcg_before"))
    return [
        as_row(f"{family}, top-1 flip rate, {label}", fewer, "< 0"),
        as_row(f"{family}, NDCG@10 under the standard perturbations, {label}", gained, ">= 0"),
        as_row(f"{family}, NDCG@10 without perturbation, {label}", before),
    ]


def _undecided(family: Family, first: Sequence[CaseRecord]) -> list[ResultRow]:
    if chosen_of(first, family) is not None:
        return []
    records = of_family(first, family)
    words = f"no setting of {len(records[0]['settings']) - 1} flips less than plain at no lower NDCG@10"
    return [as_row(f"{family}, {words} ({len(records)} cases)", [float("nan")], "< 0", met=False)]


def table_of(records: Sequence[CaseRecord], name: str, settings: int | None = None) -> Array:
    """Means over the variants, [setting, case], of all settings or the first few."""
    return np.array([[float(np.mean(each)) for each in record[name][:settings]] for record in records]).T


def _apart(table: Array, number: int) -> Interval:
    return mean_interval(table[number] - table[0])


def text_of(records: Sequence[CaseRecord]) -> str:
    """One line a setting over the cases that try them all: means, and paired differences from the plain model."""
    records = _choosing(records)
    if not records:
        return ""
    flips, ndcg, before = (table_of(records, name) for name in ("flips", "ndcg", "ndcg_before"))
    lines = [("inference", "flip rate", "minus plain", "NDCG@10 perturbed", "minus plain", "NDCG@10 unperturbed")]
    for number, name in enumerate(records[0]["settings"]):
        cells = (*_cells(flips, number), *_cells(ndcg, number), f"{before[number].mean():.3f}")
        lines.append((name, *cells))
    return aligned(lines)


def _cells(table: Array, number: int) -> tuple[str, str]:
    return f"{table[number].mean():.3f}", interval_text(_apart(table, number), "+.3f")

"""How well each quality score ranks demonstrations by what they are really worth, over users."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from bench.case_list import Bench
from bench.constants import FAMILIES
from bench.record_store import LRGD_RECORDS, CaseRecord, of_family
from bench.results_table import ResultRow, as_row
from bench.spread import interval_of
from core.analysis.quality.score_rows import SCORES, TRUTHS, Truth
from core.analysis.quality.scored_case import floors, quality_scores
from core.analysis.quality.utility_run import CaseNumbers, report_over, true_utility
from core.analysis.quality.utility_run import rows_of as rows_over
from core.analysis.quality.utility_task import (
    LEAST_DEMOS,
    LEAST_STORED,
    UtilityReport,
    UtilityRow,
    UtilityTask,
)
from core.analysis.setting import Setting, setting_for
from core.analysis.values import Array
from core.cli.output import aligned
from core.errors import DemoLensError
from core.lm.scoring.score import Scorer
from core.prompt.families import Family

ORDER: tuple[Family, ...] = ("yes_no", "next_item", "yes_no")
"""Families in turns: `next_item` half as often."""
PROMISED = ("gain_proxy", "removal_score")
FIRST: Truth = "removal_score"
"""The truth that every family is shown for on its own."""


def settings(bench: Bench) -> Iterator[Setting]:
    """Cases one after the other, families in turns, until the users of the turn's family are used up.

    Each family goes through the bench's users from the first one on, as `demolens utility` does for that family.
    """
    by_family = {family: _settings_of(bench, family) for family in FAMILIES}
    for family in cycle(ORDER):
        setting = next(by_family[family], None)
        if setting is None:
            return
        yield setting


def _settings_of(bench: Bench, family: Family) -> Iterator[Setting]:
    for user, demos in bench.ranked():
        try:
            setting = setting_for(bench.case(user, family, demos=demos), bench.dataset, bench.model)
        except DemoLensError:
            continue
        if len(setting.prompt.demos) >= LEAST_DEMOS:
            yield setting


def record_of(bench: Bench, setting: Setting) -> CaseRecord:
    """Scores and truths of the demonstrations of one case."""
    question = setting.spec.model_dump(mode="json")
    return bench.record(LRGD_RECORDS, "utility", question, lambda: measure_case(bench, setting))


def measure_case(bench: Bench, setting: Setting) -> CaseRecord:
    """What a utility task measures on one case; undefined numbers are null."""
    scorers: list[Scorer] = []

    def scorer_of(other: Setting) -> Scorer:
        scorers.append(Scorer(bench.model, other.prompt))
        return scorers[-1]

    start = time.perf_counter()
    truths = true_utility(scorer_of(setting), setting.targets[0])
    scores = {**quality_scores(setting, scorer_of), **floors(setting)}
    return {
        "user": setting.spec.user,
        "family": setting.spec.family,
        "scores": _written(scores),
        "truths": _written(truths),
        "tokens": setting.prompt.length,
        "forwards": sum(scorer.cost.forwards for scorer in scorers),
        "passes": sum(scorer.cost.tokens for scorer in scorers) / setting.prompt.length,
        "seconds": time.perf_counter() - start,
    }


def _written(columns: Mapping[Any, Array]) -> dict[str, list[float | None]]:
    return {
        name: [value if math.isfinite(value) else None for value in column.tolist()] for name, column in columns.items()
    }


def numbers_of(record: CaseRecord) -> CaseNumbers:
    """A record as the utility check takes it."""
    scores = {name: _read(record["scores"][name]) for name in SCORES if name in record["scores"]}
    return CaseNumbers(scores, {name: _read(record["truths"][name]) for name in TRUTHS})


def _read(values: Sequence[float | None]) -> Array:
    return np.array([math.nan if value is None else value for value in values])


def cards(bench: Bench, records: Sequence[CaseRecord]) -> Iterator[UtilityReport]:
    """For each family the report of a utility check over its cases, as the project ships it for the page."""
    drawn = [user for user, _ in bench.ranked()]
    for family in FAMILIES:
        cases = of_family(records, family)
        if len(cases) < LEAST_STORED:
            continue
        spec = bench.case(cases[0]["user"], family)
        spent = {name: sum(case[name] for case in cases) for name in ("forwards", "passes", "seconds")}
        yield report_over(
            UtilityTask(case=spec, users=len(cases), users_seed=bench.seed),
            setting_for(spec, bench.dataset, bench.model),
            [numbers_of(case) for case in cases],
            skipped=drawn.index(cases[-1]["user"]) + 1 - len(cases),
            tokens=max(case["tokens"] for case in cases),
            **spent,
        )


def correlations(records: Sequence[CaseRecord]) -> tuple[UtilityRow, ...]:
    """Every score against every truth over the cases."""
    return rows_over([numbers_of(record) for record in records])


def rows_of(records: Sequence[CaseRecord]) -> list[ResultRow]:
    """Mean rank correlations over all cases, and per family with the fall of the target score on removal."""
    if not records:
        return []
    rows = [_row(correlation, "") for correlation in correlations(records)]
    for family in FAMILIES:
        of_truth = [each for each in correlations(of_family(records, family)) if each.truth == FIRST]
        rows += [_row(correlation, f", {family}") for correlation in of_truth]
    return rows


def _row(correlation: UtilityRow, where: str) -> ResultRow:
    names = f"{SCORES[correlation.score]} with the {TRUTHS[correlation.truth]}{where}"
    promised = (correlation.score, correlation.truth) == PROMISED and not where
    figures = interval_of(correlation.mean, correlation.low, correlation.high)
    return as_row(f"rank correlation of {names} ({correlation.cases} cases)", figures, ">= 0.4" if promised else None)


def text_of(records: Sequence[CaseRecord]) -> str:
    """One line a score and truth, both families apart, and whether it beats the floors over all cases."""
    lines = [("mean rank correlation", "cases", "both", *FAMILIES, "above 0 and every floor")]
    apart = [{(each.score, each.truth): each for each in correlations(of_family(records, f))} for f in FAMILIES]
    for row in correlations(records):
        each = [row, *(correlations_of.get((row.score, row.truth)) for correlations_of in apart)]
        cells = ["" if cell is None or cell.mean is None else f"{cell.mean:+.2f}" for cell in each]
        verdict = "floor" if row.is_floor else "yes" if row.predicts else "no"
        lines.append((f"{SCORES[row.score]}, {TRUTHS[row.truth]}", str(row.cases), *cells, verdict))
    return aligned(lines)

"""Which quality score ranks demonstrations by what they are really worth, over users?"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from bench.case_list import FAMILIES, Bench
from bench.lrgd.lrgd_records import kept
from bench.results_table import Row, row
from bench.run_records import Record
from core.analysis.quality.utility_run import CaseNumbers, floors, quality_scores, report_over, true_utility
from core.analysis.quality.utility_run import rows_of as rows_over
from core.analysis.quality.utility_task import (
    LEAST_DEMOS,
    LEAST_STORED,
    SCORES,
    TRUTHS,
    Truth,
    UtilityReport,
    UtilityRow,
    UtilityTask,
)
from core.analysis.setting import Setting, set_up
from core.analysis.subject import targets_for
from core.analysis.values import Array
from core.cli.output import aligned
from core.errors import DemoLensError
from core.lm.scoring.score import Scorer
from core.prompt.spans import Family

ORDER: tuple[Family, ...] = ("yes_no", "next_item", "yes_no")
"""Families in turns: `next_item` half as often."""
PROMISED = ("gain_proxy", "removal_score")
FIRST: Truth = "removal_score"
"""The truth that every family is shown for on its own."""


def settings(bench: Bench) -> Iterator[Setting]:
    """Cases one after the other, families in turns, until the users of the turn's family are used up.

    Each family goes through the bench's users from the first one on, as `demolens utility` does for that family.
    """
    of_family = {family: _of_family(bench, family) for family in FAMILIES}
    for family in cycle(ORDER):
        found = next(of_family[family], None)
        if found is None:
            return
        yield found


def _of_family(bench: Bench, family: Family) -> Iterator[Setting]:
    for user, demos in bench.ranked():
        try:
            made = set_up(bench.request(user, family, demos=demos), bench.dataset, bench.model)
        except DemoLensError:
            continue
        if len(made.prompt.demos) >= LEAST_DEMOS:
            yield made


def record_of(bench: Bench, setting: Setting) -> Record:
    """Scores and truths of the demonstrations of one case."""
    return kept(bench, "utility", setting.request.model_dump(mode="json"), lambda: measured(bench, setting))


def measured(bench: Bench, setting: Setting) -> Record:
    """What a utility task measures on one case; numbers that are not known are null."""
    scorers: list[Scorer] = []

    def scorer_of(asked: Setting) -> Scorer:
        scorers.append(Scorer(bench.model, asked.prompt))
        return scorers[-1]

    start = time.perf_counter()
    truths = true_utility(scorer_of(setting), targets_for(setting.request, setting.case)[0])
    scores = {**quality_scores(setting, scorer_of), **floors(setting)}
    return {
        "user": setting.request.user,
        "family": setting.request.family,
        "scores": _written(scores),
        "truths": _written(truths),
        "tokens": setting.prompt.length,
        "forwards": sum(one.cost.forwards for one in scorers),
        "passes": sum(one.cost.tokens for one in scorers) / setting.prompt.length,
        "seconds": time.perf_counter() - start,
    }


def _written(values: Mapping[Any, Array]) -> dict[str, list[float | None]]:
    return {name: [one if math.isfinite(one) else None for one in each.tolist()] for name, each in values.items()}


def numbers_of(record: Record) -> CaseNumbers:
    """A record as the utility check takes it."""
    scores = {name: _read(record["scores"][name]) for name in SCORES if name in record["scores"]}
    return CaseNumbers(scores, {name: _read(record["truths"][name]) for name in TRUTHS})


def _read(values: Sequence[float | None]) -> Array:
    return np.array([math.nan if one is None else one for one in values])


def cards(bench: Bench, records: Sequence[Record]) -> Iterator[UtilityReport]:
    """For each family the report of a utility check over its cases, as the project ships it for the page."""
    drawn = [user for user, _ in bench.ranked()]
    for family in FAMILIES:
        own = [one for one in records if one["family"] == family]
        if len(own) < LEAST_STORED:
            continue
        asked = bench.request(own[0]["user"], family)
        spent = {name: sum(one[name] for one in own) for name in ("forwards", "passes", "seconds")}
        yield report_over(
            UtilityTask(case=asked, cases=len(own), seed=bench.seed),
            set_up(asked, bench.dataset, bench.model),
            [numbers_of(one) for one in own],
            skipped=drawn.index(own[-1]["user"]) + 1 - len(own),
            tokens=max(one["tokens"] for one in own),
            **spent,
        )


def correlations(records: Sequence[Record]) -> tuple[UtilityRow, ...]:
    """Every score against every truth over the cases."""
    return rows_over([numbers_of(one) for one in records])


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Mean rank correlations over all cases, and per family with the fall of the target score on removal."""
    if not records:
        return []
    found = [_row(one, "") for one in correlations(records)]
    for family in FAMILIES:
        own = [one for one in records if one["family"] == family]
        found += [_row(one, f", {family}") for one in correlations(own) if one.truth == FIRST]
    return found


def _row(one: UtilityRow, where: str) -> Row:
    measure = f"rank correlation of {SCORES[one.score]} with the {TRUTHS[one.truth]}{where} ({one.cases} cases)"
    promised = (one.score, one.truth) == PROMISED and not where
    figures = [math.nan if value is None else value for value in (one.mean, one.low, one.high)]
    return row(measure, figures, ">= 0.4" if promised else None)


def text_of(records: Sequence[Record]) -> str:
    """One line a score and truth, both families apart, and whether it beats the floors over all cases."""
    lines = [("mean rank correlation", "cases", "both", *FAMILIES, "above 0 and every floor")]
    parts = {family: [one for one in records if one["family"] == family] for family in FAMILIES}
    apart = {family: {(o.score, o.truth): o for o in correlations(own)} for family, own in parts.items()}
    for one in correlations(records):
        each = [apart[family].get((one.score, one.truth)) for family in FAMILIES]
        cells = [_figure(None if found is None else found.mean) for found in each]
        verdict = "floor" if one.is_floor else "yes" if one.predicts else "no"
        lines.append((f"{SCORES[one.score]}, {TRUTHS[one.truth]}", str(one.cases), _figure(one.mean), *cells, verdict))
    return aligned(lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"

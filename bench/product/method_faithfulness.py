"""How well each method predicts what deleting demonstrations does, and after how much time.

LDS of a case = Spearman correlation, over all subsets of its demonstrations, between the sum of the contributions of
a subset and the score really obtained. A method that tells no demonstration from another has LDS 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.constants import FAMILIES
from bench.product import contextcite
from bench.product.curves import Curve, curve_rows
from bench.product.method_records import BUDGET, LATER, Measurement
from bench.record_store import CaseRecord
from bench.results_table import ResultRow, as_row, interval_text
from bench.spread import mean_interval, quartiles, ratio_interval
from core.analysis.explain.ablation import banzhaf_of_table, shapley_of_table
from core.analysis.values import Array, all_masks
from core.cli.output import aligned
from core.metrics.similarity import spearman

DEFAULT = "our default"
FIRST = "our first answer"
CITE = "ContextCite, 64 ablations"
PROMISES = (
    (FIRST, FIRST, ">= 0.70", "<= 0.12"),
    (DEFAULT, f"{DEFAULT} at its budget of {BUDGET:g} passes", ">= 0.92", "<= 0.33"),
)
"""Method, its label, and the targets of its LDS and of its time, both over ContextCite-64's."""
EARLY = 10.0
"""Passes of the default before."""
EARLY_DEFAULT, LATER_DEFAULT = (f"our default at {passes:g} passes" for passes in (EARLY, LATER))
LEAST_LDS = {EARLY_DEFAULT: ">= 0.83", LATER_DEFAULT: ">= 0.86"}
"""Of methods over all cases."""
INTERVALS_FROM = 8
"""Ablations from which on the intervals are promised to cover."""
ROUNDS: tuple[tuple[Measurement, ...], ...] = (("race",), ("race", "others"))
"""What is promised is measured on every case first; the other methods follow as far as time allows."""


@dataclass(frozen=True)
class CaseFigures:
    """What a case shows about every method."""

    family: str
    tokens: int
    lds: dict[str, float]
    share_of_time: dict[str, float]
    """Seconds as a share of ContextCite-64's, where the method was really run."""
    share_of_passes: dict[str, float]
    covered: dict[int, float]
    """Number of ablations -> share of the 90 % intervals that cover the Banzhaf value."""
    covered_at_default: float
    ours: Curve
    cite: Curve


def lds(values: Array, truth: Array) -> float:
    """LDS [-1, 1] of contributions [demo] against scores of all subsets; 0 where a side does not vary."""
    correlation = spearman(all_masks(len(values)) @ values, truth)
    return correlation if math.isfinite(correlation) else 0.0


def figures_of(record: CaseRecord) -> CaseFigures:
    """The figures of one case from its raw record."""
    truth, race = np.array(record["truth"]["scores"]), record["race"]
    whole = race["cite_seconds"][str(contextcite.MOST)]
    first, last = race["default"][0], race["default"][-1]
    others, ours = record.get("others", {}), {FIRST: first, DEFAULT: last}
    run = {**others, **ours}
    at = {EARLY_DEFAULT: _after(race["curve"], EARLY), LATER_DEFAULT: _after(race["curve"], LATER)}
    values = _values(others) | _of_table(truth) | _values({**ours, **at})
    cite = {n: _cite_lds(truth, record["family"], n) for n in contextcite.COUNTS}
    cited = {f"ContextCite, {n} ablations": n for n in (16, 32, 64)}
    return CaseFigures(
        family=record["family"],
        tokens=record["tokens"],
        lds={name: lds(each, truth) for name, each in values.items()} | {name: cite[n] for name, n in cited.items()},
        share_of_time={name: answer["seconds"] / whole for name, answer in run.items()}
        | {name: race["cite_seconds"][str(n)] / whole for name, n in cited.items()},
        share_of_passes={name: answer["passes"] / race["cite_passes"] for name, answer in run.items()},
        covered={answer["ablations"]: _covered(answer, truth) for answer in race["curve"]},
        covered_at_default=_covered(last, truth),
        ours={
            answer["ablations"]: (answer["seconds"] / whole, lds(np.array(answer["values"]), truth))
            for answer in race["curve"]
        },
        cite={n: (race["cite_seconds"][str(n)] / whole, cite[n]) for n in contextcite.COUNTS},
    )


def _after(answers: Sequence[CaseRecord], passes: float) -> CaseRecord:
    """The first answer that has used so many passes, or the last."""
    return next((answer for answer in answers if answer["passes"] >= passes), answers[-1])


def _values(answers: CaseRecord) -> dict[str, Array]:
    return {name: np.array(answer["values"]) for name, answer in answers.items()}


def _of_table(truth: Array) -> dict[str, Array]:
    demos = int(np.log2(len(truth)))
    without = [len(truth) - 1 - (1 << k) for k in range(demos)]
    return {
        "leave-one-out": truth[-1] - truth[without],
        "exact Shapley": shapley_of_table(truth, demos),
        "best additive (Banzhaf, all subsets)": banzhaf_of_table(truth, demos),
    }


def _cite_lds(truth: Array, family: Any, count: int) -> float:
    answers = [contextcite.answer(truth, family, count, repeat) for repeat in range(contextcite.REPEATS)]
    return float(np.mean([lds(values, truth) for values in answers]))


def _covered(answer: CaseRecord, truth: Array) -> float:
    banzhaf = banzhaf_of_table(truth, len(answer["values"]))
    inside = (np.array(answer["low"]) <= banzhaf) & (banzhaf <= np.array(answer["high"]))
    return float(inside.mean())


def by_family(cases: Sequence[CaseFigures]) -> dict[str, list[tuple[Curve, Curve]]]:
    """Our curve and ContextCite's by case, of both families and of each."""
    groups = {"both": list(cases)} | {name: [case for case in cases if case.family == name] for name in FAMILIES}
    return {name: [(case.ours, case.cite) for case in group] for name, group in groups.items() if group}


def rows_of(cases: Sequence[CaseFigures]) -> list[ResultRow]:
    """All rows of the part."""
    lengths = np.array([case.tokens for case in cases], dtype=np.float64)
    return [
        as_row("tokens of the prompts of part faithfulness", quartiles(lengths)),
        *_promised_rows(cases),
        *curve_rows([(case.ours, case.cite) for case in cases]),
        *_coverage_rows(cases),
        *_lds_rows(cases),
    ]


def _promised_rows(cases: Sequence[CaseFigures]) -> list[ResultRow]:
    rows = []
    for name, label, least, most in PROMISES:
        ours, cite = (np.array([case.lds[method] for case in cases]) for method in (name, CITE))
        times = np.array([case.share_of_time[name] for case in cases])
        passes = np.array([case.share_of_passes[name] for case in cases])
        rows += [
            as_row(f"{label}, LDS / ContextCite-64's", ratio_interval(ours, cite), least),
            as_row(f"{label}, time / ContextCite-64's", quartiles(times), most),
            as_row(f"{label}, tokens run / ContextCite-64's", quartiles(passes)),
        ]
    return rows


def _coverage_rows(cases: Sequence[CaseFigures]) -> list[ResultRow]:
    label = "90 % intervals that cover"
    later = [[share for n, share in case.covered.items() if n >= INTERVALS_FROM] for case in cases]
    numbers = sorted(set.intersection(*(set(case.covered) for case in cases)))
    shares = {
        f"{label}, at the default budget": [case.covered_at_default for case in cases],
        f"{label}, all answers with 8 ablations or more": [float(np.mean(each)) for each in later if each],
        **{f"{label}, after {n} ablations": [case.covered[n] for case in cases] for n in numbers},
    }
    targets = ["0.87 to 0.93", *[None] * (len(shares) - 1)]
    return [
        as_row(measure, mean_interval(np.array(each)), target)
        for (measure, each), target in zip(shares.items(), targets, strict=True)
    ]


def _lds_table(cases: Sequence[CaseFigures]) -> pd.DataFrame:
    """LDS [case, method], nan where a method was not measured; the index is the family."""
    return pd.DataFrame([case.lds for case in cases], index=[case.family for case in cases])


def _groups(column: pd.Series) -> dict[str, Array]:
    """A method's LDS over the cases that measured it: of both families, and of each."""
    column = column.dropna()
    return {"both": column.to_numpy()} | {name: column[column.index == name].to_numpy() for name in FAMILIES}


def _lds_rows(cases: Sequence[CaseFigures]) -> list[ResultRow]:
    rows = []
    for name, column in _lds_table(cases).items():
        groups = _groups(column)
        measured = len(groups["both"])
        short = "" if measured == len(cases) else f" ({measured} cases)"
        for group, values in groups.items():
            label = f"LDS, {name}" if group == "both" else f"LDS, {name}, {group}"
            least = LEAST_LDS.get(str(name)) if group == "both" else None
            rows.append(as_row(f"{label}{short}", mean_interval(values), least))
    return rows


def by_family_text(cases: Sequence[CaseFigures]) -> str:
    """One line a method: mean LDS over all and per family, the paired difference from ContextCite-64, and time."""
    lines = [("LDS of", "cases", "both", *FAMILIES, "minus ContextCite-64", "time / ContextCite-64's")]
    table = _lds_table(cases)
    for name in table.mean().sort_values(kind="stable").index:
        groups = _groups(table[name])
        means = [f"{values.mean():.3f}" if len(values) else "" for values in groups.values()]
        difference = mean_interval((table[name] - table[CITE]).dropna().to_numpy())
        times = [case.share_of_time[name] for case in cases if name in case.share_of_time]
        spent = f"{float(np.median(times)):.2f}" if times else ""
        lines.append((name, str(len(groups["both"])), *means, interval_text(difference, "+.3f"), spent))
    return aligned(lines)

"""How well does each method predict what deleting demonstrations does, and after how much time?

LDS of a case = Spearman correlation, over all subsets of its demonstrations, between the sum of the contributions of
those kept and the score really obtained. A method that tells no demonstration from another has LDS 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import contextcite, plain
from bench.case_list import DEMOS, FAMILIES, Bench
from bench.clock import Clock
from bench.product.curves import Curve, curve_rows, curves_json
from bench.results_table import BUILD, Row, row, write_json
from bench.run_records import BUDGET, Record, Step, record_of
from bench.spread import mean_interval, quartiles, ratio_interval
from core.analysis.explain.ablation import banzhaf_of_table, shapley_of_table
from core.analysis.values import Array, all_masks
from core.cli.output import aligned
from core.metrics.similarity import spearman

DEFAULT = "our default"
FIRST = "our first answer"
CITE = "ContextCite, 64 ablations"
INTERVALS_FROM = 8
"""Ablations from which on the intervals are promised to cover."""
ROUNDS: tuple[tuple[Step, ...], ...] = (("truth", "race"), ("truth", "race", "others"))
"""What is promised is measured on every case first; the other methods follow as far as time allows."""


@dataclass(frozen=True)
class Summary:
    """What one case says about every method."""

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
    found = spearman(all_masks(len(values)) @ values, truth)
    return found if math.isfinite(found) else 0.0


def summary_of(record: Record) -> Summary:
    """The figures of one case from its raw record."""
    truth = np.array(record["truth"]["found"]["scores"])
    race, others = record["race"]["found"], record.get("others", {}).get("found", {})
    whole = race["cite_seconds"][str(contextcite.MOST)]
    first, last = race["default"][0], race["default"][-1]
    values = {name: np.array(one["values"]) for name, one in others.items()} | _of_table(truth)
    values |= {FIRST: np.array(first["values"]), DEFAULT: np.array(last["values"])}
    cite = {n: _cite_lds(truth, record["family"], n) for n in contextcite.COUNTS}
    run = others | {FIRST: first, DEFAULT: last}
    cited = {f"ContextCite, {n} ablations": n for n in (16, 32, 64)}
    return Summary(
        family=record["family"],
        tokens=record["tokens"],
        lds={name: lds(one, truth) for name, one in values.items()} | {name: cite[n] for name, n in cited.items()},
        share_of_time={name: one["seconds"] / whole for name, one in run.items()}
        | {name: race["cite_seconds"][str(n)] / whole for name, n in cited.items()},
        share_of_passes={name: one["passes"] / race["cite_passes"] for name, one in run.items()},
        covered={one["ablations"]: _covered(one, truth) for one in race["curve"]},
        covered_at_default=_covered(last, truth),
        ours={one["ablations"]: (one["seconds"] / whole, lds(np.array(one["values"]), truth)) for one in race["curve"]},
        cite={n: (race["cite_seconds"][str(n)] / whole, cite[n]) for n in contextcite.COUNTS},
    )


def _of_table(truth: Array) -> dict[str, Array]:
    demos = int(np.log2(len(truth)))
    without = [len(truth) - 1 - (1 << k) for k in range(demos)]
    return {
        "leave-one-out": truth[-1] - truth[without],
        "exact Shapley": shapley_of_table(truth, demos),
        "best additive (Banzhaf, all subsets)": banzhaf_of_table(truth, demos),
    }


def _cite_lds(truth: Array, family: Any, count: int) -> float:
    each = [contextcite.answer(truth, family, count, repeat) for repeat in range(contextcite.REPEATS)]
    return float(np.mean([lds(one, truth) for one in each]))


def _covered(answer: Record, truth: Array) -> float:
    wanted = banzhaf_of_table(truth, len(answer["values"]))
    inside = (np.array(answer["low"]) <= wanted) & (wanted <= np.array(answer["high"]))
    return float(inside.mean())


def faithfulness(bench: Bench, count: int) -> Iterator[list[Row]]:
    """Rows so far, after every case; the curves lie in `build/bench-curves.json`."""
    subjects = bench.subjects(count)
    summaries: list[Summary] = []
    for _ in range(2):  # The first pass of either network also pays for loading and allocations.
        plain.target_score(bench.plain, subjects[0])
        subjects[0].score(bench.model).at(np.ones((1, DEMOS), dtype=bool))
    clock = Clock("faithfulness", len(ROUNDS) * len(subjects))
    for round_, steps in enumerate(ROUNDS):
        for place, subject in enumerate(subjects):
            one = summary_of(record_of(bench, subject, steps))
            summaries[place : place + 1] = [one]
            write_json(BUILD / "bench-curves.json", curves_json(_by_family(summaries)))
            what = f"round {round_ + 1}, {subject.family} {subject.strategy}"
            clock.tell(f"{what}: default {one.lds[DEFAULT]:.2f}, 64 abl. {one.lds[CITE]:.2f}")
            yield rows_of(summaries)
    print(by_family_text(summaries))
    print(contextcite.FOOTNOTE, end="\n\n")


def _by_family(summaries: Sequence[Summary]) -> dict[str, list[tuple[Curve, Curve]]]:
    groups = {"both": list(summaries)} | {name: [s for s in summaries if s.family == name] for name in FAMILIES}
    return {name: [(one.ours, one.cite) for one in group] for name, group in groups.items() if group}


def rows_of(summaries: Sequence[Summary]) -> list[Row]:
    """All rows of the part."""
    lengths = np.array([one.tokens for one in summaries], dtype=np.float64)
    return [
        row("tokens of the prompts of part faithfulness", quartiles(lengths)),
        *_promised(summaries),
        *curve_rows([(one.ours, one.cite) for one in summaries]),
        *_coverage(summaries),
        *_lds_rows(summaries),
    ]


def _promised(summaries: Sequence[Summary]) -> list[Row]:
    cite = _column(summaries, CITE)
    rows = []
    for name, least, most in ((FIRST, ">= 0.70", "<= 0.12"), (DEFAULT, ">= 0.92", "<= 0.33")):
        shown = name if name == FIRST else f"{name} at its budget of {BUDGET:g} passes"
        times = np.array([one.share_of_time[name] for one in summaries])
        passes = np.array([one.share_of_passes[name] for one in summaries])
        rows.append(row(f"{shown}, LDS / ContextCite-64's", ratio_interval(_column(summaries, name), cite), least))
        rows.append(row(f"{shown}, time / ContextCite-64's", quartiles(times), most))
        rows.append(row(f"{shown}, tokens run / ContextCite-64's", quartiles(passes)))
    return rows


def _coverage(summaries: Sequence[Summary]) -> list[Row]:
    at_default = np.array([one.covered_at_default for one in summaries])
    rows = [row("90 % intervals that cover, at the default budget", mean_interval(at_default), "0.85 to 0.95")]
    later = [np.mean([v for n, v in one.covered.items() if n >= INTERVALS_FROM]) for one in summaries if _reaches(one)]
    rows.append(row("90 % intervals that cover, all answers with 8 ablations or more", mean_interval(np.array(later))))
    for n in sorted(set.intersection(*(set(one.covered) for one in summaries))):
        each = np.array([one.covered[n] for one in summaries])
        rows.append(row(f"90 % intervals that cover, after {n} ablations", mean_interval(each)))
    return rows


def _reaches(summary: Summary) -> bool:
    return max(summary.covered) >= INTERVALS_FROM


def _lds_rows(summaries: Sequence[Summary]) -> list[Row]:
    rows = []
    for name in _names(summaries):
        having = _having(summaries, name)
        short = "" if len(having) == len(summaries) else f" ({len(having)} cases)"
        rows.append(row(f"LDS, {name}{short}", mean_interval(_column(having, name))))
        for family in FAMILIES:
            some = [one for one in having if one.family == family]
            rows.append(row(f"LDS, {name}, {family}{short}", mean_interval(_column(some, name))))
    return rows


def _names(summaries: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(name for one in summaries for name in one.lds))


def _having(summaries: Sequence[Summary], name: str) -> list[Summary]:
    return [one for one in summaries if name in one.lds]


def _column(summaries: Sequence[Summary], name: str) -> Array:
    return np.array([one.lds[name] for one in summaries])


def by_family_text(summaries: Sequence[Summary]) -> str:
    """One line a method: mean LDS over all and per family, the paired difference from ContextCite-64, and time."""
    lines = [("LDS of", "cases", "both", *FAMILIES, "minus ContextCite-64", "time / ContextCite-64's")]
    for name in sorted(_names(summaries), key=lambda one: float(_column(_having(summaries, one), one).mean())):
        having = _having(summaries, name)
        means = [_column([s for s in having if s.family in kind], name) for kind in (FAMILIES, *FAMILIES)]
        cells = [f"{float(one.mean()):.3f}" if len(one) else "" for one in means]
        apart, low, high = mean_interval(_column(having, name) - _column(having, CITE))
        times = [one.share_of_time[name] for one in having if name in one.share_of_time]
        spent = f"{float(np.median(times)):.2f}" if times else ""
        lines.append((name, str(len(having)), *cells, f"{apart:+.3f} [{low:+.3f}, {high:+.3f}]", spent))
    return aligned(lines)

"""Is the set that the two-stage search finds better than the usual ones, on the choice that it never saw?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.case_list import CANDIDATES, FAMILIES, Bench
from bench.lrgd.lrgd_records import kept
from bench.results_table import Row, row
from bench.run_records import Record
from bench.spread import Array, mean_interval, quartiles, resampled
from core.analysis.request import Request
from core.analysis.setting import Setting, set_up
from core.cli.output import aligned
from core.errors import DemoLensError
from core.lm.scoring.many import ManyScorer
from core.metrics.ranking import expected_ndcg
from core.prompt.spans import Family
from core.selection.heldout import Objective, held_out
from core.selection.improve import improve
from core.selection.improve_task import ImproveTask, SetRow

DEMOS, POOL, SEARCH = 4, 200, 100.0
OURS = "two-stage"
OTHERS: dict[str, dict[str, object]] = {
    "zero-shot": {"demos": 0},
    "most recent 4": {"strategy": "recent"},
    "BM25 4": {"strategy": "similar"},
    "random 4": {"strategy": "random"},
}
"""What the set is held against, as changes of the case's request."""
BETTER = "> 0"
LEVEL_TAIL = 0.05
"""Each end of the 90 % intervals."""


@dataclass(frozen=True)
class Measure:
    """One figure of a case under one set, higher is better; `promised` against every other set."""

    name: str
    family: Family
    of: Callable[[Record, str], float]
    promised: bool = False
    objective: Objective = "margin"
    """What the sets were judged by that it is taken of."""
    liked_only: bool = False
    both_answers: bool = False
    """Defined, or telling anything new, only where some true answers are Yes and some No."""

    @property
    def label(self) -> str:
        """Family and name, and the objective of the search where it is not the default."""
        judged = "" if self.objective == "margin" else f", set judged by the {self.objective}"
        return f"{self.family}, {self.name}{judged}"

    def having(self, records: Sequence[Record]) -> list[Record]:
        """The records that it is taken of."""
        own = [one for one in records if (one["family"], one["objective"]) == (self.family, self.objective)]
        return [one for one in own if one["liked"] or not self.liked_only]


def _target(record: Record, way: str) -> float:
    return float(record["scores"][way][record["target"]])


def _truth(record: Record, way: str) -> float:
    return _target(record, way) * (1 if record["liked"] else -1)


def _ndcg(record: Record, way: str) -> float:
    return expected_ndcg(np.array(record["scores"][way]), record["target"])


def auc(record: Record, way: str) -> float:
    """Share of the items never met that score below the target; equal scores count half."""
    scores = np.array(record["scores"][way])
    others = np.delete(scores, record["target"])
    own = scores[record["target"]]
    return float(np.mean(others < own) + np.mean(others == own) / 2)


MEASURES = (
    Measure("NDCG@10", "next_item", _ndcg, promised=True),
    Measure("target score, nats", "next_item", _target),
    Measure("AUC of the target against items never met", "yes_no", auc, promised=True),
    Measure("log-odds of the true answer, nats", "yes_no", _truth, promised=True, objective="truth", both_answers=True),
    Measure("log-odds of the true answer, nats", "yes_no", _truth, both_answers=True),
    Measure("log-odds of Yes for the target, nats", "yes_no", _target),
    Measure("NDCG@10", "yes_no", _ndcg),
    Measure("AUC of a liked target against items never met", "yes_no", auc, liked_only=True, both_answers=True),
)


def requests(bench: Bench, count: int) -> list[Request]:
    """`count` cases of as many users, families in turns, that have all the sets and a choice to hold out."""
    users = bench.users()
    return [_next(bench, users, FAMILIES[place % 2]) for place in range(count)]


def _next(bench: Bench, users: Iterator[str], family: Family) -> Request:
    for user in users:
        asked = bench.request(user, family, demos=DEMOS, candidates=CANDIDATES)
        try:
            if _whole(bench, asked):
                return asked
        except DemoLensError:
            continue
    raise SystemExit(f"bench: {bench.dataset.name} has too few users for so many cases")


def _whole(bench: Bench, asked: Request) -> bool:
    """Whether a case has every set and all candidates; raises a `DemoLensError` where it has no choice to hold out."""
    for change in OTHERS.values():
        made = _changed(bench, asked, change)
        if len(made.prompt.demos) != made.request.demos or len(made.case.candidates) != CANDIDATES:
            return False
    return bool(held_out(bench.dataset, made.case, count=1, negatives=1, both_answers=False))


def _changed(bench: Bench, asked: Request, change: dict[str, object]) -> Setting:
    return set_up(asked.model_copy(update=change), bench.dataset, bench.model)


def records_of(bench: Bench, asked: Request, taken: Sequence[Measure] = MEASURES) -> list[Record]:
    """The search's answer for a case, and all candidates' scores under it and under every other set.

    One record for each objective that the measures to be `taken` want.
    """
    objectives = dict.fromkeys(one.objective for one in taken if one.family == asked.family)
    return [_record_of(bench, asked, objective) for objective in objectives]


def _record_of(bench: Bench, asked: Request, objective: Objective) -> Record:
    task = ImproveTask(case=asked, k=DEMOS, pool=POOL, budget=SEARCH, objective=objective)
    found = kept(bench, "sets", task.model_dump(mode="json"), lambda: measured(bench, task))
    return {"objective": objective, **found}


def measured(bench: Bench, task: ImproveTask) -> Record:
    """Runs the search to its end, then scores the case once under each set."""
    *_, report = improve(task, dataset=bench.dataset, model=bench.model)
    assert report.best is not None
    assert report.zero_shot is not None
    changes: dict[str, dict[str, object]] = {OURS: {"demo_ids": report.best.demo_ids}, **OTHERS}
    settings = {way: _changed(bench, task.case, change) for way, change in changes.items()}
    table = ManyScorer(bench.model).scores([one.prompt for one in settings.values()])
    case = settings[OURS].case
    return {
        "family": task.case.family,
        "scores": {way: row.tolist() for way, row in zip(settings, table, strict=True)},
        "target": case.candidates.index(str(case.target)),
        "liked": _liked(settings[OURS]),
        "demo_ids": list(report.best.demo_ids),
        "best": _judged(report.best),
        "zero_shot": _judged(report.zero_shot),
        "search_passes": report.search_passes,
        "seconds": report.seconds,
        "stop": report.stop,
    }


def _judged(found: SetRow) -> Record:
    return {"objective": found.objective, "mean": found.mean}


def _liked(setting: Setting) -> bool:
    """Whether the user liked the case's target."""
    case, dataset = setting.case, setting.dataset
    later = dataset.history(case.user_id)[len(case.history) :]
    return dataset.liked(next(one for one in later if one.item_id == case.target))


def rows_of(records: Sequence[Record], taken: Sequence[Measure] = MEASURES) -> list[Row]:
    """The set against every other one, how it stands on the held-out choices, and what the search cost."""
    if not records:
        return []
    below = np.array([any(one["best"][key] < one["zero_shot"][key] for key in one["best"]) for one in records])
    empty = np.array([not one["demo_ids"] for one in records])
    spent = np.array([one["search_passes"] for one in records])
    most = (float(spent.max()), float(spent.min()), float(spent.max()))
    return [
        row(f"two-stage search, pool of {POOL}, K={DEMOS}, most full-prompt forwards", most, f"<= {SEARCH:g}"),
        row("two-stage search, seconds", quartiles(np.array([one["seconds"] for one in records]))),
        row("cases whose set is below zero-shot on the held-out choices, share", [float(below.mean())], "<= 0"),
        row("cases where no set is advised, share", [float(empty.mean())]),
        *(made for measure in taken for made in _compared(measure, measure.having(records))),
        *(_liked_apart(records) if any(one.both_answers for one in taken) else []),
    ]


def allowed(bench: Bench) -> tuple[Measure, ...]:
    """The measures that the data allow: all of them, or those that do with Yes as the only true answer."""
    return tuple(one for one in MEASURES if bench.dataset.has_ratings or not one.both_answers)


def means(records: Sequence[Record], taken: Sequence[Measure]) -> dict[str, str]:
    """The mean of every measure under every set, by the names of both, as a table shows it."""
    return {
        f"{measure.label}, {way}": f"{column(measure, way, having).mean():.3f} ({len(having)})"
        for measure in taken
        if (having := measure.having(records))
        for way in (OURS, *OTHERS)
    }


def column(measure: Measure, way: str, records: Sequence[Record]) -> Array:
    """The measure under one set, [case]."""
    return np.array([measure.of(one, way) for one in records])


def _compared(measure: Measure, records: Sequence[Record]) -> list[Row]:
    label = f"{measure.label} ({len(records)} cases)"
    ours = column(measure, OURS, records)
    rows = [row(f"{label}, two-stage set", mean_interval(ours))]
    for way in OTHERS:
        apart = mean_interval(ours - column(measure, way, records))
        target = BETTER if measure.promised else None
        rows.append(row(f"{label}, two-stage minus {way}", apart, target))
    return rows


def _liked_apart(records: Sequence[Record]) -> list[Row]:
    """AUC over cases: does a liked target score above another user's disliked one?"""
    own = [one for one in records if (one["family"], one["objective"]) == ("yes_no", "margin")]
    liked = np.array([one["liked"] for one in own], dtype=bool)
    label = f"yes_no, AUC of liked against disliked targets ({len(own)} cases)"
    scores = {way: np.array([_target(one, way) for one in own]) for way in (OURS, *OTHERS)}
    rows = [row(f"{label}, two-stage set", over_cases(scores[OURS], np.zeros(len(own)), liked, one_side=True))]
    return rows + [
        row(f"{label}, two-stage minus {way}", over_cases(scores[OURS], scores[way], liked)) for way in OTHERS
    ]


def over_cases(ours: Array, other: Array, liked: np.ndarray, *, one_side: bool = False) -> tuple[float, float, float]:
    """Difference of two AUCs over the same cases (or the first alone) with its paired bootstrap interval over cases.

    Scores and `liked` are [case]; nan where one answer is missing.
    """
    if liked.all() or not liked.any():
        return float("nan"), float("nan"), float("nan")

    def value(picks: np.ndarray) -> Array:
        first = _aucs(ours[picks], liked[picks])
        return first if one_side else first - _aucs(other[picks], liked[picks])

    draws = value(resampled(len(liked)))
    low, high = np.nanquantile(draws, [LEVEL_TAIL, 1 - LEVEL_TAIL])
    return float(value(np.arange(len(liked))[None])[0]), float(low), float(high)


def _aucs(scores: Array, liked: np.ndarray) -> Array:
    """AUC of each row of scores [draw, case]; nan where a draw has one answer only."""
    pairs = liked[:, :, None] & ~liked[:, None, :]
    apart = scores[:, :, None] - scores[:, None, :]
    won = ((apart > 0) + 0.5 * (apart == 0)) * pairs
    count = pairs.sum(axis=(1, 2))
    nothing = np.full(len(scores), np.nan)
    return np.asarray(np.divide(won.sum(axis=(1, 2)), count, out=nothing, where=count > 0))


def text_of(records: Sequence[Record]) -> str:
    """One line a measure: its mean under every set."""
    lines = [("mean on the held-out target", "cases", OURS, *OTHERS)]
    for measure in MEASURES:
        having = measure.having(records)
        cells = [f"{column(measure, way, having).mean():.3f}" if having else "" for way in (OURS, *OTHERS)]
        lines.append((measure.label, str(len(having)), *cells))
    return aligned(lines)

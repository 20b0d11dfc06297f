"""The set of the two-stage search against the usual ones, on the choice that the search never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.case_list import Bench
from bench.constants import ABOVE_ZERO, CANDIDATES, DEMOS, DRAWS, FAMILIES
from bench.record_store import LRGD_RECORDS, CaseRecord, of_family
from bench.results_table import ResultRow, as_row
from bench.spread import extremes, mean_interval, quartiles
from core.analysis.setting import Setting, setting_for
from core.analysis.values import Array
from core.cli.output import aligned
from core.comparison.kept_choice import kept_choice
from core.errors import DemoLensError
from core.lm.scoring.many import ManyScorer
from core.metrics import binary
from core.metrics.intervals import LEVEL
from core.metrics.ranking import expected_ndcg
from core.prompt.families import Family
from core.question.case_spec import CaseSpec
from core.selection.confirm import LEVEL as LARGEST_P
from core.selection.heldout import LEAST, held_out
from core.selection.improve import improve
from core.selection.improve_task import ImproveTask
from core.selection.objectives import Objective
from core.selection.verdict import stands

LARGEST, POOL, SEARCH = 16, 200, 50.0
OURS = "two-stage"
OTHERS: dict[str, dict[str, object]] = {
    "default": {},
    "zero-shot": {"demos": 0},
    f"liked together {DEMOS}": {"strategy": "co_likes"},
    f"neighbours {DEMOS}": {"strategy": "neighbours"},
    f"BM25 {DEMOS}": {"strategy": "similar"},
    f"most recent {DEMOS}": {"strategy": "recent"},
    f"random {DEMOS}": {"strategy": "random"},
}
OTHERS |= {way: {"demos": DEMOS, **change} for way, change in OTHERS.items() if "strategy" in change}
"""The sets that ours is compared with, as changes of the case's spec.

`default` is what was chosen for the data; the search starts from it.
"""


@dataclass(frozen=True)
class SetMeasure:
    """One figure of a case under one set, higher is better; `promised` against every other set."""

    name: str
    family: Family
    of: Callable[[CaseRecord, str], float]
    promised: bool = False
    objective: Objective | None = None
    """What the sets it is taken of were judged by; None is the default of the family."""
    liked_only: bool = False
    both_answers: bool = False
    """Defined, or telling anything new, only where some true answers are Yes and some No."""

    @property
    def label(self) -> str:
        """Family and name, and the objective of the search where it is not the default."""
        judged = "" if self.objective is None else f", set judged by the {self.objective}"
        return f"{self.family}, {self.name}{judged}"

    def having(self, records: Sequence[CaseRecord]) -> list[CaseRecord]:
        """The records that it is taken of."""
        records = _judged_by(records, self.family, self.objective)
        return [record for record in records if record["liked"] or not self.liked_only]

    def column(self, way: str, records: Sequence[CaseRecord]) -> Array:
        """The measure under one set, [case]."""
        return np.array([self.of(record, way) for record in records])


def _judged_by(records: Sequence[CaseRecord], family: Family, objective: Objective | None) -> list[CaseRecord]:
    return [record for record in of_family(records, family) if record["objective"] == objective]


def _target(record: CaseRecord, way: str) -> float:
    return float(record["scores"][way][record["target"]])


def _truth(record: CaseRecord, way: str) -> float:
    return _target(record, way) * (1 if record["liked"] else -1)


def _ndcg(record: CaseRecord, way: str) -> float:
    return expected_ndcg(np.array(record["scores"][way]), record["target"])


def auc(record: CaseRecord, way: str) -> float:
    """Share of the items never met that score below the target; equal scores count half."""
    scores = np.array(record["scores"][way])
    return binary.auc(scores, np.arange(len(scores)) == record["target"])


MEASURES = (
    SetMeasure("NDCG@10", "next_item", _ndcg, promised=True),
    SetMeasure("target score, nats", "next_item", _target),
    SetMeasure("AUC of the target against items never met", "yes_no", auc, promised=True),
    SetMeasure(
        "log-odds of the true answer, nats", "yes_no", _truth, promised=True, objective="truth", both_answers=True
    ),
    SetMeasure("log-odds of the true answer, nats", "yes_no", _truth, both_answers=True),
    SetMeasure("log-odds of Yes for the target, nats", "yes_no", _target),
    SetMeasure("NDCG@10", "yes_no", _ndcg),
    SetMeasure("AUC of a liked target against items never met", "yes_no", auc, liked_only=True, both_answers=True),
)


def specs(bench: Bench, count: int) -> list[CaseSpec]:
    """`count` cases of as many users, families in turns, that have all candidates and choices to hold out."""
    users = bench.users()
    return [_next(bench, users, FAMILIES[place % 2]) for place in range(count)]


def _next(bench: Bench, users: Iterator[str], family: Family) -> CaseSpec:
    for user in users:
        usual = {"strategy": CaseSpec().strategy, "order": CaseSpec().order}
        spec = bench.case(user, family, demos=DEMOS, candidates=CANDIDATES).model_copy(update=usual)
        try:
            if _whole(bench, spec):
                return spec
        except DemoLensError:
            continue
    raise SystemExit(f"bench: {bench.dataset.name} has too few users for so many cases")


def _whole(bench: Bench, spec: CaseSpec) -> bool:
    """Whether a case has all candidates; raises a `DemoLensError` where it has too few choices to hold out."""
    case = _changed(bench, spec, {}).case
    return len(case.candidates) == CANDIDATES and bool(
        held_out(bench.dataset, case, count=LEAST, negatives=1, family=spec.family)
    )


def _changed(bench: Bench, spec: CaseSpec, change: dict[str, object]) -> Setting:
    return setting_for(spec.model_copy(update=change), bench.dataset, bench.model)


def records_of(bench: Bench, spec: CaseSpec, measures: Sequence[SetMeasure] = MEASURES) -> list[CaseRecord]:
    """The search's answer for a case, and all candidates' scores under it and under every other set.

    One record for each objective that `measures` need.
    """
    objectives = dict.fromkeys(measure.objective for measure in measures if measure.family == spec.family)
    return [_record_of(bench, as_chosen(bench, spec), objective) for objective in objectives]


def as_chosen(bench: Bench, spec: CaseSpec) -> CaseSpec:
    """The case with the demonstrations chosen for its data, where they were chosen for its family."""
    choice = kept_choice(bench.dataset.dataset_id, spec.model, spec.adapter)
    if choice is None or choice.family != spec.family:
        return spec
    return spec.model_copy(update={name: getattr(choice, name) for name in ("strategy", "demos", "order", "each")})


def _record_of(bench: Bench, spec: CaseSpec, objective: Objective | None) -> CaseRecord:
    task = ImproveTask(case=spec, k=LARGEST, pool=POOL, budget=SEARCH, objective=objective)
    record = bench.record(LRGD_RECORDS, "sets", task.model_dump(mode="json"), lambda: search_and_score(bench, task))
    return {"objective": objective, **record}


def search_and_score(bench: Bench, task: ImproveTask) -> CaseRecord:
    """Runs the search to its end, then scores the case once under each set."""
    *_, report = improve(task, dataset=bench.dataset, model=bench.model)
    assert report.best is not None
    assert report.zero_shot is not None
    changes: dict[str, dict[str, object]] = {OURS: {"demo_ids": report.best.demo_ids}, **OTHERS}
    settings = {way: _changed(bench, task.case, change) for way, change in changes.items()}
    table = ManyScorer(bench.model).scores([setting.prompt for setting in settings.values()])
    case = settings[OURS].case
    return {
        "family": task.case.family,
        "scores": {way: scores.tolist() for way, scores in zip(settings, table, strict=True)},
        "target": case.candidates.index(str(case.target)),
        "liked": _liked(settings[OURS]),
        "demo_ids": list(report.best.demo_ids),
        "best": {"objective": report.best.objective, "mean": report.best.mean},
        "zero_shot": {"objective": report.zero_shot.objective, "mean": report.zero_shot.mean},
        "stands": stands(report),
        "confirmed": {row.against: {"gap": row.gap, "p": row.p} for row in report.confirmed or ()},
        "search_passes": report.search_passes,
        "seconds": report.seconds,
        "stop": report.stop,
    }


def _liked(setting: Setting) -> bool:
    """Whether the user liked the case's target."""
    case, dataset = setting.case, setting.data
    later = dataset.history(case.user_id)[len(case.history) :]
    return dataset.liked(next(met for met in later if met.item_id == case.target))


def rows_of(records: Sequence[CaseRecord], measures: Sequence[SetMeasure] = MEASURES) -> list[ResultRow]:
    """The set against every other one, its figures on the held-out choices, and the cost of the search."""
    if not records:
        return []
    below = np.array([any(each["best"][key] < each["zero_shot"][key] for key in each["best"]) for each in records])
    empty = np.array([not record["demo_ids"] for record in records])
    spent = np.array([record["search_passes"] for record in records])
    seconds = np.array([record["seconds"] for record in records])
    label = f"two-stage search, pool of {POOL}, K={LARGEST}, most full-prompt forwards"
    return [
        as_row(label, extremes(spent.max(), spent), f"<= {SEARCH:g}"),
        as_row("two-stage search, seconds", quartiles(seconds)),
        as_row("cases whose set is below zero-shot on the held-out choices, share", [float(below.mean())], "<= 0"),
        as_row("cases where no set is advised, share", [float(empty.mean())]),
        as_row("cases whose own demonstrations stand, share", [_share(records, lambda record: record["stands"])]),
        as_row(
            "cases whose set is better than chance would choose (p <= 0.05), share", [_share(records, _beats_chance)]
        ),
        *(row for measure in measures for row in _compared(measure, measure.having(records))),
        *(_liked_apart(records) if any(measure.both_answers for measure in measures) else []),
    ]


def _share(records: Sequence[CaseRecord], holds: Callable[[CaseRecord], bool]) -> float:
    return float(np.mean([holds(record) for record in records]))


def _beats_chance(record: CaseRecord) -> bool:
    test = record["confirmed"].get("chance")
    return test is not None and test["p"] <= LARGEST_P


def allowed(bench: Bench) -> tuple[SetMeasure, ...]:
    """The measures that the data allow: all of them, or those that do with Yes as the only true answer."""
    return tuple(measure for measure in MEASURES if bench.dataset.has_ratings or not measure.both_answers)


def means(records: Sequence[CaseRecord], measures: Sequence[SetMeasure]) -> dict[str, str]:
    """The mean of every measure under every set, by the names of both, as a table shows it."""
    return {
        f"{measure.label}, {way}": f"{measure.column(way, having).mean():.3f} ({len(having)})"
        for measure in measures
        if (having := measure.having(records))
        for way in (OURS, *OTHERS)
    }


def _compared(measure: SetMeasure, records: Sequence[CaseRecord]) -> list[ResultRow]:
    label = f"{measure.label} ({len(records)} cases)"
    ours = measure.column(OURS, records)
    rows = [as_row(f"{label}, two-stage set", mean_interval(ours))]
    for way in OTHERS:
        apart = mean_interval(ours - measure.column(way, records))
        rows.append(as_row(f"{label}, two-stage minus {way}", apart, ABOVE_ZERO if measure.promised else None))
    return rows


def _liked_apart(records: Sequence[CaseRecord]) -> list[ResultRow]:
    """AUC over cases: does a liked target score above another user's disliked one?"""
    records = _judged_by(records, "yes_no", None)
    liked, users = [record["liked"] for record in records], [str(place) for place in range(len(records))]
    label = f"yes_no, AUC of liked against disliked targets ({len(records)} cases)"
    scores = {way: [_target(record, way) for record in records] for way in (OURS, *OTHERS)}
    aucs = replace(binary.over_users(scores, liked, users, draws=DRAWS), level=LEVEL)
    return [
        as_row(f"{label}, two-stage set", aucs.interval(OURS)),
        *(as_row(f"{label}, two-stage minus {way}", aucs.difference(OURS, way)) for way in OTHERS),
    ]


def text_of(records: Sequence[CaseRecord]) -> str:
    """One line a measure: its mean under every set."""
    lines = [("mean on the held-out target", "cases", OURS, *OTHERS)]
    for measure in MEASURES:
        having = measure.having(records)
        cells = [f"{measure.column(way, having).mean():.3f}" if having else "" for way in (OURS, *OTHERS)]
        lines.append((measure.label, str(len(having)), *cells))
    return aligned(lines)

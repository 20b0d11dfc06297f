"""The lists of other people's data, ranked by the base model and the RecICL adapter; neither was tuned on them.

Users, targets and candidates are those of `bench.folder_cases`. Both are compared with popularity, counted over
everything but each user's last interaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from bench.case_list import Bench
from bench.constants import FAMILIES
from bench.record_store import RECICL_RECORDS
from bench.results_table import ResultRow, as_row, interval_text
from bench.spread import figures_of
from bench.timing import Clock
from core.analysis.setting import Setting, setting_for
from core.cli.output import aligned
from core.comparison.default_choices import weights_for
from core.data.dataset import Dataset
from core.data.item_prior import log_popularity
from core.data.records import Case
from core.errors import DemoLensError
from core.lm.loading.load import LanguageModel
from core.metrics.intervals import Floats
from core.metrics.ranking import expected_ndcg
from core.prompt.families import Family
from core.tuning.evaluation.blends import WeightOf, no_weight
from core.tuning.evaluation.evaluation_plan import scores_of
from core.tuning.evaluation.evaluation_rows import measured_over_users
from core.tuning.evaluation.record import MetricEstimate
from core.tuning.evaluation.ways import BARE, FRESH, RANKING, AnsweringWay, ModelVariant, gain

LISTS = 5
"""Lists of each data set in a round; rows are reported after every round."""
DEPTHS = (1, 5, 10)
"""At which NDCG is measured."""
POPULARITY = "popularity"
BLEND = ", blend "
"""Between the name of a way and the weight of popularity beside it."""
Ranker = tuple[Family | None, str]
"""Family (none: no language model), and name of the way."""
RANKERS = tuple((family, way) for way in RANKING for family in FAMILIES)


@dataclass
class RankedLists:
    """The lists of one data set, and how high each ranker has the item really chosen."""

    bench: Bench
    users: Sequence[str]
    models: dict[ModelVariant, LanguageModel]
    counts: dict[str, int]
    """Interactions by item, without each user's last."""
    ranked: list[str] = field(default_factory=list)
    """Users whose lists are measured."""
    ndcg: dict[Ranker, list[list[float]]] = field(default_factory=dict)
    """NDCG of the item really chosen at each of `DEPTHS`, a list each."""
    weight_of: WeightOf = no_weight
    """Of popularity, in blends that are ranked beside the models."""
    left_out: list[str] = field(default_factory=list)
    """A sentence for each user without a case."""

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.bench.dataset.name

    def take(self, users: Sequence[str]) -> None:
        """Rank the lists of some users."""
        settings = [each for user in users if (each := self._settings(user)) is not None]
        if not settings:
            return
        cases = [next(iter(each.values())).case for each in settings]
        for family, way in RANKERS:
            prompts = [each[family, way.name].prompt for each in settings]
            record = scores_of(self.models[way.tuned], prompts, RECICL_RECORDS.record)
            self._add((family, way.name), cases, record["scores"])
            if weight := self.weight_of(way.adapter, family, "sum"):
                name = f"{way.name}{BLEND}{weight:g}"
                self._add((family, name), cases, _blended(self.bench.dataset, cases, record["scores"], weight))
        popularity = [[self.counts.get(item, 0) for item in case.candidates] for case in cases]
        self._add((None, POPULARITY), cases, popularity)
        self.ranked += [case.user_id for case in cases]

    def _settings(self, user: str) -> dict[Ranker, Setting] | None:
        """What each way is to rank for a user."""
        try:
            return {
                (family, way.name): setting_for(
                    self.bench.case(user, family, demos=way.demos), self.bench.dataset, self.models[way.tuned]
                )
                for family, way in RANKERS
            }
        except DemoLensError as error:
            self.left_out.append(f"{self.name}: user {user} is left out: {error}.")
            return None

    def _add(self, ranker: Ranker, cases: Sequence[Case], scores: Sequence[Sequence[float] | Floats]) -> None:
        for case, each in zip(cases, scores, strict=True):
            table, target = np.array(each, dtype=np.float64), case.candidates.index(str(case.target))
            self.ndcg.setdefault(ranker, []).append([expected_ndcg(table, target, depth) for depth in DEPTHS])

    def at_depths(self, ranker: Ranker) -> list[MetricEstimate]:
        """NDCG at each of `DEPTHS`, with its interval over users."""
        columns = np.array(self.ndcg[ranker]).T
        return [measured_over_users(values, self.ranked, seed=self.bench.seed) for values in columns]

    def gains(self) -> Iterator[tuple[str, MetricEstimate]]:
        """The gain by demonstrations for each model in each family: paired differences of NDCG@10."""
        if not self.ranked:
            return
        for family in FAMILIES:
            for tuned in self.models:
                fresh, bare = (np.array(self.ndcg[family, AnsweringWay(tuned, demos).name]) for demos in (FRESH, BARE))
                apart = (fresh - bare)[:, DEPTHS.index(10)]
                yield f"{family}, {gain(tuned)}", measured_over_users(apart, self.ranked, seed=self.bench.seed)

    def over_parts(self) -> Iterator[tuple[str, MetricEstimate]]:
        """NDCG@10 of each blend minus that of the model alone, and minus that of popularity alone, paired."""
        depth = DEPTHS.index(10)
        for family, name in [key for key in self.ndcg if BLEND in key[1]]:
            for other in ((family, name.partition(BLEND)[0]), (None, POPULARITY)):
                apart = np.array(self.ndcg[family, name])[:, depth] - np.array(self.ndcg[other])[:, depth]
                label = f"{family}, {name} minus {other[1] if other[0] is None else 'the model alone'}"
                yield label, measured_over_users(apart, self.ranked, seed=self.bench.seed)

    def rows(self) -> Iterator[ResultRow]:
        """A row for every ranker and depth, and for every gain."""
        count = f"({len(self.ranked)} lists)"
        for family, way in self.ndcg:
            label = way if family is None else f"{family}, {way}"
            for depth, measured in zip(DEPTHS, self.at_depths((family, way)), strict=True):
                yield as_row(f"{self.name}: NDCG@{depth}, {label} {count}", figures_of(measured))
        for label, measured in (*self.gains(), *self.over_parts()):
            yield as_row(f"{self.name}: NDCG@10, {label} {count}", figures_of(measured))

    def table(self) -> str:
        """One line a ranker, and one a gain."""
        lines = [(f"{self.name}, {len(self.ranked)} lists", "family", *(f"NDCG@{depth}" for depth in DEPTHS))]
        lines += [(way, family or "", *map(_cell, self.at_depths((family, way)))) for family, way in self.ndcg]
        apart = (*self.gains(), *self.over_parts())
        lines += [(label, "", *[""] * (len(DEPTHS) - 1), _cell(measured)) for label, measured in apart]
        return aligned(lines)


def recicl_of_folders(benches: Sequence[Bench], count: int) -> Iterator[list[ResultRow]]:
    """Rows so far of all data sets, after every round of `LISTS` lists of each; `count` lists, fewer if the data end.

    Stops with one sentence where an adapter is missing.
    """
    datasets = [lists_of(bench, count) for bench in benches]
    rounds = -(-max(len(lists.users) for lists in datasets) // LISTS)
    clock = Clock("recicl", rounds * len(datasets))
    for number in range(rounds):
        for lists in datasets:
            lists.take(lists.users[number * LISTS : (number + 1) * LISTS])
            clock.tick(f"{lists.name} {len(lists.ranked)} lists")
            yield [row for each in datasets for row in each.rows()]
    notes = [f"{lists.name}: {' '.join(lists.bench.notes())}" for lists in datasets]
    left_out = [sentence for lists in datasets for sentence in lists.left_out]
    print("\n\n".join([*(lists.table() for lists in datasets), *notes, *left_out]), end="\n\n")


def lists_of(bench: Bench, count: int) -> RankedLists:
    """`count` lists of a data set, none ranked yet."""
    models = {way.tuned: bench.model.with_adapter(way.adapter) for way in RANKING}
    weight_of = weights_for(bench.dataset.dataset_id, "sample")
    users, counts = list(islice(bench.users(), count)), interaction_counts(bench.dataset)
    return RankedLists(bench, users, models, counts, weight_of=weight_of)


def _blended(dataset: Dataset, cases: Sequence[Case], scores: Sequence[Sequence[float]], weight: float) -> list[Floats]:
    """Scores [case][candidate] with popularity before each case's moment."""
    return [np.array(each) + weight * log_popularity(dataset, case) for case, each in zip(cases, scores, strict=True)]


def interaction_counts(dataset: Dataset) -> dict[str, int]:
    """Interactions by item, without each user's last one."""
    query = (
        "SELECT item_id, count(*) FROM (SELECT item_id FROM interactions"
        " QUALIFY position < max(position) OVER (PARTITION BY user_id)) GROUP BY item_id"
    )
    return dict(dataset.cursor().execute(query).fetchall())


def _cell(measured: MetricEstimate) -> str:
    return interval_text(figures_of(measured))

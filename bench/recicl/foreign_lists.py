"""How do the base model and the RecICL adapter rank lists of other people's data, on which neither was tuned?

Users, targets and candidates are those of `bench.foreign_cases`. Beside both stands popularity, counted over everything
but each user's last interaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from bench.case_list import FAMILIES, Bench
from bench.clock import Clock
from bench.recicl.promises import figures_of
from bench.recicl.recicl_records import kept
from bench.results_table import Row, row
from core.analysis.setting import Setting, set_up
from core.cli.output import aligned
from core.data.dataset import Dataset
from core.data.records import Case
from core.errors import DemoLensError
from core.lm.loading.load import LanguageModel
from core.metrics.ranking import expected_ndcg
from core.prompt.spans import Family
from core.tuning.evaluation.record import MetricEstimate
from core.tuning.evaluation.summary import measured_over_users
from core.tuning.evaluation.ways import BARE, FRESH, RANKING, AnsweringWay, ModelVariant, gain
from core.tuning.evaluation.work import scores_of

LISTS = 5
"""Between two looks at the figures."""
DEPTHS = (1, 5, 10)
"""At which NDCG is measured."""
POPULARITY = "popularity"
Ranker = tuple[Family | None, str]
"""Family (none: no language model), and name of the way."""
ASKED = tuple((family, way) for way in RANKING for family in FAMILIES)


@dataclass
class Lists:
    """The lists of one data set, and how high each ranker has the item really chosen."""

    bench: Bench
    users: Sequence[str]
    models: dict[ModelVariant, LanguageModel]
    counts: dict[str, int]
    """Interactions by item, without each user's last."""
    ranked: list[str] = field(default_factory=list)
    """Users whose lists are measured."""
    found: dict[Ranker, list[list[float]]] = field(default_factory=dict)
    """NDCG of the item really chosen at each of `DEPTHS`, a list each."""
    left_out: list[str] = field(default_factory=list)
    """A sentence for each user who cannot be asked about."""

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.bench.dataset.name

    def take(self, users: Sequence[str]) -> None:
        """Rank the lists of some users."""
        asked = [each for user in users if (each := self._settings(user)) is not None]
        if not asked:
            return
        for family, way in ASKED:
            settings = [each[family, way.name] for each in asked]
            record = scores_of(self.models[way.tuned], [one.prompt for one in settings], kept)
            self._add((family, way.name), [one.case for one in settings], record["scores"])
        cases = [next(iter(each.values())).case for each in asked]
        self._add((None, POPULARITY), cases, [[self.counts.get(item, 0) for item in one.candidates] for one in cases])
        self.ranked += [one.user_id for one in cases]

    def _settings(self, user: str) -> dict[Ranker, Setting] | None:
        """What each way is asked about a user."""
        try:
            return {
                (family, way.name): set_up(
                    self.bench.request(user, family, demos=way.demos), self.bench.dataset, self.models[way.tuned]
                )
                for family, way in ASKED
            }
        except DemoLensError as error:
            self.left_out.append(f"{self.name}: user {user} is left out: {error}.")
            return None

    def _add(self, ranker: Ranker, cases: Sequence[Case], scores: Sequence[Sequence[float]]) -> None:
        for case, each in zip(cases, scores, strict=True):
            table, target = np.array(each, dtype=np.float64), case.candidates.index(str(case.target))
            self.found.setdefault(ranker, []).append([expected_ndcg(table, target, depth) for depth in DEPTHS])

    def worth(self, ranker: Ranker) -> list[MetricEstimate]:
        """NDCG at each of `DEPTHS`, with its interval over users."""
        by_depth = np.array(self.found[ranker]).T
        return [measured_over_users(values, self.ranked, seed=self.bench.seed) for values in by_depth]

    def gained(self) -> Iterator[tuple[str, MetricEstimate]]:
        """What demonstrations are worth to each model in each family: paired differences of NDCG@10."""
        if not self.ranked:
            return
        for family in FAMILIES:
            for tuned in self.models:
                shown, bare = (np.array(self.found[family, AnsweringWay(tuned, demos).name]) for demos in (FRESH, BARE))
                apart = (shown - bare)[:, DEPTHS.index(10)]
                yield f"{family}, {gain(tuned)}", measured_over_users(apart, self.ranked, seed=self.bench.seed)

    def rows(self) -> Iterator[Row]:
        """A row for every ranker and depth, and for every gain."""
        for family, way in self.found:
            label = way if family is None else f"{family}, {way}"
            for depth, one in zip(DEPTHS, self.worth((family, way)), strict=True):
                yield row(f"{self.name}: NDCG@{depth}, {label} ({len(self.ranked)} lists)", figures_of(one))
        for label, one in self.gained():
            yield row(f"{self.name}: NDCG@10, {label} ({len(self.ranked)} lists)", figures_of(one))

    def table(self) -> str:
        """One line a ranker, and one a gain."""
        lines = [(f"{self.name}, {len(self.ranked)} lists", "family", *(f"NDCG@{depth}" for depth in DEPTHS))]
        lines += [(way, family or "", *map(_cell, self.worth((family, way)))) for family, way in self.found]
        lines += [(label, "", *[""] * (len(DEPTHS) - 1), _cell(one)) for label, one in self.gained()]
        return aligned(lines)


def recicl_data(benches: Sequence[Bench], count: int) -> Iterator[list[Row]]:
    """Rows so far of all data sets, after every round of `LISTS` lists of each; `count` lists, fewer if the data end.

    Stops with one sentence where an adapter is missing.
    """
    every = [_lists(bench, count) for bench in benches]
    rounds = -(-max(len(one.users) for one in every) // LISTS)
    clock = Clock("recicl", rounds * len(every))
    for number in range(rounds):
        for one in every:
            one.take(one.users[number * LISTS : (number + 1) * LISTS])
            clock.tell(f"{one.name} {len(one.ranked)} lists")
            yield [found for each in every for found in each.rows()]
    said = [f"{one.name}: {' '.join(one.bench.notes())}" for one in every]
    left_out = [sentence for one in every for sentence in one.left_out]
    print("\n\n".join([*(one.table() for one in every), *said, *left_out]), end="\n\n")


def _lists(bench: Bench, count: int) -> Lists:
    models = {way.tuned: bench.model.with_adapter(way.adapter) for way in RANKING}
    return Lists(bench, list(islice(bench.users(), count)), models, counted(bench.dataset))


def counted(dataset: Dataset) -> dict[str, int]:
    """Interactions by item, without each user's last one."""
    query = (
        "SELECT item_id, count(*) FROM (SELECT item_id FROM interactions"
        " QUALIFY position < max(position) OVER (PARTITION BY user_id)) GROUP BY item_id"
    )
    return dict(dataset.cursor().execute(query).fetchall())


def _cell(one: MetricEstimate) -> str:
    value, low, high = figures_of(one)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"

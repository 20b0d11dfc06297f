"""What a search chooses from and judges by: two kinds of cases, data and files of finished prompts, give the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from core.analysis.setting import Setting, reader_for
from core.data.dataset import Dataset
from core.data.neighbours import neighbours
from core.data.peers import WINDOW
from core.data.records import Case, Demonstration
from core.data.similarity import ItemWords, bm25
from core.errors import RequestError
from core.lm.scoring.sweep import Cost
from core.metrics.intervals import Floats
from core.prompt.families import FAMILIES
from core.selection.heldout import HeldOut, held_out
from core.selection.improve_task import HeldOutRow, ImproveTask
from core.selection.members import Member, members_by_id, pool_of, start_sets, strategy_members, times_of
from core.selection.objectives import OBJECTIVES

NEAREST_USERS = 500
"""Users by likes in common whose similarity counts; that of all others is 0."""


class DemoTexts(Protocol):
    """What stage one reads of demonstrations without a model."""

    def words(self, demos: Sequence[Demonstration]) -> list[list[str]]:
        """The words of each demonstration in lower case, [demo]."""
        ...

    def criteria(self, demos: Sequence[Demonstration]) -> dict[str, Floats]:
        """Scores [demo] by the name of a field of `ShortlistRow`, higher is better."""
        ...


class SearchMaterial(DemoTexts, Protocol):
    """The held-out choices of a case and the demonstrations that its sets can hold."""

    @property
    def most(self) -> int:
        """Most demonstrations in a set."""
        ...

    @property
    def has_both_answers(self) -> bool:
        """Whether held-out choices have a true answer Yes or No."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader should know of the choices and of the demonstrations, one sentence each."""
        ...

    def held_out(self) -> tuple[HeldOut, ...]:
        """Choices that judge and confirm sets, those that confirm last."""
        ...

    def starts(self, held: Sequence[HeldOut]) -> list[tuple[Member, ...]]:
        """Sets that the search tries before it changes anything."""
        ...

    def named(self, held: Sequence[HeldOut], ids: Sequence[str]) -> tuple[Member, ...]:
        """The demonstrations with these ids, in order."""
        ...

    def current(self, held: Sequence[HeldOut]) -> tuple[Member, ...]:
        """The case's own demonstrations."""
        ...

    def pool(self, held: Sequence[HeldOut], taken: Sequence[Member]) -> tuple[Member, ...]:
        """What else a set can hold."""
        ...

    def held_row(self, held: HeldOut) -> HeldOutRow:
        """A held-out choice as the report has it."""
        ...


class DataTexts:
    """Demonstrations of a data set, for one case."""

    def __init__(self, dataset: Dataset, case: Case) -> None:
        self.dataset, self.case = dataset, case
        self._words = ItemWords(dataset)

    def words(self, demos: Sequence[Demonstration]) -> list[list[str]]:
        """Of the titles and categories that each demonstration shows."""
        return [self._words((demo.item_id, *demo.history)) for demo in demos]

    def criteria(self, demos: Sequence[Demonstration]) -> dict[str, Floats]:
        """Recency, similarity of the demonstration's user by likes in common (0 for the case's own), and BM25 of the
        demonstration's words for the user's latest titles and categories."""
        query = self._words(interaction.item_id for interaction in self.case.history[-WINDOW:])
        return {
            "recency": self._recency(demos),
            "neighbours": self._neighbour_similarity(demos),
            "bm25": bm25(self.words(demos), query),
        }

    def _recency(self, demos: Sequence[Demonstration]) -> Floats:
        """Timestamps, or positions where there are none."""
        times = times_of(self.dataset, demos)
        known = [demo.position if time is None else time for demo, time in zip(demos, times, strict=True)]
        return np.array(known, dtype=np.float64)

    def _neighbour_similarity(self, demos: Sequence[Demonstration]) -> Floats:
        """How near each demonstration's user is by likes in common before the case's moment; 0 for the case's own."""
        near = {row.user_id: row.similarity for row in neighbours(self.dataset, self.case, count=NEAREST_USERS)}
        return np.array([near.get(demo.user_id, 0.0) for demo in demos])


class DataMaterial(DataTexts):
    """A case of a data set: its user's earlier choices, and what other users chose."""

    notices: tuple[str, ...] = ()

    def __init__(self, task: ImproveTask, setting: Setting, picking: Cost, between: Callable[[], None]) -> None:
        super().__init__(setting.data, setting.case)
        self.task, self.setting = task, setting
        self._picking, self._between = picking, between

    @property
    def most(self) -> int:
        """As many as the task says; prompts are cut to fit."""
        return self.task.k

    @property
    def has_both_answers(self) -> bool:
        """Whether held-out choices have a true answer Yes or No."""
        return FAMILIES[self.setting.spec.family].labelled and self.dataset.has_ratings

    def held_out(self) -> tuple[HeldOut, ...]:
        """The user's latest choices before the case's moment, oldest first; see `heldout.held_out`."""
        task, objective = self.task, self.task.judged_by
        if objective.both_answers and not self.has_both_answers:
            others = " or ".join(row.name for row in OBJECTIVES.values() if not row.both_answers)
            raise RequestError(
                f"the objective {objective.name} needs Yes and No as true answers",
                expected=f"the family yes_no and a data set with ratings, or the objective {others}",
            )
        return held_out(
            self.dataset,
            self.case,
            count=task.held_out + task.confirm,
            negatives=task.negatives if objective.negatives else 0,
            family=task.case.family,
            history=task.case.history,
        )

    def starts(self, held: Sequence[HeldOut]) -> list[tuple[Member, ...]]:
        """See `members.start_sets`."""
        k, history, recents = self.task.k, self.task.case.history, self.task.recents
        return start_sets(self.dataset, self.case, held, k=k, history=history, recents=recents)

    def named(self, held: Sequence[HeldOut], ids: Sequence[str]) -> tuple[Member, ...]:
        """See `members.members_by_id`."""
        return members_by_id(self.dataset, self.case, held, ids, history=self.task.case.history)

    def current(self, held: Sequence[HeldOut]) -> tuple[Member, ...]:
        """The case's own demonstrations; a model that picks them picks at each held-out choice's moment, too."""
        spec = self.setting.spec
        if spec.demo_ids is not None:
            return self.named(held, spec.demo_ids)
        return strategy_members(
            self.dataset,
            self.case,
            held,
            k=spec.demos,
            strategy=spec.strategy,
            history=spec.history,
            order=spec.order,
            each=spec.each,
            reader=reader_for(spec, self.dataset, self.setting.model, cost=self._picking, between=self._between),
        )

    def pool(self, held: Sequence[HeldOut], taken: Sequence[Member]) -> tuple[Member, ...]:
        """See `members.pool_of`."""
        return pool_of(self.dataset, held, size=self.task.pool, history=self.task.case.history, taken=taken)

    def held_row(self, held: HeldOut) -> HeldOutRow:
        """A held-out choice as the report has it."""
        item = self.dataset.item(str(held.case.target))
        return HeldOutRow(
            item_id=item.item_id,
            title=item.title,
            answer=FAMILIES[self.setting.spec.family].answer(held.liked),
            position=held.position,
            timestamp=held.case.moment,
        )

"""The unit of work of a play: a user's newest interactions one by one, and the list after each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.analysis.blend import model_ranks
from core.analysis.explain.explanation import CandidateRow
from core.analysis.ledger import Ledger, silent
from core.analysis.setting import Setting, prompt_of, reader_for, tie_notices
from core.analysis.subject import item_ids
from core.analysis.values import leave_one_out_masks
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration
from core.errors import ComputeError
from core.lm.loading.hashes import weights_sha256
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import separate_tokens
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.lm.scoring.sweep import Cost
from core.metrics.intervals import Floats
from core.metrics.ranking import ranks
from core.personal.personalise_task import (
    DemoChange,
    ListRow,
    MovedRow,
    PersonaliseReport,
    PersonaliseTask,
    PlayedModel,
    StepRow,
    windowed,
)
from core.personal.play import Play, play_of
from core.prompt.families import FAMILIES
from core.prompt.spans import Prompt
from core.question.task import Progress


def personalise(
    task: PersonaliseTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Play | None = None,
) -> Iterator[PersonaliseReport]:
    """Reports of a play, one more step in each; the last has stage `complete`.

    `model` has the case's adapter on; the base model beside it is the same weights with the adapter off. Every list is
    that of the whole prompt, computed from what the step adds. Raises `DemoLensError`s with one plain sentence for
    choices that cannot be run, `ComputeError` should a weight have changed, and what `progress` raises.
    """
    run = _PersonaliseRun(task, dataset, model, subject or play_of(task, dataset), progress)
    for count in range(run.play.start, len(run.play.interactions) + 1):
        run.take(count)
        yield run.report()
    yield run.finished()


@dataclass(frozen=True)
class _Player:
    """One model of a play."""

    which: PlayedModel
    scorer: StreamScorer
    free: Floats | float
    """Scores [candidate] under a prompt that knows nothing of the user, for calibrated scoring; else 0."""


class _PersonaliseRun:
    """One play with everything it needs in hand."""

    def __init__(
        self, task: PersonaliseTask, dataset: Dataset, model: LanguageModel, play: Play, progress: Progress
    ) -> None:
        self.task, self.dataset, self.model, self.play = task, dataset, model, play
        self.ledger = Ledger(task, model, progress)
        self.ledger.label = "reading the weights"
        self.rows: list[StepRow] = []
        self.items = dataset.items(sorted({*play.case.candidates, *(row.item_id for row in play.interactions)}))
        self.shown: tuple[Demonstration, ...] = ()
        """The demonstrations in the prompt."""
        self.picking = Cost()
        """Of what the model reads to pick demonstrations."""
        self.ledger.count(self.picking)
        self.reader = reader_for(task.case, dataset, model, cost=self.picking, between=self.ledger.tell_picking)
        self.ledger.tell()
        self.weights = weights_sha256(model.network)
        self.players = tuple(self._player(which, player_model) for which, player_model in self._models())

    def _models(self) -> Iterator[tuple[PlayedModel, LanguageModel]]:
        """The model that the report is about, and the base model beside an adapter."""
        adapted = self.model.adapter is not None
        yield "adapter" if adapted else "base", self.model
        if adapted and self.task.compare:
            yield "base", self.model.with_adapter(None)

    def _player(self, which: PlayedModel, model: LanguageModel) -> _Player:
        free: Floats | float = 0.0
        if self.task.case.calibrated:
            prompt = replace(self._prompt(self.play.case_at(0), ()), prior=())
            free = self.ledger.scorer(prompt, model).full()
        return _Player(which, self.ledger.stream(model), free)

    def _prompt(self, case: Case, demos: tuple[Demonstration, ...]) -> Prompt:
        self.items |= self.dataset.items(item_ids(case, demos) - self.items.keys())
        prompt = prompt_of(self.task.case, self.dataset, self.model, case, demos, self.items)
        self.ledger.unit = max(self.ledger.unit, prompt.length)
        return prompt

    # ---- one step

    def take(self, count: int) -> None:
        """The lists after the first `count` interactions of the play."""
        started, read = time.monotonic(), self.picking.tokens
        self.case, self.demos = self.play.case_at(count), self.play.demonstrations(count, self.reader)
        picking = time.monotonic() - started
        self.prompt = self._prompt(self.case, self.demos)
        writing = time.monotonic() - started
        self.ledger.label = f"step {len(self.rows)} of {len(self.play.interactions) - self.play.start}"
        lists = tuple(self._list(player, writing) for player in self.players)
        self.rows.append(self._row(count, lists, picking))
        self.ledger.planned += (self.picking.tokens - read) / self.ledger.unit

    def _list(self, player: _Player, writing: float) -> ListRow:
        before, started = player.scorer.cost.tokens, time.monotonic()
        scores = player.scorer.score(self.prompt) - player.free
        seconds = writing + time.monotonic() - started
        ran = player.scorer.cost.tokens - before
        return ListRow(
            which=player.which,
            scores=tuple(scores.tolist()),
            ranks=ranks(scores),
            tokens=separate_tokens([self.prompt]),
            tokens_run=ran,
            seconds=seconds,
        )

    def _row(self, count: int, lists: tuple[ListRow, ...], picking: float) -> StepRow:
        new = self.play.interactions[count - 1] if self.rows else None
        before, self.shown = self.shown, tuple(self.demos[index] for index in self.prompt.kept_demos)
        joined, left = self._changes(count, before) if new else ((), ())
        return StepRow(
            step=len(self.rows),
            kind=new.kind if new else "start",
            item_id=new.item_id if new else None,
            title=self.items[new.item_id].title if new else None,
            liked=new.liked if new else None,
            position=new.position if new else None,
            timestamp=new.timestamp if new else None,
            demo_ids=tuple(demo.demo_id for demo in self.shown),
            lists=lists,
            demo_id=new.demo_id if new else None,
            joined=joined,
            left=left,
            picking_seconds=picking,
        )

    def _changes(
        self, count: int, before: tuple[Demonstration, ...]
    ) -> tuple[tuple[DemoChange, ...], tuple[DemoChange, ...]]:
        """The demonstrations that joined the prompt, and those of the prompt before that left it."""
        was, now = ({demo.demo_id for demo in demos} for demos in (before, self.shown))
        anyway = {demo.demo_id for demo in self.play.as_time_passes(count, self.reader)}
        joined = (self._change(demo, by_time=demo.demo_id in anyway) for demo in self.shown if demo.demo_id not in was)
        left = (self._change(demo, by_time=demo.demo_id not in anyway) for demo in before if demo.demo_id not in now)
        return tuple(joined), tuple(left)

    def _change(self, demo: Demonstration, *, by_time: bool) -> DemoChange:
        return DemoChange(
            demo_id=demo.demo_id,
            user_id=demo.user_id,
            title=self.items[demo.item_id].title,
            source=demo.source,
            by_time=by_time,
        )

    # ---- reports

    def report(self, **more: object) -> PersonaliseReport:
        """The play so far."""
        setting = Setting(
            self.task.case,
            self.case,
            self.demos,
            self.items,
            dataset=self.dataset,
            model=self.model,
            prompt=self.prompt,
        )
        head = setting.head(self.task)
        prompt, ties = self.prompt, tie_notices(np.array(self.rows[-1].lists[-1].scores))
        short = () if windowed(self.task.case) else setting.shortages
        material = (*self.dataset.notices, *self.model.notices, *self.reader.notices)
        notices = (*material, *prompt.notices, *prompt.cut, *self.play.notices, *short, *ties)
        fields: dict[str, object] = {
            **head,
            "tokens": self.ledger.unit,
            "candidates": self._candidates(),
            "stream": tuple(self.rows),
            "weights_before": self.weights,
            **self.ledger.spent(),
            "notices": tuple(dict.fromkeys(notices)),
        }
        return PersonaliseReport.model_validate(fields | more)

    def finished(self) -> PersonaliseReport:
        """The report with what moved the last list; raises `ComputeError` should a weight have changed."""
        moved: list[MovedRow] = []
        seconds: list[float] = []
        for player in self.players:
            self.ledger.label = "running the last prompt from scratch"
            scorer = self.ledger.scorer(self.prompt, player.scorer.model)
            started = time.monotonic()
            full = scorer.full()
            seconds.append(time.monotonic() - started)
            self.ledger.label = "leaving out each demonstration"
            moved += self._moved(player, scorer, full)
        self.ledger.label = "reading the weights again"
        self.ledger.tell()
        after = weights_sha256(self.model.network)
        if after != self.weights:
            raise ComputeError("the weights in memory are not those from before the play", expected="no weight touched")
        return self.report(stage="complete", moved=tuple(moved), weights_after=after, full_seconds=seconds[0])

    def _moved(self, player: _Player, scorer: Scorer, full: Floats) -> Iterator[MovedRow]:
        if not scorer.demos:
            return
        for index, without in zip(
            self.prompt.kept_demos, scorer.subsets(leave_one_out_masks(scorer.demos)), strict=True
        ):
            demo = self.demos[index]
            yield MovedRow(
                which=player.which,
                demo_id=demo.demo_id,
                title=self.items[demo.item_id].title,
                answer=FAMILIES[self.task.case.family].answer(demo.liked),
                effects=tuple((full - without).tolist()),
                ranks=ranks(without - player.free),
            )

    def _candidates(self) -> tuple[CandidateRow, ...]:
        first, last = self.rows[0].lists[0], self.rows[-1].lists[0]
        prior = self.prompt.prior
        alone = model_ranks(np.array(last.scores), prior)
        return tuple(
            CandidateRow(
                item_id=item.item_id,
                title=item.title,
                categories=item.categories,
                popularity=item.popularity,
                is_target=item.item_id == self.case.target,
                zero_shot_score=first.scores[place],
                zero_shot_rank=first.ranks[place],
                score=last.scores[place],
                rank=last.ranks[place],
                prior=prior[place] if prior else 0.0,
                model_rank=None if alone is None else alone[place],
            )
            for place, item in enumerate(self.items[item_id] for item_id in self.case.candidates)
        )

"""The unit of work of Improve: a search for a better set of demonstrations, the best so far at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.analysis.ledger import MOST_SHOWN, Ledger, aggregate_of, silent
from core.analysis.setting import Setting, reader_for, tie_notices
from core.analysis.subject import Subject
from core.data.dataset import Dataset
from core.data.records import Demonstration
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.sweep import Cost
from core.metrics.intervals import Floats
from core.metrics.ranking import expected_ndcg, ranks
from core.prompt.families import FAMILIES
from core.question.task import Progress
from core.selection.heldout import HeldOut, held_out
from core.selection.improve_task import (
    HeldOutRow,
    ImproveReport,
    ImproveTask,
    Outcome,
    PathRow,
    SetRole,
    SetRow,
    ShortlistRow,
)
from core.selection.judge import PromptJudge
from core.selection.pool_effects import PoolEncoder, prompt_with
from core.selection.search import MemberOrder, Search, SearchStep, SetScore, views
from core.selection.shortlist import (
    Member,
    ShortlistEntry,
    distances,
    latest,
    members_by_id,
    pool_of,
    shortlist,
    strategy_members,
)

ASIDE_SHARE = 0.25
"""Most of the budget that judging the current demonstrations may take, where the search may not return them."""
ENCODING_SHARE = 0.5
"""Most of the budget that encoding the pool may take."""


def improve(
    task: ImproveTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[ImproveReport]:
    """Reports of a search for a better set, the best so far in each; the last has stage `complete`.

    The case's target is scored once, after the search, and has no part in it. Raises `DemoLensError`s with one plain
    sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    run = _ImproveRun(task, ledger.set_up(dataset, subject), ledger)
    yield run.report()
    run.judge_current()
    for step in run.search.steps(run.starts):
        run.path.append(step)
        yield run.report()
    if run.search.zero_shot is None:
        needed = run.judge.passes(views(())) + run.search.passes
        raise RequestError(
            f"a budget of {task.budget:g} passes", expected=f"at least {needed:.1f}, to judge the empty set"
        )
    progress("scoring the case", MOST_SHOWN)
    yield run.finished()


class _ImproveRun:
    """One search with everything it needs in hand."""

    def __init__(self, task: ImproveTask, setting: Setting, ledger: Ledger) -> None:
        self.task, self.setting, self.ledger = task, setting, ledger
        self.path: list[SearchStep] = []
        self.notices: list[str] = []
        dataset, case, history = setting.dataset, setting.case, task.case.history
        ledger.label, ledger.planned = "choosing a shortlist", task.budget
        ledger.tell()
        self.held = _held(task, setting)
        moving = latest(dataset, case, self.held, k=task.k, history=history) if task.recents else ()
        start = members_by_id(dataset, case, self.held, task.start or (), history=history)
        first = tuple({member.interaction: member for member in (*moving, *start)}.values())
        encoder = self._choose(first)
        entries = [row.member for row in self.rows]
        current = self._current()
        self.members = _joined(entries, current)
        self.current = self._order(current)
        self.start = self._order(start) if task.start else None
        self.judge = PromptJudge(
            setting,
            self.held,
            self.members,
            objective=task.objective,
            unit=self.unit,
            between=ledger.tell,
        )
        ledger.label = "judging sets of demonstrations"
        ledger.count(self.judge.cost)
        self.search = Search(
            self.judge,
            members=len(entries),
            k=task.k,
            lam=task.lam,
            budget=task.budget,
            patience=task.patience,
            distances=distances(dataset, self.members),
            floor=task.floor,
            passes=encoder.tokens_run / self.unit,
        )
        self.notices += encoder.notices
        self._note_shortages(len(entries))
        self.starts = self._starts(moving)
        self.head_notices = (*dataset.notices, *setting.model.notices, *setting.prompt.notices)
        self.head = setting.head(task) | {
            "tokens": self.unit,
            "held_out": tuple(self._held_row(choice) for choice in self.held),
            "shortlist": tuple(self._short_row(row) for row in self.rows),
        }

    def _choose(self, first: Sequence[Member]) -> PoolEncoder:
        """Choose the shortlist, `first` always in it; returns the pool's encoder, for its cost and notices."""
        task, setting = self.task, self.setting
        pool = pool_of(setting.dataset, self.held, size=task.pool, history=task.case.history, taken=first)
        demos = [member.here for member in (*first, *pool)]
        self.ledger.unit = self.unit = prompt_with(setting, demos[-task.k :]).length
        self.ledger.label = "encoding the pool"
        encoder = PoolEncoder(
            setting,
            demos,
            most_tokens=int(ENCODING_SHARE * task.budget * self.unit) if task.encode else 0,
            between=self.ledger.tell,
        )
        self.rows = shortlist(
            setting.dataset,
            setting.case,
            pool,
            size=max(task.shortlist, len(first)),
            lambda_mmr=task.mmr,
            first=first,
            both_answers=_has_both_answers(setting),
            embedded=encoder.embeddings(),
            effects=encoder.effects(),
        )
        return encoder

    def _current(self) -> tuple[Member, ...]:
        """The case's own demonstrations; a model that picks them picks at each held-out choice's moment, too."""
        setting, picking = self.setting, Cost()
        spec, dataset, case = setting.spec, setting.dataset, setting.case
        if spec.demo_ids is not None:
            return members_by_id(dataset, case, self.held, spec.demo_ids, history=spec.history)
        reader = reader_for(spec, dataset, setting.model, cost=picking, between=self.ledger.tell_picking)
        members = strategy_members(
            dataset, case, self.held, k=spec.demos, strategy=spec.strategy, history=spec.history, reader=reader
        )
        self.ledger.count_picking(picking)
        return members

    @property
    def picking_passes(self) -> float:
        """What the model read to pick demonstrations; no part of the search's budget."""
        return self.ledger.picking_tokens / self.unit

    def _starts(self, moving: Sequence[Member]) -> list[MemberOrder]:
        """Sets to judge first: the earlier one, the current one, the latest K, and stage one's best K."""
        first = tuple(range(min(self.task.k, len(self.rows))))[::-1]
        orders = [*([self.start] if self.start else []), self.current, self._order(moving), first]
        usable = [order for order in orders if order and max(order) < len(self.rows)]
        return list(dict.fromkeys(usable))

    def _order(self, members: Sequence[Member]) -> MemberOrder:
        places = {member.here.demo_id: place for place, member in reversed(list(enumerate(self.members)))}
        return tuple(places[member.here.demo_id] for member in members)

    def _note_shortages(self, members: int) -> None:
        held, task = len(self.held), self.task
        if members < task.k:
            self.notices.append(f"Only {members} demonstrations can be shown, fewer than the {task.k} asked for.")
        if held < task.held_out:
            self.notices.append(f"The user has {held} choices that can be held out, fewer than {task.held_out}.")

    def judge_current(self) -> None:
        """Judge the current demonstrations where the search will not, as far as that leaves enough for the search."""
        if self.current in self.starts and self.search.allowed(self.current):
            return
        if self.judge.passes(views(self.current)) <= ASIDE_SHARE * self.task.budget:
            self.search.judge_aside(self.current)
        else:
            self.notices.append("The case's own demonstrations are not judged: that would take too much of the budget.")

    # ---- reports

    def report(self, **more: object) -> ImproveReport:
        """The best set so far."""
        search = self.search
        fields: dict[str, object] = {
            **self.head,
            "path": tuple(self._path_row(number) for number in range(len(self.path))),
            "zero_shot": self._set_row(search.zero_shot),
            "current": self._judged_row(self.current),
            "start": self._judged_row(self.start) if self.start is not None else None,
            "start_objective": self.task.start_objective,
            "best": self._set_row(search.best),
            "stop": search.stop,
            "guards": self._guards(),
            "search_passes": search.passes,
            "forwards": self.judge.forwards,
            "passes": search.passes + self.picking_passes,
            "seconds": self.ledger.seconds,
            "notices": (*self.head_notices, *self.notices),
        }
        return ImproveReport.model_validate(fields | more)

    def finished(self) -> ImproveReport:
        """The report with the case's own target, scored once under each set."""
        orders: dict[SetRole, MemberOrder] = {"zero_shot": (), "current": self.current}
        if self.start is not None:
            orders["start"] = self.start
        assert self.search.best is not None
        orders["best"] = self.search.best.order
        if self.setting.case.target not in self.setting.case.candidates:
            self.notices.append("The item really chosen next is not among the candidates, so its rank is not compared.")
            return self.report(stage="complete")
        scores, outcomes, cost = _outcomes(self.setting, {which: self._here(order) for which, order in orders.items()})
        self.notices += tie_notices(scores[-1])  # The best set's.
        return self.report(
            stage="complete",
            outcomes=outcomes,
            target_answer=_target_answer(self.setting),
            forwards=self.judge.forwards + len(orders),
            passes=self.search.passes + self.picking_passes + cost / self.unit,
        )

    def _here(self, order: MemberOrder) -> tuple[Demonstration, ...]:
        return tuple(self.members[member].here for member in order)

    def _judged_row(self, order: MemberOrder) -> SetRow | None:
        return self._set_row(self.search.judged(order)) if self.search.knows(order) else None

    def _set_row(self, judged: SetScore | None) -> SetRow | None:
        return None if judged is None else SetRow.model_validate(self._set_fields(judged))

    def _set_fields(self, judged: SetScore) -> dict[str, object]:
        return {
            "demo_ids": tuple(demo.demo_id for demo in self._here(judged.order)),
            "objective": judged.objective,
            "mean": judged.mean,
            "spread": judged.spread,
        }

    def _path_row(self, number: int) -> PathRow:
        step = self.path[number]
        before = self.path[number - 1].best if number else None
        return PathRow.model_validate(
            {
                **self._set_fields(step.score),
                "step": number,
                "move": step.move,
                "tried": step.tried,
                "passes": step.passes,
                "best": step.best.objective,
                "improved": step.best is not before,
            }
        )

    def _held_row(self, held: HeldOut) -> HeldOutRow:
        item = self.setting.dataset.item(str(held.case.target))
        return HeldOutRow(
            item_id=item.item_id,
            title=item.title,
            answer=FAMILIES[self.setting.spec.family].answer(held.liked),
            position=held.position,
            timestamp=held.case.moment,
        )

    def _short_row(self, row: ShortlistEntry) -> ShortlistRow:
        demo, item = row.member.here, self.setting.dataset.item
        return ShortlistRow(
            demo_id=demo.demo_id,
            user_id=demo.user_id,
            item_id=demo.item_id,
            title=item(demo.item_id).title,
            answer=FAMILIES[self.setting.spec.family].answer(demo.liked),
            history=tuple(item(item_id).title for item_id in demo.history),
            back=row.member.back,
            recency=row.scores["recency"],
            bm25=row.scores["bm25"],
            embedding=row.scores.get("embedding"),
            effect=row.scores.get("effect"),
            relevance=row.relevance,
        )

    def _guards(self) -> tuple[str, ...]:
        search, sentences = self.search, []
        if "close" in search.guards:
            sentences.append("Demonstrations that are almost the same are not put into one set.")
        if "worse" in search.guards:
            sentences.append(
                "A set with less spread was refused, because its mean score is below that without demonstrations."
            )
        if search.stop is not None and search.best is not None and not search.best.order:
            sentences.append(
                "No set predicts the held-out choices better than no demonstrations do, so none is advised."
            )
        return tuple(sentences)


def _has_both_answers(setting: Setting) -> bool:
    """Whether held-out choices have a true answer Yes or No."""
    return FAMILIES[setting.spec.family].labelled and setting.dataset.has_ratings


def _held(task: ImproveTask, setting: Setting) -> tuple[HeldOut, ...]:
    both_answers = _has_both_answers(setting)
    if task.objective == "truth" and not both_answers:
        raise RequestError(
            "the objective truth needs Yes and No as true answers",
            expected="the family yes_no and a data set with ratings, or the objective margin",
        )
    return held_out(
        setting.dataset,
        setting.case,
        count=task.held_out,
        negatives=0 if task.objective == "truth" else task.negatives,
        both_answers=both_answers,
        sampling=task.case.sampling,
        history=task.case.history,
    )


def _joined(members: Sequence[Member], others: Sequence[Member]) -> tuple[Member, ...]:
    """The shortlist's members first, then those others that it does not hold, told apart by their ids."""
    ids = {member.here.demo_id for member in members}
    return (*members, *(member for member in others if member.here.demo_id not in ids))


def _outcomes(
    setting: Setting, sets: dict[SetRole, tuple[Demonstration, ...]]
) -> tuple[Floats, tuple[Outcome, ...], int]:
    """Scores [set, candidate], the case's target under each set, and the tokens that took."""
    case, scorer = setting.case, ManyScorer(setting.model, aggregate=aggregate_of(setting.spec))
    table = scorer.scores([prompt_with(setting, demos) for demos in sets.values()])
    if setting.spec.calibrated:
        table = table - scorer.scores([setting.write(case, (), history=0)])
    target = case.candidates.index(str(case.target))
    rows = zip(sets.items(), table, strict=True)
    outcomes = tuple(_outcome(which, demos, scores, target) for (which, demos), scores in rows)
    return table, outcomes, scorer.cost.tokens


def _outcome(which: SetRole, demos: Sequence[Demonstration], scores: Floats, target: int) -> Outcome:
    return Outcome(
        which=which,
        demo_ids=tuple(demo.demo_id for demo in demos),
        score=float(scores[target]),
        rank=ranks(scores)[target],
        candidates=len(scores),
        ndcg=expected_ndcg(scores, target),
    )


def _target_answer(setting: Setting) -> str | None:
    """The true answer for the case's target; None for `next_item`, and where the target has no rating."""
    case = setting.case
    later = setting.dataset.history(case.user_id)[len(case.history) :]
    chosen = next(row for row in later if (row.item_id, row.timestamp) == (case.target, case.moment))
    if not setting.dataset.is_rated(chosen):
        return None
    return FAMILIES[setting.spec.family].answer(setting.dataset.liked(chosen))

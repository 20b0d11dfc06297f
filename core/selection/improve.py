"""The unit of work of Improve: a search for a better set of demonstrations, the best so far at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.analysis.ledger import MOST_SHOWN, Ledger, silent
from core.analysis.setting import Setting, reader_for, tie_notices
from core.analysis.subject import Subject
from core.data.dataset import Dataset
from core.data.records import Demonstration
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.sweep import Cost
from core.prompt.families import FAMILIES
from core.question.task import Progress
from core.selection.confirm import Confirmation, confirmation
from core.selection.heldout import HeldOut, held_out, split_off
from core.selection.improve_task import (
    ConfirmRow,
    HeldOutRow,
    ImproveReport,
    ImproveTask,
    PathRow,
    SetRole,
    SetRow,
    ShortlistRow,
)
from core.selection.judge import PromptJudge
from core.selection.lists_of_sets import ListsOfSets
from core.selection.members import Member, distinct, members_by_id, pool_of, start_sets, strategy_members
from core.selection.objectives import OBJECTIVES
from core.selection.pool_effects import PoolEncoder, prompt_with
from core.selection.search import MemberOrder, Search, SearchStep, SetScore, views
from core.selection.shortlist import ShortlistEntry, distances, shortlist
from core.words import counted

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
    for step in run.search.steps(run.starts, run.trials):
        run.path.append(step)
        yield run.report()
    if run.search.zero_shot is None:
        needed = run.judge.passes(views(())) + run.search.passes
        raise RequestError(
            f"a budget of {task.budget:g} passes", expected=f"at least {needed:.1f}, to judge the empty set"
        )
    run.confirm()
    progress("scoring the case", MOST_SHOWN)
    yield run.finished()


class _ImproveRun:
    """One search with everything it needs in hand."""

    def __init__(self, task: ImproveTask, setting: Setting, ledger: Ledger) -> None:
        self.task, self.setting, self.ledger = task, setting, ledger
        self.path: list[SearchStep] = []
        self.notices: list[str] = []
        self.confirming_judge: PromptJudge | None = None
        self.confirmation: Confirmation | None = None
        self.advised: SetScore | None = None
        """What is advised in place of the best set where the confirming choices speak against that."""
        dataset, case, history = setting.data, setting.case, task.case.history
        ledger.label = "choosing a shortlist"
        ledger.tell()
        held = _held(task, setting)
        self.held, self.confirming = split_off(held, judging=task.held_out, confirming=task.confirm)
        held = (*self.held, *self.confirming)
        tries = start_sets(dataset, case, held, k=task.k, history=history, recents=task.recents)
        start = members_by_id(dataset, case, held, task.start or (), history=history)
        current = self._current(held)
        first = distinct(member for members in (start, *tries, self._own(current)) for member in members)
        self.pool = pool_of(dataset, held, size=task.pool, history=history, taken=first)
        encoder = self._choose(first)
        entries = [row.member for row in self.rows]
        self.members = _joined(entries, current)
        self.current = self._order(current)
        self.start = self._order(start) if task.start else None
        self.judge = self._judge(self.held, self.members, slice(len(self.held)))
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
        self.starts = self._usable([*([self.start] if self.start else []), self.current])
        best = tuple(range(min(task.k, len(entries))))[::-1]
        self.trials = self._usable([*(self._order(members) for members in tries), best])
        self.head_notices = (*dataset.notices, *setting.model.notices, *setting.prompt.notices)
        is_listed = setting.case.target in setting.case.candidates
        self.head = setting.head(task) | {
            "target": setting.target_record() if is_listed else None,
            "tokens": self.unit,
            "held_out": tuple(self._held_row(choice) for choice in self.held),
            "confirming": tuple(self._held_row(choice) for choice in self.confirming),
            "shortlist": tuple(self._short_row(row) for row in self.rows),
        }

    def _choose(self, first: Sequence[Member]) -> PoolEncoder:
        """Choose the shortlist, `first` always in it; returns the pool's encoder, for its cost and notices."""
        task, setting = self.task, self.setting
        demos = [member.here for member in (*first, *self.pool)]
        self.ledger.unit = self.unit = prompt_with(setting, demos[: task.k]).length
        self.ledger.label = "encoding the pool"
        encodes = task.encode and setting.model.server is None  # A server gives no keys and values.
        encoder = PoolEncoder(
            setting,
            demos,
            most_tokens=int(ENCODING_SHARE * task.budget * self.unit) if encodes else 0,
            between=self.ledger.tell,
        )
        self.rows = shortlist(
            setting.data,
            setting.case,
            self.pool,
            size=task.shortlist + len(first),
            lambda_mmr=task.mmr,
            first=first,
            both_answers=_has_both_answers(setting),
            embedded=encoder.embeddings(),
            effects=encoder.effects(),
        )
        return encoder

    def _current(self, held: Sequence[HeldOut]) -> tuple[Member, ...]:
        """The case's own demonstrations; a model that picks them picks at each held-out choice's moment, too."""
        setting, picking = self.setting, Cost()
        spec, dataset, case = setting.spec, setting.data, setting.case
        if spec.demo_ids is not None:
            return members_by_id(dataset, case, held, spec.demo_ids, history=spec.history)
        members = strategy_members(
            dataset,
            case,
            held,
            k=spec.demos,
            strategy=spec.strategy,
            history=spec.history,
            order=spec.order,
            each=spec.each,
            reader=reader_for(spec, dataset, setting.model, cost=picking, between=self.ledger.tell_picking),
        )
        self.ledger.count_picking(picking)
        return members

    def _own(self, current: tuple[Member, ...]) -> tuple[Member, ...]:
        """The case's own demonstrations, where a set may hold them all."""
        user = self.setting.case.user_id
        allowed = self.task.recents or all(member.here.user_id != user for member in current)
        return current if allowed and len(current) <= self.task.k else ()

    def _judge(self, held: Sequence[HeldOut], members: Sequence[Member], choices: slice) -> PromptJudge:
        """A judge of members on some of the held-out choices, whose cost is counted."""
        demos = [member.at(choices) for member in members]
        objective = self.task.judged_by.name
        judge = PromptJudge(self.setting, held, demos, objective=objective, unit=self.unit, between=self.ledger.tell)
        self.ledger.label = "judging sets of demonstrations"
        self.ledger.count(judge.cost)
        return judge

    def _usable(self, orders: Sequence[MemberOrder]) -> list[MemberOrder]:
        """Each order once that the search may return."""
        return [order for order in dict.fromkeys(orders) if order and max(order) < len(self.rows)]

    def _order(self, members: Sequence[Member]) -> MemberOrder:
        places = {member.here.demo_id: place for place, member in reversed(list(enumerate(self.members)))}
        return tuple(dict.fromkeys(places[member.here.demo_id] for member in members))

    def _note_shortages(self, members: int) -> None:
        held, confirming, task = len(self.held), len(self.confirming), self.task
        if members < task.k:
            self.notices.append(f"Only {members} demonstrations can be shown, fewer than the {task.k} asked for.")
        if held < task.held_out or confirming < task.confirm:
            self.notices.append(
                f"The user has {held + confirming} choices that can be held out, fewer than"
                f" {task.held_out + task.confirm}: {held} judge sets, {confirming} confirm the set found."
            )

    def judge_current(self) -> None:
        """Judge the current demonstrations where the search will not, as far as that leaves enough for the search."""
        if self.current in self.starts and self.search.allowed(self.current):
            return
        if self.judge.passes(views(self.current)) <= ASIDE_SHARE * self.task.budget:
            self.search.judge_aside(self.current)
        else:
            self.notices.append("The case's own demonstrations are not judged: that would take too much of the budget.")

    def confirm(self) -> None:
        """Test the set found on the confirming choices; where they speak against it, advise what they speak for."""
        best = self.search.best
        if best is None or not best.order or not self.confirming:
            return
        everyone = _joined(self.members, self.pool)
        self.confirming_judge = self._judge(self.confirming, everyone, slice(len(self.held), None))
        self.ledger.label = "confirming the set found"
        case = self.setting.case
        self.confirmation = confirmation(
            self.confirming_judge,
            best.order,
            self.current,
            members=len(everyone),
            choices=len(self.confirming),
            seed=(case.dataset_id, case.user_id, case.seed),
        )
        if not self.confirmation.holds:
            self.advised = self._second(self.confirmation)

    def _beaten_by(self) -> str:
        assert self.confirmation is not None
        beaten = {rival for rival, test in self.confirmation.tests.items() if test.gap < 0}
        return "no demonstrations" if "zero_shot" in beaten else "the case's own demonstrations"

    def _second(self, confirmation: Confirmation) -> SetScore | None:
        """The case's own demonstrations where they are above none on all held-out choices, else no demonstrations."""
        search, current = self.search, self.current
        above = "current" in confirmation.tests and confirmation.mean("current") >= confirmation.mean("zero_shot")
        if above and search.knows(current) and search.not_worse(current):
            return search.judged(current)
        return search.zero_shot

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
            "best": self._set_row(self.advised or search.best),
            "found": self._set_row(search.best) if search.stop is not None else None,
            "confirmed": self._confirm_rows(),
            "stop": search.stop,
            "guards": self._guards(),
            "search_passes": search.passes,
            "forwards": self._forwards,
            "passes": self._passes,
            "seconds": self.ledger.seconds,
            "notices": (*self.head_notices, *self.notices),
        }
        return ImproveReport.model_validate(fields | more)

    def finished(self) -> ImproveReport:
        """The report with the case's own list, scored once under each set."""
        orders: dict[SetRole, MemberOrder] = {"zero_shot": (), "current": self.current}
        if self.start is not None:
            orders["start"] = self.start
        best = self.advised or self.search.best
        assert best is not None
        orders["best"] = best.order
        lists = ListsOfSets(self.setting, {which: self._here(order) for which, order in orders.items()})
        if lists.target is None:
            self.notices.append("The item really chosen next is not among the candidates, so its place is not known.")
        self.notices += tie_notices(lists.scores["best"])
        return self.report(
            stage="complete",
            outcomes=lists.outcomes(),
            target_answer=lists.target_answer(),
            candidates=lists.rows(),
            forwards=self._forwards + len(orders),
            passes=self._passes + lists.tokens / self.unit,
        )

    @property
    def _forwards(self) -> int:
        return self.judge.forwards + (0 if self.confirming_judge is None else self.confirming_judge.forwards)

    @property
    def _passes(self) -> float:
        """Full-prompt forward equivalents of the search, of the confirming prompts, and of picking by a model."""
        confirming = 0.0 if self.confirming_judge is None else self.confirming_judge.spent
        return self.search.passes + confirming + self.ledger.picking_tokens / self.unit

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

    def _confirm_rows(self) -> tuple[ConfirmRow, ...] | None:
        done = self.confirmation
        if done is None:
            return None
        return tuple(
            ConfirmRow(
                against=rival,
                mean=float(done.scores.mean()),
                rival_mean=done.mean(rival),
                gap=test.gap,
                p=test.p,
                permutations=test.permutations,
                choices=len(done.scores),
            )
            for rival, test in done.tests.items()
        )

    def _held_row(self, held: HeldOut) -> HeldOutRow:
        item = self.setting.data.item(str(held.case.target))
        return HeldOutRow(
            item_id=item.item_id,
            title=item.title,
            answer=FAMILIES[self.setting.spec.family].answer(held.liked),
            position=held.position,
            timestamp=held.case.moment,
        )

    def _short_row(self, row: ShortlistEntry) -> ShortlistRow:
        demo, item = row.member.here, self.setting.data.item
        return ShortlistRow(
            demo_id=demo.demo_id,
            user_id=demo.user_id,
            item_id=demo.item_id,
            title=item(demo.item_id).title,
            answer=FAMILIES[self.setting.spec.family].answer(demo.liked),
            history=tuple(item(item_id).title for item_id in demo.history),
            back=row.member.back,
            source=demo.source,
            recency=row.scores["recency"],
            neighbours=row.scores["neighbours"],
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
        if self.advised is not None:
            instead = "the case's own demonstrations stand" if self.advised.order else "none is advised"
            sentences.append(
                f"The set that the search found did worse on {counted(len(self.confirming), 'newer choice')} than"
                f" {self._beaten_by()}, so {instead}."
            )
        if search.stop is not None and search.best is not None and not search.best.order:
            sentences.append(
                "No set predicts the held-out choices better than no demonstrations do, so none is advised."
            )
        return tuple(sentences)


def _has_both_answers(setting: Setting) -> bool:
    """Whether held-out choices have a true answer Yes or No."""
    return FAMILIES[setting.spec.family].labelled and setting.data.has_ratings


def _held(task: ImproveTask, setting: Setting) -> tuple[HeldOut, ...]:
    objective = task.judged_by
    if objective.both_answers and not _has_both_answers(setting):
        others = " or ".join(row.name for row in OBJECTIVES.values() if not row.both_answers)
        raise RequestError(
            f"the objective {objective.name} needs Yes and No as true answers",
            expected=f"the family yes_no and a data set with ratings, or the objective {others}",
        )
    return held_out(
        setting.data,
        setting.case,
        count=task.held_out + task.confirm,
        negatives=task.negatives if objective.negatives else 0,
        family=task.case.family,
        history=task.case.history,
    )


def _joined(members: Sequence[Member], others: Sequence[Member]) -> tuple[Member, ...]:
    """The shortlist's members first, then those others that it does not hold, told apart by their ids."""
    ids = {member.here.demo_id for member in members}
    return (*members, *(member for member in others if member.here.demo_id not in ids))

"""The unit of work of Improve: a search for a better set of demonstrations, the best so far at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.analysis.ledger import MOST_SHOWN, Ledger, silent
from core.analysis.setting import Setting, tie_notices
from core.analysis.subject import Subject
from core.data.records import Demonstration
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.sweep import Cost
from core.prompt.case_source import CaseSource
from core.prompt.families import FAMILIES
from core.prompt.imported.imported_cases import ImportedCases
from core.question.task import Progress
from core.selection.confirm import Confirmation, confirmation
from core.selection.heldout import LEAST, HeldOut, split_off
from core.selection.imported_material import FileMaterial
from core.selection.improve_task import (
    ConfirmRow,
    ImproveReport,
    ImproveTask,
    ObjectiveNoise,
    PathRow,
    SetRole,
    SetRow,
    ShortlistRow,
)
from core.selection.judge import PromptJudge, objective_noise
from core.selection.lists_of_sets import ListsOfSets
from core.selection.members import Member, distinct
from core.selection.pool_effects import PoolEncoder, prompt_with
from core.selection.search import MemberOrder, Search, SearchStep, SetScore, views
from core.selection.search_material import DataMaterial, SearchMaterial
from core.selection.shortlist import ShortlistEntry, distances, shortlist
from core.selection.verdict import choice_words
from core.words import counted

ASIDE_SHARE = 0.25
"""Most of the budget that judging the current demonstrations may take, where the search may not return them."""
ENCODING_SHARE = 0.5
"""Most of the budget that encoding the pool may take."""


def improve(
    task: ImproveTask,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[ImproveReport]:
    """Reports of a search for a better set, the best so far in each; the last has stage `complete`.

    The case's target is scored once, after the search, and has no part in it. Where a case file has too few true
    answers to judge by, the only report has the shortlist. Raises `DemoLensError`s with one plain
    sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    run = _ImproveRun(task, ledger.set_up(dataset, subject), ledger)
    if len(run.held) < LEAST:
        yield run.report(stage="complete")
        return
    run.measure_noise()
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
        self.noise: ObjectiveNoise | None = None
        self.advised: SetScore | None = None
        """What is advised in place of the best set where the confirming choices speak against that."""
        ledger.label = "choosing a shortlist"
        ledger.tell()
        picking = Cost()
        self.material = material = _material(task, setting, ledger, picking)
        held = material.held_out()
        self.held, self.confirming = split_off(held, judging=task.held_out, confirming=task.confirm)
        held = (*self.held, *self.confirming)
        self.k = min(task.k, material.most)
        tries = material.starts(held)
        start = material.named(held, task.start or ())
        current = material.current(held)
        ledger.count_picking(picking)
        first = distinct(member for members in (start, *tries, self._own(current)) for member in members)
        self.pool = material.pool(held, first)
        encoder = self._choose(first)
        entries = [row.member for row in self.rows]
        self.members = _joined(entries, current)
        self.current = self._order(current)
        self.start = self._order(start) if task.start else None
        self.judge = self._judge(self.held, self.members, slice(len(self.held)))
        self.search = Search(
            self.judge,
            members=len(entries),
            k=self.k,
            lam=task.lam,
            budget=task.budget,
            patience=task.patience,
            distances=distances(material, self.members),
            floor=task.floor,
            passes=encoder.tokens_run / self.unit,
        )
        self.notices += (*material.notices, *encoder.notices)
        self._note_shortages(len(entries))
        self.starts = self._usable([*([self.start] if self.start else []), self.current])
        best = tuple(range(min(self.k, len(entries))))[::-1]
        self.trials = self._usable([*(self._order(members) for members in tries), best])
        self.head_notices = (*setting.dataset.notices, *setting.model.notices, *setting.prompt.notices)
        is_listed = setting.case.target in setting.case.candidates
        self.head = setting.head(task) | {
            "target": setting.target_record() if is_listed else None,
            "tokens": self.unit,
            "held_out": tuple(material.held_row(choice) for choice in self.held),
            "confirming": tuple(material.held_row(choice) for choice in self.confirming),
            "shortlist": tuple(self._short_row(row) for row in self.rows),
        }

    def _choose(self, first: Sequence[Member]) -> PoolEncoder:
        """Choose the shortlist, `first` always in it; returns the pool's encoder, for its cost and notices."""
        task, setting = self.task, self.setting
        demos = [member.here for member in (*first, *self.pool)]
        self.ledger.unit = self.unit = prompt_with(setting, demos[: self.k]).length
        self.ledger.label = "encoding the pool"
        encodes = task.encode or len(self.held) < LEAST  # Nothing else can order demonstrations then.
        encodes = encodes and setting.model.server is None  # A server gives no keys and values.
        encoder = PoolEncoder(
            setting,
            demos,
            most_tokens=int(ENCODING_SHARE * task.budget * self.unit) if encodes else 0,
            between=self.ledger.tell,
        )
        self.rows = shortlist(
            self.material,
            self.pool,
            size=task.shortlist + len(first),
            lambda_mmr=task.mmr,
            first=first,
            both_answers=self.material.has_both_answers,
            embedded=encoder.embeddings(),
            effects=encoder.effects(),
        )
        return encoder

    def _own(self, current: tuple[Member, ...]) -> tuple[Member, ...]:
        """The case's own demonstrations, where a set may hold them all."""
        case = self.setting.case
        allowed = self.task.recents or case.logged or all(member.here.user_id != case.user_id for member in current)
        return current if allowed and len(current) <= self.k else ()

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
        if self.setting.case.logged is None and (held < task.held_out or confirming < task.confirm):
            self.notices.append(
                f"The user has {held + confirming} choices that can be held out, fewer than"
                f" {task.held_out + task.confirm}: {held} judge sets, {confirming} confirm the set found."
            )

    def measure_noise(self) -> None:
        """Judge the empty set again and again, where a server gives the scores."""
        if self.setting.model.server is not None:
            self.ledger.label = "measuring the server's noise"
            self.noise = objective_noise(self.judge)

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
            "noise": self.noise,
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
            self.notices.append(f"The {self.task.case.truth} is not among the candidates, so its place is not known.")
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
        """Full-prompt forward equivalents of search, server's noise, confirming prompts and picking by a model."""
        confirming = 0.0 if self.confirming_judge is None else self.confirming_judge.spent
        return self.search.passes + self.judge.repeated + confirming + self.ledger.picking_tokens / self.unit

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

    def _short_row(self, row: ShortlistEntry) -> ShortlistRow:
        demo, items = row.member.here, self.judge.items
        return ShortlistRow(
            demo_id=demo.demo_id,
            user_id=demo.user_id,
            item_id=demo.item_id,
            title=items[demo.item_id].title,
            answer=FAMILIES[self.setting.spec.family].answer(demo.liked),
            history=tuple(items[item_id].title for item_id in demo.history),
            back=row.member.back,
            source=demo.source,
            recency=row.scores.get("recency"),
            neighbours=row.scores.get("neighbours"),
            bm25=row.scores["bm25"],
            embedding=row.scores.get("embedding"),
            effect=row.scores.get("effect"),
            relevance=row.relevance,
        )

    def _guards(self) -> tuple[str, ...]:
        search, words, sentences = self.search, choice_words(self.task), list[str]()
        if "close" in search.guards:
            sentences.append("Demonstrations that are almost the same are not put into one set.")
        if "worse" in search.guards:
            sentences.append(
                "A set with less spread was refused, because its mean score is below that without demonstrations."
            )
        if self.advised is not None:
            instead = "the case's own demonstrations stand" if self.advised.order else "none is advised"
            sentences.append(
                f"The set that the search found did worse on {counted(len(self.confirming), words.confirming)} than"
                f" {self._beaten_by()}, so {instead}."
            )
        if search.stop is not None and search.best is not None and not search.best.order:
            sentences.append(
                f"No set predicts the {words.held_out} better than no demonstrations do, so none is advised."
            )
        return tuple(sentences)


def _material(task: ImproveTask, setting: Setting, ledger: Ledger, picking: Cost) -> SearchMaterial:
    """What the search chooses from; `picking` counts what a model reads to pick demonstrations."""
    if isinstance(setting.dataset, ImportedCases):
        return FileMaterial(task, setting, setting.dataset)
    return DataMaterial(task, setting, picking, ledger.tell_picking)


def _joined(members: Sequence[Member], others: Sequence[Member]) -> tuple[Member, ...]:
    """The shortlist's members first, then those others that it does not hold, told apart by their ids."""
    ids = {member.here.demo_id for member in members}
    return (*members, *(member for member in others if member.here.demo_id not in ids))

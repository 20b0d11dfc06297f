"""Stage two: the search for the shortlisted demonstrations, in an order, that predict the held-out choices best.

An anytime search: sets to start from, greedy growth of the best of them by the end of the prompt, then halves,
removals, exchanges and other orders of the best set so far. What it maximises is J = mean - lambda * standard deviation
of the held-out score over held-out choices and small changes of the prompt. The empty set is judged first, and no set
that does not beat it is ever returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

MemberOrder = tuple[int, ...]
"""Members of a set, by number, in prompt order."""
SearchMove = Literal["zero-shot", "start", "grow", "reorder", "exchange"]
SearchStop = Literal["budget", "plateau", "optimum"]
"""Why the search ended: nothing more could be afforded; no better set for `patience` steps; no better neighbour."""

BATCH = 4
"""Sets that are scored together before it is decided whether others are worth it."""
FINALISTS = 2
"""Sets of a step that are scored on changed prompts too; the others only once, on the plain prompt."""


@dataclass(frozen=True)
class Question:
    """A set in an order, asked of every held-out choice."""

    order: MemberOrder
    changed: bool = False
    """Ask under a small change: the set rotated by half for every other choice, for the rest the user's history
    without one title."""


class Judge(Protocol):
    """Scores sets of members on the held-out choices with a model."""

    def passes(self, questions: Sequence[Question]) -> float:
        """What scoring these together costs, in full-prompt forward equivalents."""
        ...

    def scores(self, questions: Sequence[Question]) -> Floats:
        """Held-out scores [question, held-out choice], nats, higher is better."""
        ...


@dataclass(frozen=True)
class SetScore:
    """A set and how it was judged; nats."""

    order: MemberOrder
    objective: float
    """J: mean less lambda times spread."""
    mean: float
    spread: float
    """Standard deviation over held-out choices and changes of the prompt."""


@dataclass(frozen=True)
class SearchStep:
    """One step of the search: the best set it judged, the best of all, and the cost so far."""

    move: SearchMove
    tried: int
    """Sets scored in this step."""
    score: SetScore
    best: SetScore
    passes: float


def views(order: MemberOrder) -> tuple[Question, Question]:
    """The prompts a set is judged on: plain, and with a small change."""
    return Question(order), Question(order, changed=True)


def rotated(order: MemberOrder) -> MemberOrder:
    """The second half of a set before the first."""
    half = len(order) // 2
    return order[half:] + order[:half]


@dataclass
class Search:
    """The search for one case; `steps` runs it, and the fields tell where it stands whenever it is stopped."""

    judge: Judge
    members: int
    k: int
    lam: float
    budget: float
    """Most full-prompt forward equivalents, never exceeded."""
    patience: int = 3
    """Steps without a better set after which it stops."""
    distances: Floats | None = None
    """[member, member]; together with `floor` says which members may stand in one set."""
    floor: float = 0.0
    passes: float = 0.0
    best: SetScore | None = None
    zero_shot: SetScore | None = None
    stop: SearchStop | None = None
    guards: set[str] = field(default_factory=set)
    """Which guards held something back: `worse` than zero-shot, too `close` members."""
    _scores: dict[Question, Floats] = field(default_factory=dict)
    _gains: dict[int, float] = field(default_factory=dict)

    def steps(self, starts: Sequence[MemberOrder] = (), trials: Sequence[MemberOrder] = ()) -> Iterator[SearchStep]:
        """Judge the empty set and `starts`, try `trials`, then search; ends when `stop` says why.

        Of the trials, scored on the plain prompt, only the best are judged in full. Where not even the empty set can be
        afforded, nothing is judged and `best` stays None.
        """
        for order in ((), *starts):
            if self.allowed(order) and self._ask(views(order)):
                yield self._step("start" if order else "zero-shot", [order])
            if self.zero_shot is None:
                self.stop = "budget"
                return
        yield from self._try(trials)
        yield from self._grow()
        while self.stop is None:
            yield from self._improve()

    def judged(self, order: MemberOrder) -> SetScore:
        """A set's mean and spread over all its views, which must have been asked."""
        cells = np.concatenate([self._scores[view] for view in views(order)])
        mean, spread = float(cells.mean()), float(cells.std())
        return SetScore(order, mean - self.lam * spread, mean, spread)

    def cells(self, order: MemberOrder) -> Floats:
        """A set's scores [view, held-out choice]."""
        return np.stack([self._scores[view] for view in views(order)])

    def judge_aside(self, order: MemberOrder) -> SetScore | None:
        """Judge a set that the search itself may not return, such as a reference; None where it cannot be afforded."""
        return self.judged(order) if self._ask(views(order)) else None

    def allowed(self, order: MemberOrder) -> bool:
        """Whether a set has at most K distinct members, none closer to another than the floor."""
        if len(order) > self.k or len(set(order)) < len(order):
            return False
        if self.distances is None:
            return True
        near = any(self.distances[a, b] < self.floor for place, a in enumerate(order) for b in order[:place])
        if near:
            self.guards.add("close")
        return not near

    # ---- moves

    def _try(self, trials: Sequence[MemberOrder]) -> Iterator[SearchStep]:
        """Score sets on the plain prompt, and judge the best of them."""
        fresh = [order for order in dict.fromkeys(trials) if self.allowed(order) and not self.knows(order)]
        answered = [question.order for question in self._ask_most([Question(order) for order in fresh])]
        final = self._finals(answered)
        if final is not None:
            yield self._step("start", [final], len(answered))

    def _grow(self) -> Iterator[SearchStep]:
        """Add to the best set, at the end, one by one, the member that gains most; those of little gain come last.

        A member whose earlier gain is below what another one gains now is not asked again (the accelerated greedy of
        Minoux 1978): exact where gains never grow with the set, a saving guess elsewhere.
        """
        assert self.best is not None
        current = self.best.order
        idle = 0
        while len(current) < self.k and self.stop is None:
            tried = self._extensions(current)
            final = self._finals(tried)
            if final is None:
                self.stop = self.stop or ("budget" if tried else None)
                return
            before = self.best
            yield self._step("grow", [final], len(tried))
            current = final
            idle = 0 if self.best is not before else idle + 1
            if idle >= self.patience:
                return

    def _extensions(self, current: MemberOrder) -> list[MemberOrder]:
        """Sets of `current` and one more that were scored on the plain prompt."""
        base = self._plain(current)
        open_members = [m for m in range(self.members) if m not in current and self.allowed((*current, m))]
        open_members.sort(key=lambda m: -self._gains.get(m, np.inf))
        tried: list[MemberOrder] = []
        size = max(BATCH, len(open_members)) if not current else BATCH
        while open_members:
            batch, open_members = open_members[:size], open_members[size:]
            answered = self._ask_most([Question((*current, m)) for m in batch])
            tried += [question.order for question in answered]
            self._gains |= {q.order[-1]: self._plain(q.order) - base for q in answered}
            if len(answered) < len(batch):
                break
            top = max(self._gains[order[-1]] for order in tried)
            if open_members and top >= self._gains.get(open_members[0], np.inf):
                break
        return tried

    def _improve(self) -> Iterator[SearchStep]:
        """Try the neighbours of the best set, the most promising first, until one is better."""
        assert self.best is not None
        base = self.best
        for idle, (move, batch) in enumerate(self._neighbours(base.order), start=1):
            answered = [question.order for question in self._ask_most([Question(order) for order in batch])]
            self._note_losses(base.order, answered)
            better = [order for order in answered if self._plain(order) > self._plain(base.order)]
            final = self._finals(better) if better else None
            candidate = final or max(answered, key=self._plain, default=None)
            if candidate is None or (better and final is None):
                self.stop = "budget"
                return
            if final is not None:
                yield self._step(move, [final], len(answered))
            if self.best is not base:
                return
            if len(answered) < len(batch):
                self.stop = "budget"
                return
            if idle >= self.patience:
                self.stop = "plateau"
                return
        self.stop = "optimum"

    def _neighbours(self, order: MemberOrder) -> Iterator[tuple[SearchMove, list[MemberOrder]]]:
        """Batches: half of it or turned round; one fewer; one more or exchanged, by expected gain; two turned round."""
        half = len(order) // 2
        fewer = [order[:p] + order[p + 1 :] for p in range(len(order))]
        yield from _moves("reorder", self._new([order[half:], order[::-1], order[:half]], order))
        yield from _moves("reorder", self._new(fewer, order))
        others = [m for m in range(self.members) if m not in order]
        moves = [(self._gain(m), (*order, m)) for m in others]
        moves += [(self._gain(m) - self._gain(o), _with(order, p, m)) for p, o in enumerate(order) for m in others]
        moves.sort(key=lambda move: -move[0])
        yield from _moves("exchange", self._new([o for _, o in moves], order))
        swapped = [(*order[:p], order[p + 1], order[p], *order[p + 2 :]) for p in range(len(order) - 1)]
        yield from _moves("reorder", self._new(swapped, order))

    def _note_losses(self, base: MemberOrder, answered: Sequence[MemberOrder]) -> None:
        """What a set loses without one of its members is what that member gains."""
        for order in answered:
            gone = set(base) - set(order)
            if len(order) == len(base) - 1 and len(gone) == 1:
                self._gains[gone.pop()] = self._plain(base) - self._plain(order)

    def _gain(self, member: int) -> float:
        """What a member gained when it was last added or lost; unknown ones rank by their place in the shortlist."""
        return self._gains.get(member, -float(member) * 1e-9)

    def _new(self, orders: Iterable[MemberOrder], base: MemberOrder) -> list[MemberOrder]:
        """Allowed orders that differ from the base and that no search has judged in full yet."""
        return [o for o in dict.fromkeys(orders) if o != base and self.allowed(o) and not self.knows(o)]

    def knows(self, order: MemberOrder) -> bool:
        """Whether a set has been judged on all its views."""
        return all(view in self._scores for view in views(order))

    # ---- asking and keeping count

    def _finals(self, orders: Sequence[MemberOrder]) -> MemberOrder | None:
        """The best by J of the few best by the plain prompt; None where none of them can be afforded."""
        ranked = sorted(orders, key=lambda order: -self._plain(order))[:FINALISTS]
        judged = [order for order in ranked if self._ask(views(order))]
        return max(judged, key=lambda order: self.judged(order).objective, default=None)

    def _step(self, move: SearchMove, orders: Sequence[MemberOrder], tried: int = 1) -> SearchStep:
        top = max((self.judged(order) for order in orders), key=lambda score: score.objective)
        if move == "zero-shot":
            self.zero_shot = self.best = top
        assert self.best is not None
        assert self.zero_shot is not None
        if top.objective > self.best.objective:
            if self.not_worse(top.order):
                self.best = top
            else:
                self.guards.add("worse")
        return SearchStep(move, tried, top, self.best, self.passes)

    def not_worse(self, order: MemberOrder) -> bool:
        """Whether a set predicts no worse than zero-shot, on average over all prompts and over the plain ones."""
        cells, bare = self.cells(order), self.cells(())
        return bool(cells.mean() >= bare.mean() and cells[0].mean() >= bare[0].mean())

    def _plain(self, order: MemberOrder) -> float:
        """Mean less lambda times spread over the held-out choices on the plain prompt alone."""
        cells = self._scores[Question(order)]
        return float(cells.mean() - self.lam * cells.std())

    def _ask_most(self, questions: Sequence[Question]) -> list[Question]:
        """Ask as many of the questions, from the first on, as can be afforded; returns those answered.

        What judging the first of them on its other views costs is kept in hand, so that a finalist can be judged.
        """
        spare = self.judge.passes(views(questions[0].order)[1:]) if questions else 0.0
        count = len(questions)
        while count and not self._ask(questions[:count], spare):
            count -= 1
        return list(questions[:count])

    def _ask(self, questions: Sequence[Question], spare: float = 0.0) -> bool:
        """Have all questions answered together; False, and nothing asked, where less than `spare` would be left."""
        new = [question for question in dict.fromkeys(questions) if question not in self._scores]
        if not new:
            return True
        cost = self.judge.passes(new)
        if self.passes + cost + spare > self.budget:
            return False
        for question, row in zip(new, self.judge.scores(new), strict=True):
            self._scores[question] = row
        self.passes += cost
        return True


def _with(order: MemberOrder, place: int, member: int) -> MemberOrder:
    return (*order[:place], member, *order[place + 1 :])


def _moves(move: SearchMove, orders: list[MemberOrder]) -> Iterator[tuple[SearchMove, list[MemberOrder]]]:
    for first in range(0, len(orders), BATCH):
        yield move, orders[first : first + BATCH]

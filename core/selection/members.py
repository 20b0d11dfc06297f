"""What a set can hold: pool, the nearest by each strategy, and demonstrations by name, as every moment shows them.

A pool holds interactions before the earliest held-out choice. What a strategy picks moves with the moment instead: in
the case it is what the strategy picks there, at a held-out choice what it would have picked then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.data.dataset import Dataset
from core.data.demonstrations import by_ids
from core.data.model_reader import ModelReader
from core.data.records import Case, Demonstration, Order, Strategy
from core.data.strategies import STRATEGIES, pick
from core.errors import DataError
from core.selection.heldout import HeldOut, is_before

STRIDE = 4
"""Held-out choices in a row that show the same picks, those before the earliest of them: prompts that begin with the
same demonstrations run them once."""


@dataclass(frozen=True)
class Member:
    """A demonstration as the case would show it, and as each held-out choice's prompt shows it."""

    here: Demonstration
    then: tuple[Demonstration | None, ...]
    """By held-out choice; None where it was not known yet or where there is none."""
    back: int | None = None
    """For what moves with the moment: how many places from the strategy's nearest, from 1."""

    @property
    def interaction(self) -> tuple[str, int]:
        """User and position of what is shown in the case."""
        return self.here.user_id, self.here.position

    def at(self, choices: slice) -> Member:
        """The member as some of the held-out choices show it."""
        return replace(self, then=self.then[choices])


@dataclass(frozen=True)
class StartSet:
    """A set that the search tries before it changes anything: the nearest by each strategy, in equal shares."""

    strategies: tuple[Strategy, ...]
    """In prompt order; of each the nearest stands last."""
    share: float = 1.0
    """Size over that of the largest set."""
    recents: bool = False
    """Whether it shows the user's own latest interactions."""

    def size(self, k: int) -> int:
        """How many of each strategy, where a set holds at most `k`."""
        return max(1, round(self.share * k / len(self.strategies)))


START_SETS = (
    StartSet(("co_likes",)),
    StartSet(("similar",)),
    StartSet(("similar", "co_likes")),
    StartSet(("neighbours",)),
    StartSet(("co_likes",), share=0.5),
    StartSet(("recent",), recents=True),
)
"""In the order in which they are tried as long as the budget lasts; the case's own set comes before them."""


def start_sets(
    dataset: Dataset, case: Case, held: Sequence[HeldOut], *, k: int, history: int, recents: bool
) -> list[tuple[Member, ...]]:
    """The members of every set of `START_SETS`, at most `k`, the user's own interactions only with `recents`."""
    rows = [row for row in START_SETS if recents or not row.recents]
    whole = {
        strategy: strategy_members(dataset, case, held, k=k, strategy=strategy, history=history)
        for strategy in dict.fromkeys(strategy for row in rows for strategy in row.strategies)
    }
    joined = [[member for strategy in row.strategies for member in whole[strategy][-row.size(k) :]] for row in rows]
    return [distinct(members)[-k:] for members in joined]


def distinct(members: Iterable[Member]) -> tuple[Member, ...]:
    """Each interaction once, as it is shown first."""
    first: dict[tuple[str, int], Member] = {}
    for member in members:
        first.setdefault(member.interaction, member)
    return tuple(first.values())


def latest(dataset: Dataset, case: Case, held: Sequence[HeldOut], *, k: int, history: int) -> tuple[Member, ...]:
    """The user's own `k` latest interactions, oldest first, each standing at the same distance before every moment."""
    return strategy_members(dataset, case, held, k=k, strategy="recent", history=history)


def strategy_members(
    dataset: Dataset,
    case: Case,
    held: Sequence[HeldOut],
    *,
    k: int,
    strategy: Strategy,
    history: int,
    order: Order = "nearest_last",
    each: int = 1,
    reader: ModelReader | None = None,
) -> tuple[Member, ...]:
    """What a strategy picks for the case, in prompt order, beside what it would have picked at each choice's moment.

    At most `STRIDE` choices in a row have the picks of the earliest of them. Raises what `pick` raises.
    """

    def nearest_first(moment: Case) -> tuple[Demonstration, ...]:
        by = {"k": k, "history": history, "each": each}
        return pick(dataset, moment, strategy=strategy, order="nearest_first", reader=reader, **by)

    here = nearest_first(case)
    moments = {place: nearest_first(held[place].case) for place in range(0, len(held), STRIDE)}
    then = [moments[place - place % STRIDE] for place in range(len(held))]
    members = tuple(
        Member(demo, tuple(demos[rank] if rank < len(demos) else None for demos in then), rank + 1)
        for rank, demo in enumerate(here)
    )
    return members if order == "nearest_first" else members[::-1]


def members_by_id(
    dataset: Dataset, case: Case, held: Sequence[HeldOut], ids: Sequence[str], *, history: int
) -> tuple[Member, ...]:
    """Members for demonstration ids, in order; one too new for a held-out choice is left out of that choice's prompt.

    The user's own interactions since the earliest held-out choice count as latest ones, with their true answers.
    Raises what `by_ids` raises.
    """
    demos = by_ids(dataset, case, ids, history=history)
    times = times_of(dataset, demos)
    since = len(case.history) - min(choice.position for choice in held)
    latest_members = {member.interaction: member for member in latest(dataset, case, held, k=since, history=history)}
    members = []
    for demo, time in zip(demos, times, strict=True):
        moving = latest_members.get((demo.user_id, demo.position))
        if moving is not None and moving.here.liked == demo.liked:
            members.append(replace(moving, here=demo))
        else:
            members.append(Member(demo, tuple(demo if is_before(demo, time, choice) else None for choice in held)))
    return tuple(members)


def pool_of(
    dataset: Dataset, held: Sequence[HeldOut], *, size: int, history: int, taken: Sequence[Member] = ()
) -> tuple[Member, ...]:
    """At most `size` members known before the earliest held-out choice and not `taken`.

    Half come from the first strategy that stage one draws on (`DemonstrationStrategy.pooled`), half of the rest from
    the next, and so on, the nearest first; what one lacks the others fill. Raises `DataError` where there is nothing
    at all to show.
    """
    first = held[0].case
    used = {member.interaction for member in taken}
    sources = [
        [demo for demo in reversed(picked) if (demo.user_id, demo.position) not in used]
        for picked in (
            pick(dataset, first, k=size, strategy=row.name, history=history)
            for row in STRATEGIES.values()
            if row.pooled
        )
    ]
    demos = _shared_out(sources, size)
    if not demos and not taken:
        raise DataError(
            "there is nothing to choose demonstrations from: nobody did anything before the held-out choices",
            expected="a pool with at least one interaction",
        )
    return tuple(Member(demo, (demo,) * len(held)) for demo in demos)


def _shared_out(sources: Sequence[Sequence[Demonstration]], size: int) -> list[Demonstration]:
    """Each interaction once: by halves of what is left, the last source all of it, then what is left of any source."""
    chosen: dict[tuple[str, int], Demonstration] = {}
    for number, source in enumerate(sources, start=1):
        left = size - len(chosen)
        _fill(chosen, source, len(chosen) + (left if number == len(sources) else -(-left // 2)))
    for source in sources:
        _fill(chosen, source, size)
    return list(chosen.values())


def _fill(chosen: dict[tuple[str, int], Demonstration], source: Sequence[Demonstration], size: int) -> None:
    for demo in source:
        if len(chosen) >= size:
            return
        chosen.setdefault((demo.user_id, demo.position), demo)


def times_of(dataset: Dataset, demos: Sequence[Demonstration]) -> list[float | None]:
    """When each demonstration's interaction happened."""
    query = (
        "SELECT user_id, position, timestamp FROM interactions JOIN"
        " (SELECT unnest($users) AS user_id, unnest($positions) AS position) USING (user_id, position)"
    )
    keys = {"users": [demo.user_id for demo in demos], "positions": [demo.position for demo in demos]}
    rows = dataset.cursor().execute(query, keys).fetchall() if demos else []
    times: dict[tuple[str, int], float | None] = {(user, position): time for user, position, time in rows}
    return [times[demo.user_id, demo.position] for demo in demos]

"""How is it said which demonstrations joined the prompt at a step, and which left it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from core.data.strategies import STRATEGIES
from core.personal.personalise_task import DemoChange, StepRow
from core.words import counted

NOUNS = {
    "own": ("own interaction", "own interactions"),
    "neighbours": ("neighbour's choice", "neighbours' choices"),
    "others": ("other user's interaction", "other users' interactions"),
}
"""What a demonstration is called, one and several: of the user, of a neighbour, of any other user."""
MOST_TITLES = 3
"""Of one sentence; the others are counted."""


def change_sentences(
    row: StepRow, user: str, *, title: Callable[[str], str] = str, name: Callable[[str], str] = str
) -> list[str]:
    """`2 neighbours' choices joined: Fargo of user 12; Dune of user 7.`, one sentence for each way to come or go.

    What the step's interaction itself adds is not said again: the step is named after it. `title` and `name` make
    titles and user ids fit for where they are shown; `user` is whose stream is played.
    """
    others = tuple(change for change in row.joined if change.demo_id != row.demo_id)
    return [
        f"{counted(len(group), *NOUNS[kind])} {verb}{' as time went on' if by_time else ''}: "
        f"{_titles(group, user, title, name)}."
        for verb, changes in (("joined", others), ("left", row.left))
        for by_time in (False, True)
        for kind, group in _groups(changes, user, by_time=by_time)
    ]


def kind_of_source(change: DemoChange, user: str) -> str:
    """The row of `NOUNS` that a demonstration belongs to."""
    if change.user_id == user:
        return "own"
    return "neighbours" if STRATEGIES[change.source].near else "others"


def _groups(changes: Sequence[DemoChange], user: str, *, by_time: bool) -> Iterator[tuple[str, list[DemoChange]]]:
    for kind in NOUNS:
        group = [change for change in changes if change.by_time == by_time and kind_of_source(change, user) == kind]
        if group:
            yield kind, group


def _titles(changes: Sequence[DemoChange], user: str, title: Callable[[str], str], name: Callable[[str], str]) -> str:
    titles = [
        title(change.title) + ("" if change.user_id == user else f" of user {name(change.user_id)}")
        for change in changes[:MOST_TITLES]
    ]
    more = [f"{len(changes) - MOST_TITLES} more"] if len(changes) > MOST_TITLES else []
    return "; ".join([*titles, *more])

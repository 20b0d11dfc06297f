"""Which demonstrations show an item that is to be ranked, in words."""

from __future__ import annotations

from collections.abc import Sequence

from core.question.task import DemoRow
from core.words import counted


def shown_sentence(demos: Sequence[DemoRow], chosen_next: str | None, *, truth: str = "item really chosen next") -> str:
    """`2 of 16 demonstrations show a candidate; D3 shows the item really chosen next.`; empty where none does.

    `chosen_next` is the id of the item really chosen next, None where it is not among the candidates; `truth` is what
    it is called.
    """
    showing = [row for row in demos if row.shows]
    if not showing:
        return ""
    verb = "shows" if len(showing) == 1 else "show"
    names = [row.label for row in showing if chosen_next in row.shows]
    count = f"{len(showing)} of {counted(len(demos), 'demonstration')} {verb} a candidate"
    return f"{count}; {_which(names)} the {truth}."


def _which(names: Sequence[str]) -> str:
    """`D3 shows`, `D3 and D7 show`, `none of them shows`."""
    if len(names) < 2:
        return f"{names[0]} shows" if names else "none of them shows"
    return f"{', '.join(names[:-1])} and {names[-1]} show"

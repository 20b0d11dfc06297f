"""What a prompt leaves out when it is too long for the model: oldest titles first, then oldest demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.errors import PromptError


@dataclass(frozen=True)
class Histories:
    """Item ids that each history still shows, oldest first, and which demonstrations are left."""

    query: tuple[str, ...]
    demos: tuple[tuple[str, ...], ...]
    first: int = 0
    """Demonstrations before this one are left out."""

    @property
    def shown(self) -> tuple[int, ...]:
        """Indices of the demonstrations that are left."""
        return tuple(range(self.first, len(self.demos)))


def fitted(
    wanted: Histories, tokens: Callable[[Histories], int], context: int | None
) -> tuple[Histories, tuple[str, ...]]:
    """The histories and demonstrations that fit `context` tokens, and one sentence for each thing cut.

    `tokens` is the size of the whole prompt, with its longest candidate, for the histories it is given.
    One step at a time until it fits: the oldest title of the longest history goes (of equally long ones the oldest
    demonstration's first, the query's last) until each shows one title; then the oldest demonstration goes, one
    after the other; then the last title of the query. Raises `PromptError` when even that is too long.
    """
    kept: Histories | None = wanted
    size = 0
    while kept is not None:
        size = tokens(kept)
        if context is None or size <= context:
            return kept, _sentences(wanted, kept, context)
        kept = _shorter(kept)
    found = f"{size} tokens without any demonstration or history"
    raise PromptError(found, expected=f"at most {context}, the context of the model")


def _shorter(kept: Histories) -> Histories | None:
    lengths = {index: len(kept.demos[index]) for index in kept.shown}
    lengths[len(kept.demos)] = len(kept.query)
    longest = max(lengths.values())
    if longest > 1:
        return _without_oldest_title(kept, next(index for index, length in lengths.items() if length == longest))
    if kept.shown:
        return replace(kept, first=kept.first + 1)
    return replace(kept, query=()) if kept.query else None


def _without_oldest_title(kept: Histories, index: int) -> Histories:
    if index == len(kept.demos):
        return replace(kept, query=kept.query[1:])
    return replace(kept, demos=(*kept.demos[:index], kept.demos[index][1:], *kept.demos[index + 1 :]))


def _sentences(wanted: Histories, kept: Histories, context: int | None) -> tuple[str, ...]:
    """One sentence per shortened history and per demonstration left out, in the order of cutting."""
    why = f"to fit the context of {context} tokens."
    titles = [
        f"Demonstration {index + 1} shows its latest {len(kept.demos[index])} of {len(before)} titles, {why}"
        for index, before in enumerate(wanted.demos)
        if index >= kept.first and len(kept.demos[index]) < len(before)
    ]
    demos = [f"Demonstration {index + 1} was left out, {why}" for index in range(kept.first)]
    query = f"The query shows its latest {len(kept.query)} of {len(wanted.query)} titles, {why}"
    shortened = [query] if len(kept.query) < len(wanted.query) else []
    return (*titles, *shortened, *demos) if kept.query else (*titles, *demos, *shortened)

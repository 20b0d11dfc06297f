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
    def demo_indices(self) -> tuple[int, ...]:
        """Indices of the demonstrations that are left."""
        return tuple(range(self.first, len(self.demos)))


def fitted(
    full: Histories, tokens: Callable[[Histories], int], context: int | None
) -> tuple[Histories, tuple[str, ...]]:
    """The histories and demonstrations that fit `context` tokens, and one sentence for each thing cut.

    `tokens` is the size of the whole prompt, with its longest candidate, for the histories it is given.
    One step at a time until it fits: the oldest title of the longest history goes (of equally long ones the oldest
    demonstration's first, the query's last) until each shows one title; then the oldest demonstration goes, one
    after the other; then the last title of the query. Raises `PromptError` when even that is too long.
    """
    left: Histories | None = full
    size = 0
    while left is not None:
        size = tokens(left)
        if context is None or size <= context:
            return left, _sentences(full, left, context)
        left = _shorter(left)
    problem = f"{size} tokens without any demonstration or history"
    raise PromptError(problem, expected=f"at most {context}, the context of the model")


def _shorter(left: Histories) -> Histories | None:
    lengths = {index: len(left.demos[index]) for index in left.demo_indices}
    lengths[len(left.demos)] = len(left.query)
    longest = max(lengths.values())
    if longest > 1:
        return _without_oldest_title(left, next(index for index, length in lengths.items() if length == longest))
    if left.demo_indices:
        return replace(left, first=left.first + 1)
    return replace(left, query=()) if left.query else None


def _without_oldest_title(left: Histories, index: int) -> Histories:
    if index == len(left.demos):
        return replace(left, query=left.query[1:])
    return replace(left, demos=(*left.demos[:index], left.demos[index][1:], *left.demos[index + 1 :]))


def _sentences(full: Histories, left: Histories, context: int | None) -> tuple[str, ...]:
    """One sentence per shortened history and per demonstration left out, in the order of cutting."""
    why = f"to fit the context of {context} tokens."
    titles = [
        f"Demonstration {index + 1} shows its latest {len(left.demos[index])} of {len(before)} titles, {why}"
        for index, before in enumerate(full.demos)
        if index >= left.first and len(left.demos[index]) < len(before)
    ]
    demos = [f"Demonstration {index + 1} was left out, {why}" for index in range(left.first)]
    query = f"The query shows its latest {len(left.query)} of {len(full.query)} titles, {why}"
    shortened = [query] if len(left.query) < len(full.query) else []
    return (*titles, *shortened, *demos) if left.query else (*titles, *demos, *shortened)

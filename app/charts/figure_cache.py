"""Drawn figures, shown again as long as nothing that they are drawn from changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import ParamSpec

import plotly.graph_objects as go
from pydantic import BaseModel

MOST_FIGURES = 128
"""Figures that are held for all tabs together, the last used ones."""
P = ParamSpec("P")


@dataclass(frozen=True)
class _Call:
    """A call of a function that draws, equal to another by `key`.

    A record counts by identity: it cannot change, and to compare two of them takes as long as to draw. `draw` holds
    the arguments, so that no other record can take the place of one in memory.
    """

    key: Hashable
    draw: Callable[[], go.Figure] = field(compare=False)


@functools.lru_cache(maxsize=MOST_FIGURES)
def _figure(call: _Call) -> go.Figure:
    return call.draw()


def cached_figure(draw: Callable[P, go.Figure]) -> Callable[P, go.Figure]:
    """`draw`, whose figure is held by its arguments and handed out again; nobody may change it.

    Arguments that are neither records nor hashable are drawn anew each time.
    """

    @functools.wraps(draw)
    def cached(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        key = (draw, _identity(args), _identity(tuple(sorted(kwargs.items()))))
        try:
            hash(key)
        except TypeError:  # An argument without a hash.
            return draw(*args, **kwargs)
        return _figure(_Call(key, functools.partial(draw, *args, **kwargs)))

    return cached


def _identity(value: object) -> Hashable:
    """What stands for an argument in a key."""
    if isinstance(value, BaseModel):
        return type(value), id(value)
    if isinstance(value, list | tuple):
        return tuple(map(_identity, value))
    return value

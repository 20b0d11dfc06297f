"""How long is a drawn figure shown again? As long as nothing that it is drawn from changed."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import ParamSpec

import plotly.graph_objects as go
from pydantic import BaseModel

MOST_FIGURES = 128
"""Figures that are held for all tabs together, the last used ones."""
P = ParamSpec("P")


class Figures:
    """Figures by the function that draws them and its arguments; safe to use from several threads.

    A record counts by identity: it cannot change, and to compare two of them takes as long as to draw. It is held with
    its figure, so that no other record can take its place in memory.
    """

    def __init__(self, most: int = MOST_FIGURES) -> None:
        self._most, self._lock = most, threading.Lock()
        self._figures: OrderedDict[Hashable, tuple[go.Figure, object]] = OrderedDict()

    def get(self, key: Hashable) -> go.Figure | None:
        """The figure under `key`, if it is held."""
        with self._lock:
            if key not in self._figures:
                return None
            self._figures.move_to_end(key)
            return self._figures[key][0]

    def put(self, key: Hashable, figure: go.Figure, arguments: object) -> None:
        """Hold a figure, and let go of the one that was not used for longest."""
        with self._lock:
            self._figures[key] = figure, arguments
            while len(self._figures) > self._most:
                self._figures.popitem(last=False)


FIGURES = Figures()


def cached_figure(draw: Callable[P, go.Figure]) -> Callable[P, go.Figure]:
    """`draw`, whose figure is held by its arguments and handed out again; nobody may change it.

    Arguments that are neither records nor hashable are drawn anew each time.
    """

    @functools.wraps(draw)
    def cached(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        key = (draw, _identity(args), _identity(tuple(sorted(kwargs.items()))))
        try:
            figure = FIGURES.get(key)
        except TypeError:  # An argument without a hash.
            return draw(*args, **kwargs)
        if figure is None:
            figure = draw(*args, **kwargs)
            FIGURES.put(key, figure, (args, kwargs))
        return figure

    return cached


def _identity(value: object) -> Hashable:
    """What stands for an argument in a key."""
    if isinstance(value, BaseModel):
        return type(value), id(value)
    if isinstance(value, list | tuple):
        return tuple(map(_identity, value))
    return value

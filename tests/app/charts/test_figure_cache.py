"""A figure is drawn once for everything it is drawn from, and anew for anything else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import threading

import plotly.graph_objects as go
import pytest

import app.charts
from app.charts import heatmap, waterfall
from app.charts.figure_cache import MOST_FIGURES, cached_figure
from app.theme import DARK, LIGHT

SHARED = {"framed", "auc_figure", "rank_flow"}
"""Functions that make a part of a figure."""


def public_functions():
    for module in pkgutil.iter_modules(app.charts.__path__, "app.charts."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            if function.__module__ == module.name and not name.startswith("_"):
                yield name, function


def test_every_chart_of_a_page_is_cached():
    charts = [f for name, f in public_functions() if f.__annotations__.get("return") == "go.Figure"]
    plain = [f"{f.__module__}.{f.__name__}" for f in charts if not hasattr(f, "__wrapped__")]

    assert len(charts) >= 20
    assert [name for name in plain if name.rpartition(".")[2] not in SHARED] == []


def test_same_record_palette_and_selection_give_the_same_figure(complete):
    first = waterfall.figure(complete, LIGHT, selected=2, order="size")

    assert waterfall.figure(complete, LIGHT, selected=2, order="size") is first
    assert waterfall.figure(complete, LIGHT, order="size", selected=2) is first


@pytest.mark.parametrize(
    ("colours", "choices"),
    [
        (DARK, {"limit": 24, "demo": 2, "item": None}),
        (LIGHT, {"limit": 24, "demo": 3, "item": None}),
        (LIGHT, {"limit": 5, "demo": 2, "item": None}),
    ],
)
def test_other_palette_or_selection_is_drawn_anew(complete, colours, choices):
    known = heatmap.figure(complete, LIGHT, limit=24, demo=2, item=None)
    other = heatmap.figure(complete, colours, **choices)

    assert other is not known
    assert other.to_plotly_json() == heatmap.figure.__wrapped__(complete, colours, **choices).to_plotly_json()


def test_a_record_with_other_numbers_is_drawn_anew(complete):
    made = complete.contributions
    known = waterfall.figure(complete, LIGHT)
    other = complete.model_copy(
        update={"contributions": made.model_copy(update={"values": tuple(-value for value in made.values)})}
    )

    assert waterfall.figure(other, LIGHT).to_plotly_json() != known.to_plotly_json()


def test_a_record_in_the_place_of_a_released_one_is_not_taken_for_it(complete):
    drawn = []

    @cached_figure
    def titles(record) -> go.Figure:
        drawn.append(record.user_id)
        return go.Figure(layout={"title": record.user_id})

    for user in range(200):  # Each copy is released at once: CPython gives its address to the next.
        titles(complete.model_copy(update={"user_id": str(user)}))

    assert drawn == [str(user) for user in range(200)]


def test_arguments_without_a_hash_are_drawn_each_time():
    @cached_figure
    def bars(values: dict[str, float]) -> go.Figure:
        return go.Figure(go.Bar(x=list(values), y=list(values.values())))

    values = {"a": 1.0}
    first = bars(values)
    values["a"] = 2.0

    assert list(bars(values).data[0].y) == [2.0]
    assert list(first.data[0].y) == [1.0]


def test_no_more_figures_are_held_than_allowed():
    drawn = []

    @cached_figure
    def bars(value: int) -> go.Figure:
        drawn.append(value)
        return go.Figure()

    for value in range(MOST_FIGURES + 1):
        bars(value)
    bars(MOST_FIGURES)
    bars(1)
    assert drawn == list(range(MOST_FIGURES + 1))

    bars(0)
    assert drawn[-1] == 0


def test_many_threads_may_draw_the_same_chart(complete):
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(waterfall.figure(complete, LIGHT).to_plotly_json()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 8
    assert all(figure == seen[0] for figure in seen)

"""Every table on the screen: headings with units, rounded numbers, and a dash for what is missing."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from typing import Any

import choices
import pandas as pd
import pytest
from evaluations import made, ranked
from streamlit.testing.v1 import AppTest

from app import charts, headings
from app.charts import (
    ability,
    before_after,
    choice,
    drift,
    heatmap,
    latency,
    layers,
    lists,
    moved,
    place_curve,
    ranks,
    sensitivity,
    waterfall,
)
from app.charts import answer_ranks as ranking
from app.charts import demonstration_quality as quality
from app.charts import dual_model as dual
from app.charts import inference_lists as inference
from app.charts import perturbations as robustness
from app.charts import score_utility as utility
from app.charts import search_path as improve
from app.charts import update_similarity as updates
from app.charts import user_stream as stream

Table = Callable[[Any], pd.DataFrame]
STANDING = inference.Standing("plain", 0.5, 0.4, 0.6, 0.1, 0.0, None)
EVERY: list[tuple[str, Callable[..., pd.DataFrame], Table]] = [
    ("waterfall", waterfall.table, lambda all_: waterfall.table(all_["explanation"])),
    ("matrix", heatmap.table, lambda all_: heatmap.table(all_["explanation"])),
    ("layers", layers.table, lambda all_: layers.table(all_["explanation"])),
    ("place-curve", place_curve.table, lambda all_: place_curve.table(all_["explanation"], 6)),
    ("candidates", ranks.table, lambda all_: ranks.table(all_["explanation"])),
    ("residual", dual.table, lambda all_: dual.table(all_["dual"], "residual")),
    ("zero_factor", dual.table, lambda all_: dual.table(all_["dual"], "zero_factor")),
    ("norm", dual.table, lambda all_: dual.table(all_["dual"], "norm")),
    ("features", dual.table, lambda all_: dual.table(all_["dual"], "features")),
    ("descent", dual.table, lambda all_: dual.table(all_["dual"], "descent")),
    ("updates", updates.table, lambda all_: updates.table(all_["updates"])),
    ("updates", updates.summary, lambda all_: updates.summary(all_["updates"])),
    ("gram", quality.table, lambda all_: quality.table(all_["quality"])),
    ("quality", quality.scores, lambda all_: quality.scores(all_["quality"])),
    ("costs", quality.costs, lambda all_: quality.costs(all_["quality"])),
    ("utility", utility.table, lambda all_: utility.table(all_["utility"])),
    ("flips", robustness.table, lambda all_: robustness.table(all_["robustness"])),
    ("flow", robustness.flow_table, lambda all_: robustness.flow_table(all_["robustness"])),
    ("sensitivity", sensitivity.table, lambda all_: sensitivity.table(all_["robustness"])),
    ("moved", inference.moves_table, lambda all_: inference.moves_table(all_["robustness"])),
    (
        "standings",
        inference.table,
        lambda all_: inference.table([inference.Standing("plain", 0.5, 0.4, 0.6, 0.1, 0.0, None)]),
    ),
    ("choice", choice.table, lambda all_: choice.table(choices.choice())),
    ("path", improve.table, lambda all_: improve.table(all_["improve"])),
    ("shortlist", improve.shortlist_table, lambda all_: improve.shortlist_table(all_["improve"])),
    ("confirmed", improve.confirm_table, lambda all_: improve.confirm_table(all_["improve"])),
    ("outcomes", improve.outcomes_table, lambda all_: improve.outcomes_table(all_["improve"])),
    ("improved", before_after.table, lambda all_: before_after.table(all_["improve"])),
    ("stream", stream.table, lambda all_: stream.table(stream.marks(all_["personalise"], [], 0))),
    ("changes", stream.changes_table, lambda all_: stream.changes_table(all_["personalise"])),
    ("flow", lists.flow_table, lambda all_: lists.flow_table(all_["personalise"])),
    ("target-steps", lists.target_table, lambda all_: lists.target_table(all_["personalise"])),
    ("list", lists.table, lambda all_: lists.table(all_["personalise"])),
    ("matrix", moved.table, lambda all_: moved.table(all_["personalise"])),
    ("latency", latency.table, lambda all_: latency.table(all_["personalise"])),
    ("ability", ability.table, lambda _: ability.table(made())),
    ("drift", drift.table, lambda _: drift.table(made())),
    ("ranking", ranking.table, lambda _: ranking.table(ranked())),
]
"""Name of the table on the screen, the function that makes it, and the table of the hand-made examples."""


@pytest.fixture(scope="module")
def all_(example: Any) -> dict[str, Any]:
    return {"explanation": example.explanation(), **example.reports()}


def test_no_table_of_a_chart_is_left_out() -> None:
    modules = [importlib.import_module(f"app.charts.{module.name}") for module in pkgutil.iter_modules(charts.__path__)]
    functions = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__annotations__.get("return") == "pd.DataFrame"
    }
    assert functions == {function for _, function, _ in EVERY}


@pytest.mark.parametrize(("name", "_function", "table"), EVERY, ids=lambda each: getattr(each, "__qualname__", each))
def test_every_column_has_a_heading_and_every_number_a_rounding(
    all_: dict[str, Any], name: str, _function: Any, table: Table
) -> None:
    frame = table(all_)
    shown = headings.headings(name, frame)
    scaled = headings.scaled(frame, shown)
    for column, each in shown.items():
        assert headings.heading(name, column) is not None, f"{name}: {column} has no heading"
        assert "_" not in each.label.removeprefix("place of ")
        numbers = [value for value in scaled[column] if not isinstance(value, str | bool) and not pd.isna(value)]
        assert each.digits is not None or not numbers or frame[column].dtype == bool, f"{name}: {column} is not rounded"
        for value in numbers:
            assert len(each.digits % value) <= 10, f"{name}: {column} stands as {each.digits % value}"


def test_a_share_stands_in_per_cent_and_what_is_missing_stays_missing() -> None:
    frame = pd.DataFrame({"flip_rate": [0.25, None], "step": [1, 2]})
    shown = headings.headings("flips", frame)
    assert shown["flip_rate"].label == "variants with another first item (%)"
    scaled = headings.scaled(frame, shown)
    assert scaled["flip_rate"].tolist()[0] == 25.0
    assert pd.isna(scaled["flip_rate"][1])
    assert frame["flip_rate"][0] == 0.25


def test_a_rank_between_two_places_is_not_cut() -> None:
    for column in ("rank", "rank_101", "step_3", "climb", "rank_without"):
        shown = headings.heading("list", column)
        assert shown is not None
        assert str(shown.digits) % 1.5 == "1.5"


def test_ends_of_an_interval_are_named_after_what_they_bound() -> None:
    ends = headings.heading("moves", "score_change_nats_low")
    assert ends is not None
    assert (ends.label, ends.digits) == ("change of the target's own score, low end (nats)", "%.3f")
    assert headings.heading("matrix", "base_D2").label == "base D2 (nats)"  # type: ignore[union-attr]
    assert headings.heading("residual", "head 3").digits == "%.1e"  # type: ignore[union-attr]
    assert headings.heading("residual", "nobody") is None


def _shown() -> None:
    import pandas

    from app.widgets.panel import twin

    table = pandas.DataFrame({"rank": [1, None], "title": ["Heat\u202e", ""], "score": [0.123456789, None]})
    twin("any", table, alt="Two rows")


def test_the_table_on_the_screen_has_units_rounding_and_a_dash() -> None:
    page = AppTest.from_function(_shown, default_timeout=60).run()
    [element] = page.dataframe
    configured = json.loads(element.proto.columns)
    assert configured["score"]["label"] == "score (nats)"
    assert configured["score"]["type_config"]["format"] == "%.3f"
    assert configured["rank"]["type_config"]["format"] == "%g"
    assert element.proto.placeholder == "–"
    assert element.value["title"].isna().tolist() == [False, True]
    assert element.value["title"][0] == "Heat⟦U+202E⟧"


def test_what_rounds_to_zero_has_no_sign() -> None:
    frame = pd.DataFrame({"gain": [-0.0004, -0.0006, None, 0.0004]})
    gain = headings.scaled(frame, headings.headings("any", frame))["gain"]
    assert [f"{value:.3f}" for value in gain] == ["0.000", "-0.001", "nan", "0.000"]

"""Plain against regularised and perturbed inference, drawn."""

from __future__ import annotations

import pytest

from app.charts import inference
from app.charts.inference import Standing
from app.theme import DARK, LIGHT, Palette

PLAIN = Standing("plain", 0.35, 0.30, 0.40, 0.20, 0.15, 0.26)
CALM = Standing("noise 0.1 (8 samples)", 0.36, 0.31, 0.41, 0.12, 0.08, 0.17)
EVEN = Standing("decay 0.05", 0.35, None, None, 0.18, None, None)
WORSE = Standing("dropout 0.5 (8 samples)", 0.28, 0.22, 0.33, 0.05, 0.02, 0.09)
WILD = Standing("negatives 0.5", 0.40, 0.33, 0.46, 0.30, 0.24, 0.37)
UNKNOWN = Standing("negatives 0.1", None, None, None, 0.10, 0.05, 0.15)
ALL = [PLAIN, CALM, EVEN, WORSE, WILD, UNKNOWN]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_every_measured_setting_stands_at_its_numbers_with_its_intervals(colours: Palette) -> None:
    figure = inference.figure(ALL, colours)
    placed = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data}
    assert placed == {row.name: (row.ndcg, row.flips) for row in ALL if row is not UNKNOWN}
    calm = next(trace for trace in figure.data if trace.name == CALM.name)
    assert calm.x[0] + calm.error_x.array[0] == pytest.approx(0.41)
    assert calm.x[0] - calm.error_x.arrayminus[0] == pytest.approx(0.31)
    assert calm.y[0] + calm.error_y.array[0] == pytest.approx(0.17)
    assert calm.y[0] - calm.error_y.arrayminus[0] == pytest.approx(0.08)
    even = next(trace for trace in figure.data if trace.name == EVEN.name)
    assert even.error_x.array is None


def test_only_what_flips_less_at_no_lower_ndcg_is_filled_and_the_plain_model_is_a_diamond() -> None:
    symbols = {trace.name: trace.marker.symbol for trace in inference.figure(ALL, LIGHT).data}
    assert symbols == {
        PLAIN.name: "diamond",
        CALM.name: "circle",
        EVEN.name: "circle",
        WORSE.name: "circle-open",
        WILD.name: "circle-open",
    }


def test_the_text_says_whether_a_setting_is_worth_it() -> None:
    ours = "the plain model has a flip rate of 0.20 at NDCG@10 0.35."
    assert inference.alt(ALL) == (
        "2 of 4 settings flip less than the plain model at no lower NDCG@10. "
        f"Fewest flips: noise 0.1 (8 samples), 0.12 at NDCG@10 0.36; {ours}"
    )
    assert inference.alt([PLAIN, WORSE, WILD]) == (
        f"None of 2 settings flips less than the plain model at no lower NDCG@10; {ours}"
    )
    assert inference.alt([PLAIN, CALM]).startswith("1 of 1 settings flips less")


@pytest.mark.parametrize("standings", [[], [UNKNOWN, CALM]])
def test_without_the_plain_model_nothing_is_compared(standings: list[Standing]) -> None:
    figure = inference.figure(standings, LIGHT)
    assert not figure.layout.shapes
    assert inference.alt(standings) == "The plain model is not measured yet."


def test_the_table_holds_every_number() -> None:
    twin = inference.table(ALL)
    assert list(twin["setting"]) == [row.name for row in ALL]
    assert list(twin["flip_rate"]) == [row.flips for row in ALL]
    assert twin.loc[1, ["ndcg_at_10", "ndcg_low", "ndcg_high", "flip_low", "flip_high"]].tolist() == [
        0.36,
        0.31,
        0.41,
        0.08,
        0.17,
    ]


def test_a_name_cannot_mark_up_the_figure() -> None:
    text = inference.figure([Standing("<b onclick=x>$y$</b>", 0.1, 0.0, 0.2, 0.1, 0.0, 0.2)], LIGHT).to_json()
    assert "<b on" not in text
    assert "\\u003cb on" not in text

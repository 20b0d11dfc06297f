import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from questions import explain_task

from app.charts import heatmap, layers, ranks, waterfall
from app.theme import DARK, LIGHT, colour, signed
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.targets import EXPLAINED

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


@pytest.fixture
def complete(example):
    """A complete explanation of 8 demonstrations with answers, and 20 candidates."""
    return example.explanation(explain_task())


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


@BOTH
@pytest.mark.parametrize("order", ["prompt", "size"])
def test_the_bars_lead_from_zero_shot_to_few_shot(complete, colours, order):
    made = complete.contributions
    figure = waterfall.figure(complete, colours, order=order)
    bars, rest, ends = (_trace(figure, name) for name in ("contribution", "residual", "score"))
    assert list(ends.x) == [made.zero_shot, made.few_shot]
    assert bars.base[0] == made.zero_shot
    for place in range(1, len(bars.x)):
        assert bars.base[place] == pytest.approx(bars.base[place - 1] + bars.x[place - 1])
    assert rest.base[0] == pytest.approx(bars.base[-1] + bars.x[-1])
    assert rest.base[0] + rest.x[0] == pytest.approx(made.few_shot)
    assert [made.values[index] for index in bars.customdata] == list(bars.x)


def test_sign_shows_by_colour_and_by_hatch_and_the_interval_is_exact(complete):
    made = complete.contributions
    bars = _trace(waterfall.figure(complete, LIGHT), "contribution")
    for value, fill, hatch in zip(bars.x, bars.marker.color, bars.marker.pattern.shape, strict=True):
        assert fill == (LIGHT.raises if value > 0 else LIGHT.lowers)
        assert hatch == ("" if value > 0 else "/")
    assert list(bars.error_x.array) == pytest.approx(
        [high - value for high, value in zip(made.high, made.values, strict=True)]
    )


def test_a_bar_that_is_noise_of_the_server_is_grey_and_named(complete):
    noisy = [index == 2 for index in range(len(complete.contributions.values))]
    contributions = complete.contributions.model_copy(update={"within_noise": tuple(noisy)})
    record = complete.model_copy(update={"contributions": contributions})
    bars = _trace(waterfall.figure(record, LIGHT), "contribution")
    assert [fill == LIGHT.neutral_mark for fill in bars.marker.color] == noisy
    assert ["noise of the server" in text for text in bars.hovertext] == noisy
    assert waterfall.table(record)["within_noise"].tolist()[1:-2] == noisy
    assert "within_noise" not in waterfall.table(complete)


@given(user=st.integers(1, 10**6), item=st.integers(100, 105), order=st.sampled_from(["prompt", "size"]))
def test_both_tones_of_an_own_score_add_up_to_its_bar(example, user, item, order):
    """Property: field part and lift part lead from where a bar begins to where it ends, in chart, hover and table."""
    task = Explain(case=CaseSpec(user=str(user), demos=5, candidates=6), explain="score", target=str(item))
    record = example.explanation(task)
    effects, at = np.array(record.list_effects.effects), item - 100
    margins = effects @ EXPLAINED["field"].weights(6, at)
    figure = waterfall.figure(record, LIGHT, order=order)
    bars, field, lift = (_trace(figure, name) for name in ("contribution", "field part", "lift part"))
    indices = list(bars.customdata)
    np.testing.assert_allclose(field.x, margins[indices], atol=1e-12)
    np.testing.assert_allclose(np.add(field.x, lift.x), bars.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(lift.base, np.add(field.base, field.x), rtol=0, atol=1e-12)
    assert list(field.base) == list(bars.base)
    for part, sign in ((field, colour), (lift, waterfall.lift_colour)):
        assert list(part.marker.color) == [sign(value, LIGHT) for value in part.x]
        assert list(part.marker.pattern.shape) == ["/" if value < 0 else "" for value in part.x]
    twin = waterfall.table(record).iloc[1:-2]
    np.testing.assert_allclose(twin["field_part"] + twin["lift_part"], twin["contribution"], rtol=0, atol=1e-12)
    for place, index in enumerate(indices):
        assert f"of it {signed(field.x[place])} against the other candidates" in bars.hovertext[place]
        assert twin["field_part"].iloc[index] == field.x[place]
    low, high = figure.layout.xaxis.range
    assert all(low < end < high for end in [*bars.base, *lift.base])


def test_only_an_own_score_has_two_tones(complete):
    assert {trace.name for trace in waterfall.figure(complete, LIGHT).data if trace.type == "bar"} == {
        "contribution",
        "residual",
    }
    assert "field_part" not in waterfall.table(complete)


def test_the_size_order_is_by_amount(complete):
    made = complete.contributions
    order = waterfall.order_of(made, "size")
    amounts = [abs(made.values[index]) for index in order]
    assert amounts == sorted(amounts, reverse=True)


def test_the_selected_bar_is_outlined(complete):
    bars = _trace(waterfall.figure(complete, LIGHT, selected=3), "contribution")
    assert [width > 0 for width in bars.marker.line.width] == [index == 3 for index in bars.customdata]


@BOTH
def test_the_heat_map_holds_the_matrix_around_zero(complete, colours):
    figure = heatmap.figure(complete, colours, limit=24)
    grid = figure.data[0]
    rows = heatmap.drawn(complete, 24)
    weights = [EXPLAINED["field"].weights(20, c) for c in rows]
    effects = np.array(complete.list_effects.effects)
    np.testing.assert_allclose(np.array(grid.z), np.array(weights) @ effects.T, atol=1e-12)
    own = heatmap.figure(complete, colours, limit=24, explain="score").data[0]
    np.testing.assert_allclose(np.array(own.z), effects[:, rows].T, atol=1e-12)
    assert grid.zmin == -grid.zmax
    assert grid.zmid == 0
    cells = _trace(figure, "cells")
    assert cells.customdata[9][0] == 1
    assert cells.customdata[9][1] == complete.candidates[rows[1]].item_id


def test_few_rows_still_hold_the_target_and_the_selected(complete):
    rows = heatmap.drawn(complete, 3, selected="119")
    assert rows == [0, 1, 2, 6, 19]


def test_the_layer_map_holds_the_parts(complete):
    grid = layers.figure(complete, LIGHT, selected=2).data[0]
    assert tuple(map(tuple, grid.z)) == complete.contributions.by_layer
    assert grid.zmin == -grid.zmax


def test_the_slopes_hold_the_ranks(complete):
    figure = ranks.figure(complete, LIGHT, item="101")
    by_item = {trace.name: tuple(trace.y) for trace in figure.data}
    assert by_item == {row.item_id: (row.zero_shot_rank, row.rank) for row in complete.candidates}


def test_alt_texts_state_the_conclusion(complete):
    made = complete.contributions
    best = max(range(8), key=lambda index: made.values[index])
    assert f"D{best + 1} raises it most, by {made.values[best]:.2f} nats." in waterfall.alt(complete)
    cells = {(d, c): value for d, line in enumerate(complete.list_effects.effects) for c, value in enumerate(line)}
    demo, candidate = max(cells, key=cells.__getitem__)
    highest = f"D{demo + 1} raises {complete.candidates[candidate].title} most"
    assert f"{highest}, by {cells[demo, candidate]:.2f} nats." in heatmap.alt(complete, "score")
    assert "Strongest" in layers.alt(complete)
    assert "Largest climb" in ranks.alt(complete)


def test_table_twins_hold_the_same_numbers(complete):
    made = complete.contributions
    twin = waterfall.table(complete)
    assert list(twin["contribution"])[1:-2] == list(made.values)
    assert twin["score"].iloc[0] == made.zero_shot
    assert list(twin["score"])[-1] == made.few_shot
    grid = heatmap.table(complete)
    shown = np.array(heatmap.figure(complete, LIGHT, limit=99).data[0].z)
    assert list(grid["D3"]) == list(shown[:, 2])
    assert all(grid["D3_low"] < grid["D3"])
    assert list(layers.table(complete)["D1"]) == list(complete.contributions.by_layer[0])
    assert list(ranks.table(complete)["rank"]) == list(range(1, 21))


def test_equal_scores_share_a_place_and_their_titles_stand_one_below_the_other(complete):
    rows = list(complete.candidates)
    for place, title in ((1, "B"), (2, "A")):
        rows[place] = rows[place].model_copy(update={"rank": 2.5, "title": title})
    tied = complete.model_copy(update={"candidates": tuple(rows)})
    table = ranks.table(tied)
    assert list(table["rank"][:4]) == [1, 2.5, 2.5, 4]
    assert list(table["title"][1:3]) == ["A", "B"]
    assert heatmap.drawn(tied, 3)[:3] == [0, 2, 1]
    names = {one.text: one.y for one in ranks.figure(tied, LIGHT).layout.annotations}
    assert (names["A"], names["B"]) == (2, 3)
    line = _trace(ranks.figure(tied, LIGHT), rows[1].item_id)
    assert line.y[1] == 2.5
    assert "2.5th with demonstrations" in line.hovertext[0]


def test_moves_are_words_and_arrows(complete):
    row = complete.candidates[0]
    assert ranks.change(row.model_copy(update={"zero_shot_rank": 9, "rank": 1})) == "▲ 8"
    assert ranks.change(row.model_copy(update={"zero_shot_rank": 1, "rank": 3})) == "▼ 2"
    assert ranks.change(row.model_copy(update={"zero_shot_rank": 1, "rank": 1})) == "="
    assert ranks.change(row.model_copy(update={"rank": None})) == "–"


def test_titles_cannot_mark_up_a_figure(example):
    record = example.explanation(titles=["<b onmouseover=alert(1)>$x$</b>"] * 28)
    for figure in (
        waterfall.figure(record, LIGHT),
        heatmap.figure(record, LIGHT, limit=24),
        layers.figure(record, LIGHT),
        ranks.figure(record, LIGHT),
    ):
        text = figure.to_json()
        assert "\\u003cb on" not in text
        assert "<b on" not in text


def test_missing_parts_are_refused_clearly(example):
    bare = example.explanation(stage="scores")
    for made in (
        lambda: waterfall.figure(bare, LIGHT),
        lambda: heatmap.figure(bare, LIGHT, limit=3),
        lambda: layers.figure(bare, LIGHT),
    ):
        with pytest.raises(ValueError, match="needs"):
            made()

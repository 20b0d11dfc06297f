"""The figure of a choice holds what was measured, and marks what was chosen."""

from __future__ import annotations

import choices
import pytest

from app.charts import choice as chart
from app.theme import DARK, LIGHT
from core.comparison.arm_row import arm_of
from core.data.strategies import STRATEGIES

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


def traces(figure, name, axis):
    return [trace for trace in figure.data if trace.name == name and (trace.xaxis or "x") == axis]


@BOTH
@pytest.mark.parametrize("strategy", choices.GAINS)
def test_every_strategy_is_a_curve_over_its_numbers_and_marks_over_tokens(colours, strategy):
    figure = chart.figure(choices.choice(), colours)
    (curve,) = traces(figure, STRATEGIES[strategy].words, "x")
    (marks,) = traces(figure, STRATEGIES[strategy].words, "x2")
    ticks = list(figure.layout.xaxis.ticktext)
    assert ticks == ["0", "1", "2", "4", "8", "16"]
    assert [int(ticks[round(place)]) for place in curve.x] == list(choices.NUMBERS)
    assert list(marks.x) == [choices.tokens(number) for number in choices.NUMBERS]
    expected = [choices.ndcg(strategy, number) for number in choices.NUMBERS]
    assert list(curve.y) == list(marks.y) == pytest.approx(expected)
    assert [*curve.error_y.array, *curve.error_y.arrayminus] == pytest.approx([0.05] * 10)
    assert curve.showlegend
    assert not marks.showlegend


def test_no_two_marks_stand_at_the_same_place():
    figure = chart.figure(choices.choice(), LIGHT)
    places = [x for trace in figure.data if trace.mode == "lines+markers" for x in trace.x]
    assert len(places) == len(set(places)) == 15


def test_what_left_the_race_early_is_drawn_open():
    figure = chart.figure(choices.choice(), LIGHT)
    for strategy in choices.GAINS:
        (curve,) = traces(figure, STRATEGIES[strategy].words, "x")
        assert {symbol.endswith("-open") for symbol in curve.marker.symbol} == {strategy == choices.EARLY}
        assert f"{100 if strategy == choices.EARLY else 200} lists" in curve.hovertext[0]


@pytest.mark.parametrize("most", [16, 1])
def test_the_ring_stands_where_the_choice_is(most):
    choice = choices.choice(most=most)
    assert choice.demos == (16 if most == 16 else 0)  # The gain of one demonstration has an interval over zero.
    figure = chart.figure(choice, LIGHT)
    for axis, place in (("x", list(figure.layout.xaxis.ticktext).index(str(choice.demos))), ("x2", None)):
        (ring,) = traces(figure, "chosen", axis)
        (x,) = ring.x
        assert (x if place is None else round(x)) == (choices.tokens(choice.demos) if place is None else place)
        curve = [trace for trace in traces(figure, STRATEGIES[choice.strategy].words, axis) if choice.demos]
        assert all(x in trace.x for trace in curve)
        assert list(ring.y) == pytest.approx([choices.ndcg("neighbours", choice.demos)])


def test_no_two_strategies_are_drawn_alike():
    every = [choices.row("recent", 0)]
    named = [name for name, row in STRATEGIES.items() if row.choose is not None]
    every += [choices.row("recent", 4).model_copy(update={"strategy": name}) for name in named]
    choice = choices.choice().model_copy(update={"rows": tuple(every)})
    curves = [trace for trace in chart.figure(choice, LIGHT).data if trace.mode == "lines+markers"]
    assert len(curves) == len(named) == len({(trace.marker.symbol[0], trace.line.dash) for trace in curves})


def test_the_table_holds_every_row_best_first_and_marks_the_choice():
    choice = choices.choice()
    table = chart.table(choice)
    assert len(table) == len(choice.rows)
    assert list(table["ndcg_at_10"]) == sorted((row.ndcg.value for row in choice.rows), reverse=True)
    assert list(table[table["chosen"]]["demonstrations"]) == [16]
    assert set(table["scoring"]) == {"sum", "mean"}


def test_the_words_say_what_was_chosen_on_how_many_lists():
    text = chart.alt(choices.choice())
    assert text.startswith("NDCG@10 on 200 validation lists. Chosen: 16 demonstrations, users who liked the same items")
    assert "0.54 (0.49 to 0.59)" in text
    assert "Without demonstrations 0.35 (0.30 to 0.40)." in text
    assert "16 demonstrations, most similar histories, 0.48" in text
    assert "Chosen: no demonstrations" in chart.alt(choices.choice(most=1))


@pytest.mark.parametrize("demos", [0, 4])
def test_a_choice_that_was_named_and_not_raced_is_drawn(demos):
    rows = (choices.row("recent", 0), *([choices.row("neighbours", demos)] if demos else []))
    named = choices.choice().model_copy(update={"rows": rows, "raced": False, **arm_of(rows[-1]).model_dump()})
    assert chart.figure(named, LIGHT).data
    assert len(chart.table(named)) == len(rows)
    assert chart.alt(named).startswith("NDCG@10 on 200 validation lists.")
    assert named.sentence.startswith("Named by a person:")

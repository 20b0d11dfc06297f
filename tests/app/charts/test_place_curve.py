"""The place curve: what its marks hold, and that chart, words and table say the same of any candidate."""

from __future__ import annotations

import numpy as np
import pytest

from app.charts import place_curve
from app.list_reading import PlaceWithout, place_without
from app.theme import DARK, LIGHT, Palette
from core.analysis.explain.list_removals import place_curves, posterior_of

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


@BOTH
@pytest.mark.parametrize("candidate", [6, 0, 19])
def test_lines_bands_and_marks_are_the_places_of_the_model(complete, candidate: int, colours: Palette) -> None:
    drawn = place_curve.figure(complete, candidate, colours)
    curves = place_curves(posterior_of(complete.list_effects), candidate, seed=complete.contributions.seed)
    traces = {trace.name: trace for trace in drawn.data}
    for curve in curves:
        line, band = (
            traces[place_curve.WAYS[curve.direction]],
            traces[f"90 % band, {place_curve.WAYS[curve.direction]}"],
        )
        assert list(line.x) == list(range(9))
        np.testing.assert_allclose(line.y, curve.value)
        np.testing.assert_allclose(band.y, [*curve.high, *reversed(curve.low)])
        assert list(line.customdata) == [None, *curve.order]
        assert [symbol == "circle" for symbol in line.marker.symbol] == list(curve.measured)
    sets = traces[place_curve.SETS]
    assert list(sets.x) == [len(prompt.left_out) for prompt in complete.list_effects.measured]
    assert list(sets.y) == [prompt.ranks[candidate] for prompt in complete.list_effects.measured]
    assert drawn.layout.yaxis.range[0] > drawn.layout.yaxis.range[1]


def test_the_step_of_the_selected_demonstration_stands_out(complete) -> None:
    line = next(t for t in place_curve.figure(complete, 6, LIGHT, demo=3).data if t.name == place_curve.WAYS["up"])
    at = list(line.customdata).index(3)
    assert [size > 9 for size in line.marker.size] == [step == at for step in range(9)]


def test_the_first_step_has_the_place_of_the_table_of_single_removals(complete) -> None:
    for candidate in range(20):
        for curve in place_curve.curves(complete, candidate):
            single = place_without(complete, curve.order[0], candidate)
            if single.measured:
                assert place_curve.steps(curve)[1] == single


def test_the_alternative_text_says_both_ends_and_how_sure_the_best_is(complete) -> None:
    text, row = place_curve.alt(complete, 6), complete.candidates[6]
    assert text.startswith(f"{row.title}: with all demonstrations 7th, without any ")
    assert text.count("chance") == 2


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (PlaceWithout(3.0, 2.0, 5.0, measured=False), "more than chance"),
        (PlaceWithout(3.0, 2.0, 8.0, measured=False), "no more than chance: the interval holds the place now"),
        (PlaceWithout(3.0, 3.0, 3.0, measured=True), "really measured, no chance in it"),
    ],
)
def test_a_change_of_place_is_more_than_chance_or_not(place: PlaceWithout, words: str) -> None:
    assert place_curve.certainty(place, 7) == words


def test_the_table_holds_every_mark(complete) -> None:
    table, measured = place_curve.table(complete, 6), complete.list_effects.measured
    assert len(table) == 2 * 9 + len(measured)
    for curve in place_curve.curves(complete, 6):
        rows = table[table["removal_order"] == place_curve.WAYS[curve.direction]]
        assert list(rows["removal_place"]) == list(curve.value)
        assert list(rows["removal_place_low"]) == list(curve.low)
        assert list(rows["measured"]) == list(curve.measured)
    assert list(table.tail(len(measured))["removal_place"]) == [prompt.ranks[6] for prompt in measured]


def test_a_method_without_a_model_of_the_list_has_no_curve(complete) -> None:
    with pytest.raises(ValueError, match="whole list"):
        place_curve.figure(complete.model_copy(update={"list_effects": None}), 6, LIGHT)

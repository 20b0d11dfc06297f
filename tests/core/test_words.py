"""Numbers in sentences."""

import pytest

from core.words import brief, counted, duration, figure, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.415, "0.41"), (-1.349, "\u22121.35"), (-0.001, "0.00"), (None, "\u2013"), (float("nan"), "\u2013")],
)
def test_a_figure_has_one_minus_sign_and_no_negative_zero(value, text):
    assert figure(value) == text


def test_digits_and_the_word_for_nothing_are_chosen():
    assert figure(-0.12345, digits=3) == "\u22120.123"
    assert figure(float("inf"), missing="not defined") == "not defined"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.42, "0.4 s"), (14.2, "14 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (None, "\u2013")],
)
def test_seconds_stand_in_the_unit_that_fits(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.184, "184 ms"), (0.9996, "1.0 s"), (16.185, "16 s"), (None, "\u2013")])
def test_a_measured_time_is_never_thousands_of_milliseconds(value, text):
    assert duration(value) == text


def test_counts_have_their_noun() -> None:
    assert counted(1, "line") == "1 line"
    assert counted(1_200, "line") == "1,200 lines"
    assert counted(0, "item has", "items have") == "0 items have"


def test_quoted_words_are_cut() -> None:
    assert brief("it's") == '"it\'s"'
    assert brief("x" * 61) == repr("x" * 57 + "...")

"""Numbers in sentences."""

import pytest

from core.words import brief, counted, duration, figure, margin_move, power, signed


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
    [
        (0.0, "0.0 s"),
        (0.184, "184 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (16.185, "16 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (None, "\u2013"),
        (float("nan"), "\u2013"),
    ],
)
def test_a_duration_stands_in_the_unit_that_fits(value, text):
    assert duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.2e-7, "1.2 · 10⁻⁷"), (3e4, "3.0 · 10⁴"), (-2.5e-10, "\u22122.5 · 10⁻¹⁰"), (0.0, "0")]
)
def test_a_number_of_any_size_stands_with_its_power_of_ten(value, text):
    assert power(value) == text


def test_counts_have_their_noun() -> None:
    assert counted(1, "line") == "1 line"
    assert counted(1_200, "line") == "1,200 lines"
    assert counted(0, "item has", "items have") == "0 items have"


def test_quoted_words_are_cut() -> None:
    assert brief("it's") == '"it\'s"'
    assert brief("x" * 61) == repr("x" * 57 + "...")


def test_a_margin_that_is_written_alike_stays():
    assert margin_move(0.39, 2.5) == "goes from 0.39 to 2.50 nats"
    assert margin_move(-0.004, 0.004) == "stays 0.00 nats"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.42, "+0.42"), (-0.1, "−0.10"), (0.004, "0.00"), (-0.004, "0.00"), (None, "–"), (float("nan"), "–")],
)
def test_a_signed_amount_says_its_direction(value, text):
    assert signed(value) == text

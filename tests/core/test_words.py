"""Numbers in sentences."""

import pytest

from core.words import figure


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.415, "0.41"), (-1.349, "\u22121.35"), (-0.001, "0.00"), (None, "\u2013"), (float("nan"), "\u2013")],
)
def test_a_figure_has_one_minus_sign_and_no_negative_zero(value, text):
    assert figure(value) == text


def test_digits_and_the_word_for_nothing_are_chosen():
    assert figure(-0.12345, digits=3) == "\u22120.123"
    assert figure(float("inf"), missing="not defined") == "not defined"

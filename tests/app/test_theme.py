import pytest

from app import theme
from app.theme import amount, contrast, interval, with_interval


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=lambda colours: colours.kind)
def test_contrast_of_text_and_marks(colours):
    for ground in (colours.paper, colours.panel):
        for text in (colours.ink, colours.muted, colours.raises_text, colours.lowers_text):
            assert contrast(text, ground) >= 4.5
        for mark in (colours.raises, colours.lowers, colours.neutral_mark):
            assert contrast(mark, ground) >= 3


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=lambda colours: colours.kind)
def test_numbers_in_cells_and_tinted_tokens_can_be_read(colours):
    for step in range(-20, 21):
        ground = theme.shade(step / 20, 1.0, colours)
        assert contrast(theme.text_on(ground), ground) >= 4.5
    from app.pages.explore.prompt import STRONGEST

    paper = [int(colours.paper[i : i + 2], 16) for i in (1, 3, 5)]
    for mark in (colours.raises, colours.lowers):
        over = [int(mark[i : i + 2], 16) for i in (1, 3, 5)]
        ground = "#" + "".join(
            f"{round(STRONGEST * top + (1 - STRONGEST) * under):02X}" for top, under in zip(over, paper, strict=True)
        )
        assert contrast(colours.ink, ground) >= 4.5


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert theme.shade(0, 1, theme.LIGHT) == theme.LIGHT.neutral
    assert theme.shade(9, 1, theme.LIGHT) == theme.LIGHT.raises


def test_the_middle_of_the_scale_is_neutral_and_the_range_symmetric():
    assert theme.diverging(theme.LIGHT)[1] == [0.5, theme.LIGHT.neutral]
    assert theme.symmetric([-3.0, 2.0, float("nan")]) == 3.0
    assert theme.symmetric([]) == theme.symmetric([0.0]) == 1.0
    assert theme.colour(0.0, theme.LIGHT) == theme.LIGHT.neutral_mark
    assert theme.colour(float("nan"), theme.LIGHT) == theme.LIGHT.neutral_mark


def test_numbers_carry_sign_and_unit():
    assert theme.nats(0.42) == "+0.42 nats"
    assert theme.nats(-0.1) == "−0.10 nats"
    assert theme.signed(-0.001) == "0.00"
    assert theme.signed(float("nan")) == theme.number(None) == "–"
    assert theme.number(-0.001) == "0.00"
    assert theme.memory(1.1e9) == "1.1 GB"
    assert theme.memory(64e7) == "640 MB"
    assert theme.memory(None) == "–"
    assert [theme.ordinal(n) for n in (2.5, 10.5, 3.0)] == ["2.5th", "10.5th", "3rd"]
    assert [theme.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 101, 111)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "101st",
        "111th",
    ]


def test_no_chart_offers_to_send_itself_away():
    assert theme.CHART_CONFIG["showSendToCloud"] is False


def test_an_interval_has_the_digits_that_tell_its_ends_apart_or_is_left_out():
    assert interval(0.2, 0.61) == "+0.20 to +0.61"
    assert interval(0.801, 0.804) == "+0.801 to +0.804"
    assert interval(-0.00011, 0.00012) == "−0.0001 to +0.0001"
    assert interval(0.8, 0.8) == ""
    assert interval(None, 0.8) == ""
    assert with_interval(0.8, 0.8) == ""
    assert with_interval(-0.1, 0.1) == " (90 % −0.10 to +0.10)"


def test_an_amount_has_no_sign_and_does_not_look_like_nothing():
    assert amount(-0.07) == amount(0.07) == "0.07 nats"
    assert amount(0.004) == "0.004 nats"
    assert amount(0.0004) == "0.0004 nats"
    assert amount(0.0) == "0.00 nats"

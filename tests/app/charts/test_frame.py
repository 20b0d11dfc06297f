"""What charts share: whiskers of intervals."""

from app.charts.frame import whiskers


def test_whiskers_reach_from_the_mark_to_both_ends_and_have_none_where_something_is_missing():
    found = whiskers([1.0, None, 3.0, 4.0], [0.5, 0.0, None, 3.0], [1.25, 1.0, 5.0, None], "#000000", width=5)
    assert found["array"] == [0.25, 0.0, 2.0, 0.0]
    assert found["arrayminus"] == [0.5, 0.0, 0.0, 1.0]
    assert (found["color"], found["width"]) == ("#000000", 5)

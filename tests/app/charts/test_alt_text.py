"""The largest rows either way, in words."""

from app.charts.alt_text import extremes


def test_an_extreme_needs_its_sign_and_of_equals_the_first_counts():
    words = ("rises", "falls")
    assert extremes([("a", 2), ("b", 2), ("c", -1)], lambda row: row[1], words) == [
        ("rises", ("a", 2)),
        ("falls", ("c", -1)),
    ]
    assert extremes([("a", 1), ("b", 0)], lambda row: row[1], words) == [("rises", ("a", 1))]
    assert extremes([], float, words) == []

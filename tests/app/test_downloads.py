import csv
import io
import json
import re

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from app.widgets import downloads


def _read(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig", "surrogatepass"), newline="")))


def test_formulas_are_neutralised_and_numbers_stay_numbers():
    table = pd.DataFrame(
        {"=cmd": ["=1+1", "+x", "-y", "@z", "\tt", "\rr", "plain"], "n": [-1.5, 2, 3, 4, 5, 6, float("nan")]}
    )
    rows = _read(downloads.csv(table))
    assert rows[0] == ["'=cmd", "n"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+x", "'-y", "'@z", "'\tt", "'\rr", "plain"]
    assert rows[1][1] == "-1.5"


def test_full_width_signs_and_cells_of_other_separators_are_neutralised():
    texts = [
        "\uff1d1+1",
        "\uff0bx",
        "\uff0dy",
        "\uff20z",
        "x;=1",
        "x; +1",
        "a;b;-1",
        "\u200b=1",
        " =1",
        "Foo, -5",
        "A=B",
        "x-y;z",
    ]
    rows = [row[0] for row in _read(downloads.csv(pd.DataFrame({"t": texts})))[1:]]
    assert rows == [
        "'\uff1d1+1", "'\uff0bx", "'\uff0dy", "'\uff20z", "x;'=1", "x;' +1", "a;b;'-1", "'\u200b=1", "' =1", "Foo, -5",
        "A=B", "x-y;z",
    ]  # fmt: skip


def test_json_is_exact_and_knows_no_nan():
    table = pd.DataFrame({"title": ["=1+1", "é\u202e"], "n": [float("nan"), 0.1], "rank": [1, 2]})
    assert json.loads(downloads.records(table)) == [
        {"title": "=1+1", "n": None, "rank": 1},
        {"title": "é\u202e", "n": 0.1, "rank": 2},
    ]


@given(st.lists(st.text(st.characters(blacklist_characters="\x00"), max_size=40), min_size=1, max_size=5))
@example(["\ud800"])
def test_no_cell_starts_a_formula(titles):
    table = pd.DataFrame({"title": titles}, dtype=object)
    data = downloads.csv(table)
    for (cell,) in (row or [""] for row in _read(data)[1:]):
        assert not any(part.lstrip().startswith(downloads.FORMULA) for part in re.split(r"[;\t\r\n]", cell))
    assert [row["title"] for row in json.loads(downloads.records(table))] == titles

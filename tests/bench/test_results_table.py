import json

import pytest

from bench.results_table import ResultFiles, ResultRow, as_row, meets, table_text


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (1.5, "<= 1.5", True),
        (1.51, "<= 1.5", False),
        (0.92, ">= 0.92", True),
        (0.9, "0.85 to 0.95", True),
        (0.96, "0.85 to 0.95", False),
        (9e-6, "<= 1e-5", True),
        (float("nan"), "<= 1.5", False),
        (float("nan"), ">= 0", False),
        (0.0, "> 0", False),
        (0.1, "> 0", True),
        (0.0, "< 0", False),
        (-0.1, "< 0", True),
    ],
)
def test_targets(value, target, met):
    assert meets(value, target) is met


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="about 3"):
        meets(1.0, "about 3")


def test_a_row_without_interval_or_target():
    assert as_row("forwards", [64.0]) == ResultRow("forwards", 64.0, None, None, None, None)


def test_what_could_not_be_measured_is_null_and_not_met():
    assert as_row("x", [float("nan")], "<= 1") == ResultRow("x", None, None, None, "<= 1", False)


def test_what_only_the_order_of_summing_leaves_is_zero():
    made = as_row("apart", (-5.6e-18, -0.1, 2e-13), "> 0")
    assert (made.value, made.low, made.high, made.met) == (0.0, -0.1, 0.0, False)
    assert as_row("residual", [9e-9]).value == 9e-9


def test_a_promise_that_one_number_cannot_decide():
    assert as_row("x", (-0.1, -0.2, 0.0), ">= 0 or within the interval", met=True).met is True


def read(folder):
    return json.loads((folder / "bench.json").read_text())


def test_parts_are_merged_in_order_and_replaced(tmp_path):
    run = ResultFiles("abc", 0, tmp_path)
    run.record("faithfulness", [as_row("lds", [0.7])])
    run.record("speed", [as_row("old", [1.0])])
    run.record("speed", [as_row("scoring", (1.1, 1.0, 1.2), "<= 1.5")])
    assert [one["measure"] for one in read(tmp_path)] == ["scoring", "lds"]
    assert read(tmp_path)[0] == {
        "measure": "scoring",
        "value": 1.1,
        "low": 1.0,
        "high": 1.2,
        "target": "<= 1.5",
        "met": True,
    }


def test_rows_of_another_commit_or_seed_are_dropped(tmp_path):
    ResultFiles("abc", 0, tmp_path).record("speed", [as_row("one", [1.0])])
    ResultFiles("abd", 0, tmp_path).record("app", [as_row("two", [1.0])])
    assert [one["measure"] for one in read(tmp_path)] == ["two"]
    ResultFiles("abd", 1, tmp_path).record("speed", [as_row("three", [1.0])])
    assert [one["measure"] for one in read(tmp_path)] == ["three"]


def test_a_damaged_file_of_an_earlier_run_is_no_obstacle(tmp_path):
    (tmp_path / "bench-run.json").write_text("{")
    ResultFiles("abc", 0, tmp_path).record("speed", [as_row("one", [1.0])])
    assert len(read(tmp_path)) == 1


def test_the_text_is_aligned():
    text = table_text([as_row("a", [1.0], "<= 0.5"), as_row("longer", [2e-6])])
    assert text.splitlines() == [
        "measure    value  low  high  target  met",
        "a          1.000             <= 0.5   NO",
        "longer   2.0e-06",
    ]


def test_rows_on_other_data_stay_beside_those_of_their_part(tmp_path):
    run = ResultFiles("abc", 0, tmp_path)
    run.record("lrgd on other data", [as_row("lastfm: pool", [1.0])])
    run.record("lrgd", [as_row("pool", [2.0])])
    assert [one["measure"] for one in read(tmp_path)] == ["pool", "lastfm: pool"]

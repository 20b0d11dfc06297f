"""Reports in a terminal: every figure that has a row is there, and no title steers it."""

from __future__ import annotations

from core.analysis.explanation import Provenance
from core.analysis.robustness.task import Estimate, KindRow, LeftOut, RobustnessReport
from core.study.reports import MOST_ROWS, report_lines

TEXTS = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
MADE = Provenance(**dict.fromkeys(TEXTS, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})


def _row(strength: float) -> KindRow:
    return KindRow(kind="typos", strength=strength, count=3, flips=Estimate(mean=1 / 3), tau=None)


def test_rows_stand_under_their_names() -> None:
    report = RobustnessReport(provenance=MADE, tokens=9, rows=(_row(0.1), _row(0.5)), passes=4.25, seconds=2)
    lines = report_lines(report)
    assert lines[0] == "x, 0 demonstrations, 9 tokens"
    assert lines[1] == "x on x, x, 4.2 passes, 2.0 s"
    assert lines[3] == "Rows (2)"
    assert lines[4].split() == ["kind", "strength", "mode", "count", "flips"]
    assert lines[5].split() == ["typos", "0.1", "plain", "3", "0.3333"]
    assert [line.index("plain") for line in lines[5:7]] == [lines[4].index("mode")] * 2


def test_long_tables_are_cut_and_say_so() -> None:
    report = RobustnessReport(provenance=MADE, tokens=9, rows=tuple(_row(0.5) for _ in range(MOST_ROWS + 3)))
    assert report_lines(report)[-1] == "  … 3 more in the JSON"


def test_hostile_texts_are_escaped() -> None:
    left = LeftOut(kind="inject", reason="\x1b[2Jgone\u202e")
    lines = report_lines(RobustnessReport(provenance=MADE, tokens=9, left_out=(left,), notices=("a\x07b",)))
    assert all(character.isprintable() for line in lines for character in line)
    assert lines[-1].startswith("Note: a")

"""Reports in a terminal: every figure that has a row is there, and no title steers it."""

from __future__ import annotations

from core.analysis.robustness.robustness_task import (
    Estimate,
    KindRow,
    LeftOut,
    RobustnessReport,
    RobustnessTask,
    SmallestFlip,
)
from core.cli.explanation_lines import ends_of
from core.cli.report_lines import MOST_ROWS, report_lines
from core.question.task import Provenance
from core.selection.improve_task import HeldOutRow, ImproveReport, ImproveTask, SetRow

TEXTS = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
MADE = Provenance(**dict.fromkeys(TEXTS, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})


def _row(strength: float) -> KindRow:
    return KindRow(kind="typos", strength=strength, count=3, flips=Estimate(mean=1 / 3), tau=None)


def test_rows_stand_under_their_names() -> None:
    report = RobustnessReport(
        task=RobustnessTask(), provenance=MADE, tokens=9, rows=(_row(0.1), _row(0.5)), passes=4.25, seconds=2
    )
    lines = report_lines(report)
    assert lines[0] == "x, 0 demonstrations, 9 tokens"
    assert lines[1] == "x on x, x, 4.2 full passes, 2.0 s"
    assert lines[3] == "Rows (2)"
    assert lines[4].split() == ["kind", "strength", "mode", "count", "flips"]
    assert lines[5].split() == ["typos", "0.1", "plain", "3", "0.3333"]
    assert [line.index("plain") for line in lines[5:7]] == [lines[4].index("mode")] * 2


def test_long_tables_are_cut_and_say_so() -> None:
    report = RobustnessReport(
        task=RobustnessTask(), provenance=MADE, tokens=9, rows=tuple(_row(0.5) for _ in range(MOST_ROWS + 3))
    )
    assert report_lines(report)[-1] == "  … 3 more in the JSON"


def test_hostile_texts_are_escaped() -> None:
    left = LeftOut(kind="inject", reason="\x1b[2Jgone\u202e")
    lines = report_lines(
        RobustnessReport(task=RobustnessTask(), provenance=MADE, tokens=9, left_out=(left,), notices=("a\x07b",))
    )
    assert all(character.isprintable() for line in lines for character in line)
    assert lines[-1].startswith("Note: a")


def test_a_single_record_is_a_table_of_its_own() -> None:
    smallest = SmallestFlip(kind="typos", strength=0.1, words="one letter", top="7", title="Heat")
    lines = report_lines(RobustnessReport(task=RobustnessTask(), provenance=MADE, tokens=9, smallest=smallest))
    place = lines.index("Smallest")
    assert lines[place + 1].split() == ["kind", "strength", "words", "top", "title"]
    assert lines[place + 2].split() == ["typos", "0.1", "one", "letter", "7", "Heat"]


def test_a_set_names_its_demonstrations_and_a_time_is_a_date() -> None:
    known = HeldOutRow(item_id="7", title="Heat", answer="Yes", position=3, timestamp=879959679.0)
    best = SetRow(demo_ids=("12:38", "12:39"), objective=0.5, mean=0.6, spread=0.4)
    bare = SetRow(demo_ids=(), objective=-1.0, mean=-0.9, spread=0.4)
    report = ImproveReport(task=ImproveTask(), provenance=MADE, tokens=9, held_out=(known,), best=best, zero_shot=bare)
    text = "\n".join(report_lines(report))
    assert "1997-11-19 17:14" in text
    assert "12:38 12:39  0.5" in text
    assert "879" not in text
    assert report_lines(report)[report_lines(report).index("Best") + 2].split()[0] == "12:38"


def test_an_interval_without_width_is_not_printed() -> None:
    assert ends_of("+0.800", "+0.800") == ""
    assert ends_of("+0.799", "+0.801") == " (+0.799 to +0.801)"

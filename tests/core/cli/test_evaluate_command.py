"""The lines of an evaluation; the command itself is tried where data and models to tune are at hand."""

from __future__ import annotations

from evaluations import around, made

from core.cli.evaluate_command import evaluation_lines
from core.tuning.evaluation.record import DifferenceRow, MetricEstimate, RankingRow
from core.tuning.evaluation.ways import RECICL


def test_a_line_a_way_and_a_column_a_period() -> None:
    ranking = (RankingRow(family="next_item", way=RECICL.name, ndcg=around(0.5)),)
    found = made().model_copy(update={"ranking": ranking, "notices": ("A note\x1b[2J.",)})
    lines = "\n".join(evaluation_lines(found)).splitlines()
    assert "1000 test interactions" in lines[0]
    header = next(line for line in lines if line.startswith("way"))
    assert header.split()[-4:] == ["period", "1", "period", "2"]
    answers, ranked = (line for line in lines if line.startswith(RECICL.name))
    assert answers.split()[-1] == "0.670"
    assert ranked.split()[-5:] == ["next_item", "0.500", *ranked.split()[-3:]]
    assert "\x1b" not in lines[-1]


def test_differences_over_the_whole_test_are_told_and_those_of_periods_left_to_the_json() -> None:
    sure = DifferenceRow(name="one minus other", measure="auc", apart=MetricEstimate(value=0.05, low=-0.01, high=0.11))
    later = sure.model_copy(update={"name": "later", "period": 1})
    lines = list(evaluation_lines(made().model_copy(update={"differences": (sure, later)})))
    (table,) = (line for line in lines if line.startswith("difference"))
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["one", "minus", "other", "AUC", "0.050", "-0.010", "to", "0.110"]
    ]


def test_a_table_without_rows_is_left_out() -> None:
    found = made().model_copy(update={"ways": (), "periods": ()})
    assert not any(line.startswith("way ") and "AUC" in line for line in evaluation_lines(found))

"""The chart of similarities: three subjects per measure, told apart without colour, and its tables."""

from __future__ import annotations

import pytest

from app.charts import update_similarity as updates
from app.theme import DARK, LIGHT
from core.analysis.dual.updates_task import (
    LABELS,
    SUBJECTS,
    UpdateRow,
    UpdatesReport,
    UpdatesTask,
    conclusion,
    findings,
)

LAYERS = 5


def made(example) -> UpdatesReport:
    rows = []
    for m, measure in enumerate(LABELS):
        for s, subject in enumerate(SUBJECTS):
            values = [round(0.5 - 0.1 * m - 0.2 * s + 0.01 * layer, 3) for layer in range(LAYERS)]
            by_layer = tuple(None if measure == "sim_am_change" and n == 0 else value for n, value in enumerate(values))
            known = [value for value in by_layer if value is not None]
            mean = sum(known) / len(known)
            rows.append(
                UpdateRow(
                    measure=measure,
                    subject=subject,
                    by_layer=by_layer,
                    mean=mean,
                    low=mean - 0.02,
                    high=mean + 0.02,
                    baseline_by_layer=(0.01,) * LAYERS,
                    baseline=0.01,
                )
            )
    found = findings(rows, 3)
    return UpdatesReport(
        task=UpdatesTask(),
        stage="complete",
        provenance=example.explanation().provenance,
        tokens=100,
        learning_rate=0.01,
        repeats=3,
        rows=tuple(rows),
        findings=found,
        conclusion=conclusion(found),
    )


@pytest.fixture
def report(example) -> UpdatesReport:
    return made(example)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_every_measure_has_its_panel_with_all_lines(report, colours):
    figure = updates.figure(report, colours)
    assert [one.text for one in figure.layout.annotations] == list(LABELS.values())
    for panel, measure in enumerate(LABELS):
        axis = "x" if panel == 0 else f"x{panel + 1}"
        lines = [trace for trace in figure.data if trace.xaxis == axis]
        assert [line.name for line in lines] == [*SUBJECTS.values(), "the model's baseline"]
        for line, row in zip(lines, [row for row in report.rows if row.measure == measure], strict=False):
            assert list(line.y) == list(row.by_layer)
            assert list(line.x) == list(range(LAYERS))


def test_lines_differ_without_their_colour(report):
    lines = updates.figure(report, LIGHT).data[:4]
    assert len({line.line.dash for line in lines}) == 4
    assert len({line.marker.symbol for line in lines[:3]}) == 3
    assert lines[3].mode == "lines"


def test_the_legend_names_each_line_once_and_zero_is_in_the_middle(report):
    figure = updates.figure(report, LIGHT)
    assert [trace.name for trace in figure.data if trace.showlegend] == [*SUBJECTS.values(), "the model's baseline"]
    for number in ("", 2, 3, 4):
        low, high = figure.layout[f"yaxis{number}"].range
        assert low == -high
        assert high <= 1.05


def test_a_missing_layer_is_a_gap_and_a_dash(report):
    row = next(row for row in report.rows if row.measure == "sim_am_change")
    line = next(trace for trace in updates.figure(report, LIGHT).data if trace.xaxis == "x3")
    assert line.y[0] is None
    assert line.hovertext[0].endswith("layer 0: –")
    assert row.by_layer[0] is None


def test_the_alt_text_states_the_conclusion(report):
    said = updates.alt(report)
    assert report.conclusion in said
    assert said.startswith("4 measures over 5 layers. In 4 of 4 measures")
    assert "SimAOU, the model: 0.52" in said
    assert updates.alt(report.model_copy(update={"rows": ()})) == "No similarities to show."


def test_the_tables_hold_the_same_numbers(report):
    twin = updates.table(report)
    assert len(twin) == 12 * LAYERS
    some = twin[(twin["measure"] == "SimAM") & (twin["subject"] == "random weights")]
    row = next(row for row in report.rows if (row.measure, row.subject) == ("sim_am", "random_weights"))
    assert list(some["similarity"]) == list(row.by_layer)
    short = updates.summary(report)
    assert list(short["mean"]) == [row.mean for row in report.rows]
    assert list(short["low"]) == [row.low for row in report.rows]
    assert set(short["baseline_is"]) == {"random change", "zero-shot", "before fine-tuning"}


def test_a_report_without_rows_has_no_figure(report):
    with pytest.raises(ValueError, match="needs rows"):
        updates.figure(report.model_copy(update={"rows": ()}), LIGHT)

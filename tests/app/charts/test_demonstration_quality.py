"""The map of demonstrations against each other, and the table of their scores."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts import demonstration_quality as quality
from app.theme import DARK, LIGHT, Palette
from core.analysis.quality.quality_task import COSTS, QualityReport, QualityRow, QualityTask

COSINES = ((1.0, 0.62, -0.2), (0.62, 1.0, None), (-0.2, None, 1.0))


def report(example: Any, **update: Any) -> QualityReport:
    record = example.explanation(titles=update.pop("titles", None))
    demos = record.demos[:3]
    rows = (
        QualityRow(label="D1", tokens=20, gain=0.4, effect=31.2, alignment=0.05, redundancy=0.62, nearest="D2"),
        QualityRow(label="D2", tokens=22, gain=-0.1, effect=30.0, alignment=-0.01, redundancy=0.62, nearest="D1"),
        QualityRow(label="D3", tokens=25, gain=0.0, redundancy=-0.2, nearest="D1"),
    )
    measured = {"effect": (0.9, 0.4), "redundancy": (0.9, 0.4), "gain": (3.0, 1.5)}
    costs = tuple(
        cost.model_copy(
            update={"passes": measured.get(cost.score, (None,))[0], "seconds": measured.get(cost.score, (None,))[-1]}
        )
        for cost in COSTS
    )
    fields = {"task": QualityTask(), "demos": demos, "rows": rows, "cosines": COSINES, "costs": costs, "tokens": 300}
    return QualityReport(**{**fields, "provenance": record.provenance, **update})


def _trace(figure: Any, name: str) -> Any:
    return next(trace for trace in figure.data if trace.name == name)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_the_map_holds_the_cosines_between_minus_one_and_one(example: Any, colours: Palette) -> None:
    figure = quality.figure(report(example), colours)
    grid = figure.data[0]
    assert [tuple(line) for line in grid.z] == list(COSINES)
    assert (grid.zmin, grid.zmid, grid.zmax) == (-1, 0, 1)
    numbers = [_trace(figure, f"numbers in {ink}").text for ink in ("#000000", "#FFFFFF")]
    seen = [[black + white for black, white in zip(*lines, strict=True)] for lines in zip(*numbers, strict=True)]
    assert seen == [["+1.00", "+0.62", "−0.20"], ["+0.62", "+1.00", ""], ["−0.20", "", "+1.00"]]


def test_every_cell_carries_its_pair_and_says_it(example: Any) -> None:
    cells = _trace(quality.figure(report(example), LIGHT), "cells")
    assert [list(pair) for pair in cells.customdata] == [[a, b] for a in range(3) for b in range(3)]
    assert [(x, y) for x, y in zip(cells.x, cells.y, strict=True)] == [(b, a) for a in range(3) for b in range(3)]
    assert "cosine +0.620" in cells.hovertext[1]
    assert "itself" in cells.hovertext[4]
    assert "not defined" in cells.hovertext[5]


def test_the_selected_demonstration_is_outlined(example: Any) -> None:
    figure = quality.figure(report(example), LIGHT, selected=1)
    (shape,) = figure.layout.shapes
    assert (shape.y0, shape.y1) == (0.5, 1.5)
    assert list(figure.layout.yaxis.ticktext) == ["D1", "<b>D2</b>", "D3"]
    assert not quality.figure(report(example), LIGHT).layout.shapes


def test_many_demonstrations_have_no_room_for_numbers(example: Any) -> None:
    demos = example.explanation().demos * 2
    rows = tuple(QualityRow(label=f"D{place + 1}", tokens=9) for place in range(16))
    many = report(example, demos=demos, rows=rows, cosines=((0.5,) * 16,) * 16)
    assert [trace.name for trace in quality.figure(many, LIGHT).data] == [None, "cells"]


def test_words_name_the_most_alike(example: Any) -> None:
    words = quality.alt(report(example))
    assert words.startswith("Cosines between the equivalent gradients of 3 demonstrations. Most alike: D1 (")
    assert words.endswith("), +0.62.")
    alone = report(example, rows=(QualityRow(label="D1", tokens=9),), cosines=((1.0,),))
    assert quality.alt(alone) == "Cosines between the equivalent gradients of 1 demonstration. No two to compare."


def test_tables_hold_the_same_numbers_and_only_scores_that_are_there(example: Any) -> None:
    made = report(example)
    assert list(quality.table(made)["D1"]) == [1.0, 0.62, -0.2]
    scores = quality.scores(made)
    assert list(scores["gain"]) == [0.4, -0.1, 0.0]
    assert scores["effect"].isna().tolist() == [False, False, True]
    assert "stability" not in scores
    assert "gain_low" not in scores
    assert "perturbations" not in scores


def test_costs_say_unit_target_and_passes(example: Any) -> None:
    costs = quality.costs(report(example)).set_index("score")
    assert costs.loc["gain", "passes"] == 3.0
    assert costs.loc["redundancy", "same pass as"] == "effect"
    assert not costs.loc["effect", "needs a target"]
    assert costs["passes"].isna()["stability"]


def test_a_report_without_cosines_is_refused(example: Any) -> None:
    with pytest.raises(ValueError, match="needs their cosines"):
        quality.figure(report(example, cosines=None), LIGHT)


def test_titles_cannot_mark_up_the_map(example: Any) -> None:
    text = quality.figure(report(example, titles=["<b onmouseover=alert(1)>$x$</b>"] * 28), LIGHT).to_json()
    assert "\\u003cb on" not in text
    assert "<b on" not in text

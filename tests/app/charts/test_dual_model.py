"""The five views of the dual model: figures, their table twins and their words."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from app.charts import dual_model as dual
from app.charts.dual_model import DualView
from app.theme import DARK, LIGHT
from core.analysis.dual.dual_task import Descent, DualReport, DualTask, FeaturePoint, Part

LAYERS, HEADS = 3, 4
BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
EVERY = pytest.mark.parametrize("view", get_args(DualView))


def _points(start: float) -> tuple[FeaturePoint, ...]:
    errors = [(m, start / math.sqrt(m / 64)) for m in (64, 256, 1_024)]
    return tuple(FeaturePoint(features=m, error=e, low=0.5 * e, high=1.5 * e) for m, e in errors)


def made(example) -> DualReport:
    record = example.explanation()
    demos = record.demos[:3]
    grid = [[(layer + 1) * (head + 1) for head in range(HEADS)] for layer in range(LAYERS)]
    return DualReport(
        task=DualTask(),
        stage="complete",
        demos=demos,
        provenance=record.provenance,
        tokens=90,
        position=88,
        token=" <b>$x$",
        place="query",
        layer=1,
        head=2,
        residual=tuple(tuple(1e-8 * cell for cell in line) for line in grid),
        zero_factor=tuple(tuple(1 - 0.01 * cell for cell in line) for line in grid),
        output_norm=tuple(tuple(float(cell) for cell in line) for line in grid),
        mass=tuple(tuple((0.002 * cell, 0.003 * cell, 0.005 * cell) for cell in line) for line in grid),
        norm=tuple(tuple((1.0 * cell, 2.0 * cell, 0.5 * cell) for cell in line) for line in grid),
        parts=(Part(label="W0", norm=1.0, cosine=1.0, share=1.0, mass=0.9),),
        exponent=54.3,
        curve=_points(1.0),
        softening=0.0737,
        softened=_points(0.4),
        descents=(
            Descent(weight_decay=0, loss=(-0.1, -1.1, -2.1), error=(0.8, 0.1, 0.9), limit_error=None, limit_loss=None),
            Descent(weight_decay=0.1, loss=(0.0, -0.9, -1.7), error=(0.8, 0.2, 0.8), limit_error=7.7, limit_loss=-5.0),
        ),
        descent_features=1_024,
    )


@pytest.fixture
def report(example) -> DualReport:
    return made(example)


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


@BOTH
def test_the_residual_map_is_by_powers_of_ten_and_knows_its_cells(report, colours):
    figure = dual.figure(report, "residual", colours)
    grid, cells = figure.data
    assert len(grid.z) == HEADS
    assert grid.z[3][2] == pytest.approx(math.log10(12e-8))
    assert list(cells.customdata[LAYERS + 2]) == [2, 1]
    assert "layer 2, head 1" in cells.hovertext[LAYERS + 2]
    assert "6.0 · 10⁻⁸" in cells.hovertext[LAYERS + 2]
    ring = figure.layout.shapes[-1]
    assert (ring.x0, ring.y0) == (0.5, 1.5)


def test_a_residual_of_nothing_is_the_palest(report):
    none = report.model_copy(update={"residual": ((0.0,) * HEADS,) * LAYERS})
    grid = dual.figure(none, "residual", LIGHT).data[0]
    assert {cell for line in grid.z for cell in line} == {grid.zmin}


@BOTH
def test_shares_and_lengths_wear_no_sign(report, colours):
    for view in ("residual", "zero_factor", "norm"):
        scale = [shade for _, shade in dual.figure(report, view, colours).data[0].colorscale]
        assert scale == [colours.neutral, colours.ink]


def test_the_factor_map_runs_from_nothing_to_one(report):
    grid = dual.figure(report, "zero_factor", LIGHT).data[0]
    assert (grid.zmin, grid.zmax) == (0, 1)
    assert grid.z[3][2] == report.zero_factor[2][3]


def test_the_demonstrations_map_is_one_head_or_the_mean(report):
    mean, one = (dual.figure(report, "norm", LIGHT, head=head).data[0] for head in (None, 2))
    assert [list(line) for line in one.z] == [[3 * f * (n + 1) for n in range(LAYERS)] for f in (1.0, 2.0, 0.5)]
    assert [list(line) for line in mean.z] == [[2.5 * f * (n + 1) for n in range(LAYERS)] for f in (1.0, 2.0, 0.5)]
    cells = dual.figure(report, "norm", LIGHT).data[1]
    assert list(cells.customdata) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@BOTH
def test_errors_stand_on_two_logarithmic_axes_with_their_bars(report, colours):
    figure = dual.figure(report, "features", colours)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    line = figure.data[0]
    assert list(line.x) == [64, 256, 1_024]
    assert list(line.y) == [1.0, 0.5, 0.25]
    assert list(line.error_y.array) == list(line.error_y.arrayminus) == [0.5, 0.25, 0.125]
    soft = figure.data[1]
    assert soft.line.dash != line.line.dash
    assert soft.marker.symbol != line.marker.symbol
    guide = _trace(figure, "falling as 1 / √features")
    assert list(guide.y) == pytest.approx([0.4, 0.2, 0.1])


def test_a_head_that_needs_no_softening_has_one_line(report):
    soft = report.model_copy(update={"softening": 1.0, "softened": report.curve})
    assert len(dual.figure(soft, "features", LIGHT).data) == 2
    assert len(dual.table(soft, "features")) == 3
    assert "times" not in dual.alt(soft, "features")


def test_descent_shows_loss_and_error_side_by_side(report):
    figure = dual.figure(report, "descent", LIGHT)
    assert [list(trace.y) for trace in figure.data] == [
        [-0.1, -1.1, -2.1],
        [0.8, 0.1, 0.9],
        [0.0, -0.9, -1.7],
        [0.8, 0.2, 0.8],
    ]
    assert [trace.xaxis for trace in figure.data] == ["x", "x2", "x", "x2"]
    assert [shape.y0 for shape in figure.layout.shapes] == [-5.0, 7.7]


def test_table_twins_hold_the_same_numbers(report):
    heads = dual.table(report, "residual")
    assert list(heads["head 3"]) == [4e-8, 8e-8, pytest.approx(12e-8)]
    assert list(dual.table(report, "zero_factor")["head 0"]) == [0.99, 0.98, 0.97]
    assert list(dual.table(report, "norm", head=0)["D2"]) == [2.0, 4.0, 6.0]
    errors = dual.table(report, "features")
    assert list(errors["relative error"]) == [point.error for point in (*report.curve, *report.softened)]
    assert list(errors["low"])[:3] == [0.5, 0.25, 0.125]
    steps = dual.table(report, "descent")
    assert list(steps["step"]) == ["0", "1", "2", "0", "1", "2", "minimum"]
    assert list(steps["loss"])[-1] == -5.0


def test_words_state_the_conclusion(report):
    assert "at most 1.2 · 10⁻⁷ (layer 2, head 3): every head is exact" in dual.alt(report, "residual")
    assert "times 0.880 to 0.990; the demonstrations hold most in layer 2, head 3" in dual.alt(report, "zero_factor")
    assert "Longest: D2 in layer 2, 15.00" in dual.alt(report, "norm")
    assert "head 3" in dual.alt(report, "norm", head=3)
    assert "1.000 with 64 features, 0.250 with 1,024; it would take about e to the power of 54" in dual.alt(
        report, "features"
    )
    assert "from 0.400 to 0.100" in dual.alt(report, "features")
    words = dual.alt(report, "descent")
    assert "0.100 after one step and 0.900 after 2" in words
    assert "7.700 at the minimum" in words


def test_a_residual_above_the_promise_is_called_so(report):
    worse = report.model_copy(update={"residual": ((3e-5,) * HEADS,) * LAYERS})
    assert "more than the promised 1.0 · 10⁻⁵" in dual.alt(worse, "residual")


@EVERY
def test_what_a_report_does_not_hold_is_refused(report, view):
    empty = report.model_copy(
        update={"demos": (), "residual": (), "curve": (), "softened": (), "descents": (), "norm": ()}
    )
    for made in (
        lambda: dual.figure(empty, view, LIGHT),
        lambda: dual.alt(empty, view),
        lambda: dual.table(empty, view),
    ):
        with pytest.raises(ValueError, match=view):
            made()


def test_without_demonstrations_the_factor_is_one(report):
    none = report.model_copy(update={"demos": (), "zero_factor": ((1.0,) * HEADS,) * LAYERS})
    assert "There are no demonstrations" in dual.alt(none, "zero_factor")


@EVERY
def test_titles_cannot_mark_up_a_figure(example, report, view):
    rude = example.explanation(titles=["<b onmouseover=alert(1)>$x$</b>"] * 28).demos[:3]
    text = dual.figure(report.model_copy(update={"demos": rude}), view, LIGHT).to_json()
    assert "\\u003cb on" not in text
    assert "<b on" not in text

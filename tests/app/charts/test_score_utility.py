"""The utility chart holds the report's own numbers, and says in words what it shows."""

from __future__ import annotations

import pytest

from app.charts import score_utility as utility
from app.theme import DARK, LIGHT
from core.analysis.quality.score_rows import SCORES, TRUTHS
from core.analysis.quality.utility_task import UtilityReport, UtilityRow, UtilityTask, verdict
from core.question.task import Provenance

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
MEANS = {
    "gain": (0.6, 0.5, 0.7),
    "gain_proxy": (0.42, 0.3, 0.5),
    "gain_proxy_gradient": (0.1, -0.1, 0.3),
    "effect": (0.02, -0.1, 0.15),
    "alignment": (0.2, 0.04, 0.3),
    "redundancy": (None, None, None),
    "random": (0.01, -0.1, 0.1),
    "length": (0.08, -0.02, 0.2),
    "position": (-0.03, -0.2, 0.1),
}


def _row(score, truth, **more):
    mean, low, high = MEANS[score]
    fields = {"pooled": mean, "cases": 0 if mean is None else 38, "left_out": 2, "floor": 0.08} | more
    return UtilityRow(**({"score": score, "truth": truth, "mean": mean, "low": low, "high": high} | fields))


def made():
    texts = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
    made_by = Provenance(**dict.fromkeys(texts, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})
    rows = tuple(_row(score, truth) for truth in TRUTHS for score in reversed(SCORES))
    return UtilityReport(
        task=UtilityTask(), family="yes_no", rows=rows, cases=40, skipped=1, provenance=made_by, tokens=600
    )


@pytest.fixture
def report():
    return made()


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


@BOTH
def test_dots_and_intervals_are_the_reports_own(report, colours):
    figure = utility.figure(report, colours, truth="addition_ndcg")
    assert {name for trace in figure.data for name in trace.customdata} == set(MEANS) - {"redundancy"}
    for trace in figure.data:
        for score, x, up, down in zip(
            trace.customdata, trace.x, trace.error_x.array, trace.error_x.arrayminus, strict=True
        ):
            mean, low, high = MEANS[score]
            assert (x, x + up, x - down) == pytest.approx((mean, high, low))
    assert list(_trace(figure, "predicts").customdata) == ["gain", "gain_proxy"]
    assert list(_trace(figure, "predicts nothing").customdata) == ["gain_proxy_gradient", "effect", "alignment"]
    assert list(_trace(figure, "floor").customdata) == ["random", "length", "position"]
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [0, 0.08]
    assert TRUTHS["addition_ndcg"] in figure.layout.xaxis.title.text.replace("<br>", " ")


def test_every_score_has_its_row_even_without_a_number(report):
    figure = utility.figure(report, LIGHT)
    assert list(figure.layout.yaxis.ticktext) == list(SCORES.values())
    places = dict(zip(_trace(figure, "floor").customdata, _trace(figure, "floor").y, strict=True))
    assert places == {"random": 6, "length": 7, "position": 8}


def test_what_predicts_differs_by_shape_and_not_by_colour_alone(report):
    symbols = {trace.name: trace.marker.symbol for trace in utility.figure(report, LIGHT).data}
    assert len(set(symbols.values())) == 3


def test_a_mean_without_an_interval_has_no_whiskers(report):
    rows = tuple(row.model_copy(update={"low": None, "high": None}) for row in report.rows)
    figure = utility.figure(report.model_copy(update={"rows": rows}), LIGHT)
    for trace in figure.data:
        assert not any(trace.error_x.array)
        assert not any(trace.error_x.arrayminus)


def test_the_alt_text_says_what_predicts_and_what_does_not(report):
    assert utility.alt(report) == (
        "On 40 cases the fall of the target score on removal is predicted by gain by gradient, true target "
        "0.60 (0.50 to 0.70); gain by deletion, proxy target 0.42 (0.30 to 0.50). Not: gain by gradient, proxy target; "
        "update energy; alignment; low redundancy."
    )
    nothing = tuple(row for row in report.rows if row.score in ("effect", "length"))
    assert utility.alt(report.model_copy(update={"rows": nothing, "cases": 1}), "removal_ndcg") == (
        "On 1 case no score predicts the fall of NDCG@10 on removal."
    )


def test_an_empty_report_is_a_designed_state(report):
    empty = report.model_copy(update={"rows": ()})
    assert utility.alt(empty) == "No score is measured against the fall of the target score on removal yet."
    assert utility.table(empty).empty
    assert not any(len(trace.x) for trace in utility.figure(empty, LIGHT).data)


def test_the_table_holds_the_same_numbers_and_the_verdicts(report):
    one, whole = utility.table(report, "removal_ndcg"), utility.table(report)
    assert len(whole) == len(report.rows)
    assert list(one["quality_score"]) == list(SCORES.values())
    by_name = {row.score: row for row in report.of("removal_ndcg")}
    for place, score in enumerate(SCORES):
        row = by_name[score]
        assert one["verdict"].iloc[place] == verdict(row)
        if row.mean is not None:
            assert (one["mean_rank_correlation"].iloc[place], one["low"].iloc[place]) == (row.mean, row.low)

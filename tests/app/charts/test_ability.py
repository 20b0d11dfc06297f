"""The charts of an evaluation hold its own numbers, and say in words what they show."""

from __future__ import annotations

import pytest
from evaluations import auc_of, made

from app.charts import ability, drift
from app.theme import DARK, LIGHT
from core.tuning.evaluation.record import MetricEstimate
from core.tuning.evaluation.ways import (
    ANSWERING,
    BASE,
    BASE_BARE,
    RECICL,
    RECICL_BARE,
    TALLREC,
    TALLREC_BARE,
    VARIANT_LABELS,
)

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def ends(trace):
    return [
        (round(y, 4), round(y - down, 4), round(y + up, 4))
        for y, up, down in zip(trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True)
    ]


# ---- ability


@BOTH
def test_every_model_is_a_line_over_its_numbers_of_demonstrations(colours):
    figure = ability.figure(made(), colours)
    assert [trace.name for trace in figure.data] == [*VARIANT_LABELS.values(), "item mean"]
    own = _trace(figure, "RecICL")
    assert list(own.customdata) == [0, 1, 2, 4, 8]
    assert [round(x) for x in own.x] == [0, 1, 2, 4, 8]
    values = [auc_of(way) for way in ANSWERING if way.tuned == "recicl"]
    assert ends(own) == [(value, round(value - 0.03, 4), round(value + 0.03, 4)) for value in values]
    assert list(_trace(figure, "item mean").y) == [0.63, 0.63]
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2, 4, 8]


def test_models_differ_by_mark_and_dash_and_never_share_a_place():
    figure = ability.figure(made(), LIGHT)
    models = figure.data[:3]
    assert len({trace.marker.symbol for trace in models}) == 3
    assert len({trace.line.dash for trace in figure.data}) == 4
    assert len({trace.x[0] for trace in models}) == 3


def test_what_was_not_measured_is_left_out():
    figure = ability.figure(made(ways=(RECICL, RECICL_BARE), references=()), LIGHT)
    assert [trace.name for trace in figure.data] == ["RecICL"]


def test_a_figure_without_an_interval_has_no_whiskers():
    found = made()
    rows = tuple(
        row.model_copy(update={"auc": row.auc.model_copy(update={"low": None, "high": None})}) for row in found.ways
    )
    for trace in ability.figure(found.model_copy(update={"ways": rows}), LIGHT).data[:3]:
        assert not any(trace.error_y.array)
        assert not any(trace.error_y.arrayminus)


def test_the_words_tell_what_demonstrations_do():
    assert ability.alt(made()) == (
        "On 1,000 test interactions of 120 users: AUC of RecICL rises from 0.61 (0.58 to 0.64) with 0 to 0.77 (0.74 to "
        "0.80) with 8; AUC of TALLRec-style goes from 0.60 (0.57 to 0.63) with 0 to 0.60 (0.57 to 0.63) with 4; AUC of "
        "base model falls from 0.50 (0.47 to 0.53) with 0 to 0.46 (0.43 to 0.49) with 4. The best classical reference, "
        "item mean, has 0.63 (0.60 to 0.66)."
    )
    assert "RecICL has AUC 0.69 (0.66 to 0.72) with 4." in ability.alt(made(ways=(RECICL,), references=()))


def test_the_table_holds_every_way_references_last():
    found = ability.table(made())
    assert list(found["way"])[-2:] == ["popularity", "item mean"]
    assert len(found) == len(ANSWERING) + 2
    row = found[found["way"] == RECICL.name].iloc[0]
    assert (row["auc"], row["auc_low"], row["auc_high"], row["demonstrations"]) == (0.69, 0.66, 0.72, 4)


def test_nothing_measured_is_a_designed_state():
    empty = made(ways=(), references=(), periods=0)
    assert ability.alt(empty) == "No model is evaluated yet."
    assert drift.alt(empty) == "No later period is measured yet."
    assert not ability.figure(empty, LIGHT).data
    assert not drift.figure(empty, LIGHT).data
    assert ability.table(empty).empty
    assert drift.table(empty).empty


# ---- drift


@BOTH
def test_the_compared_ways_go_over_the_periods(colours):
    figure = drift.figure(made(), colours)
    names = [
        f"{VARIANT_LABELS[way.tuned]}, {way.demos} demos" for way in (RECICL, TALLREC, TALLREC_BARE, BASE, BASE_BARE)
    ]
    assert [trace.name for trace in figure.data] == [*names, "item mean"]
    assert ends(_trace(figure, names[0])) == [(0.68, 0.65, 0.71), (0.67, 0.64, 0.7)]
    assert list(_trace(figure, names[0]).customdata) == [1, 2]
    assert [trace.marker.symbol.endswith("-open") for trace in figure.data] == [False, False, True, False, True, True]


def test_the_words_count_the_periods_in_which_it_is_above():
    assert drift.alt(made()) == (
        f"{RECICL.name}: above {TALLREC_BARE.name} in 1 of 2 later periods, AUC difference +0.05 (−0.01 to +0.09), "
        f"−0.02 (−0.01 to +0.09); above {TALLREC.name} in 1 of 2 later periods, AUC difference +0.05 (−0.01 to +0.09), "
        "−0.02 (−0.01 to +0.09)."
    )
    alone = drift.alt(made(ways=(RECICL,)))
    assert alone == "AUC in 2 later periods; RecICL and the TALLRec-style model were not both measured."


def test_the_table_has_a_row_for_each_way_and_period():
    found = drift.table(made())
    assert len(found) == 2 * (len(ANSWERING) + 2)
    assert list(found["period"].unique()) == [1, 2]
    assert (found["until_utc"] == "").sum() == len(ANSWERING) + 2


def test_an_interval_without_width_is_not_written() -> None:
    assert ability.value_text(MetricEstimate(value=0.8, low=0.8, high=0.8)) == "0.80"
    assert ability.value_text(MetricEstimate(value=0.8, low=0.799, high=0.801)) == "0.80 (0.799 to 0.801)"

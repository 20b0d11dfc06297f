"""Robustness, drawn: what the marks hold, and that words and tables say the same."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts import perturbations as robustness
from app.theme import DARK, LIGHT, Palette, blend, contrast
from core.analysis.robustness.perturbations import KINDS, PerturbationKind
from core.analysis.robustness.robustness_task import (
    Estimate,
    KindRow,
    ModeRow,
    MovedByKind,
    RankLine,
    RobustnessReport,
    RobustnessTask,
    TargetPlaces,
    VariantRow,
)
from core.question.task import Provenance, Target

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
HOSTILE = "<b>Alien</b> $x$ & <a href='x'>"


def row(kind: PerturbationKind, strength: float, flips: float, score: float | None, **more: Any) -> KindRow:
    """A row whose margin changes by half of what the score does, and whose place by four places for each nat."""
    made, half, places = (
        None if score is None else Estimate(mean=mean, low=mean - 0.5, high=mean + 0.25)
        for mean in (score or 0.0, (score or 0.0) / 2, abs(score or 0.0) * 4)
    )
    more = {"tau": Estimate(mean=0.5), "score": made, "margin": half, "place": places} | more
    return KindRow(kind=kind, strength=strength, count=3, flips=Estimate(mean=flips, low=0, high=1), **more)


def variant(kind: PerturbationKind, ranks: tuple[int, ...], top: str, *, flips: bool) -> VariantRow:
    return VariantRow(
        kind=kind,
        strength=0.5,
        repeat=0,
        words=f"“{HOSTILE}” left out",
        touched=(),
        ranks=ranks,
        top=top,
        flips=flips,
        tau=0.5,
        overlap=0.8,
        ndcg=-0.1,
        score=-1.0,
        place=ranks[1],
        margin=-0.75,
    )


LINES = (
    RankLine(item_id="a", title=HOSTILE, is_target=False, score=2.0, rank=1),
    RankLine(item_id="b", title="Heat", is_target=True, score=1.0, rank=3),
)
ROWS = (
    row("demo_drop", 0.1, 0.0, -0.2),
    row("demo_drop", 0.5, 1.0, -1.5),
    row("typos", 0.1, 0.0, 0.4),
    row("demo_drop", 0.5, 0.5, -0.9, mode="changed"),
)
PLACES = TargetPlaces(
    candidates=20,
    place=3,
    best=1,
    worst=5,
    moved=3,
    size=Estimate(mean=5 / 3, low=1.0, high=2.0),
    margin=0.5,
    lowest=-0.25,
    highest=0.75,
    kinds=(
        MovedByKind(kind="typos", count=1, size=Estimate(mean=2.0), apart=Estimate(mean=0.5)),
        MovedByKind(kind="demo_drop", count=2, size=Estimate(mean=1.5), apart=Estimate(mean=-0.5)),
    ),
)
VARIANTS = (
    variant("demo_drop", (1, 2), "a", flips=False),
    variant("demo_drop", (2, 1), "b", flips=True),
    variant("typos", (4, 5), "z", flips=True),
)


def report(**more: Any) -> RobustnessReport:
    provenance = Provenance(
        dataset_id="d",
        dataset_name="d",
        model_id="m",
        model_name="m",
        adapter=None,
        device="cpu",
        dtype="float32",
        layers=1,
        heads=1,
        case_seed=0,
        versions={},
        created="",
        command="",
    )
    plain = ModeRow(
        mode="plain",
        name="plain",
        variants=3,
        flips=Estimate(mean=2 / 3),
        tau=Estimate(mean=0.5),
        ndcg_before=0.5,
        ndcg=Estimate(mean=0.6),
        target=PLACES,
    )
    usual = {"lines": LINES, "rows": ROWS, "variants": VARIANTS, "modes": (plain,)}
    target = Target(item_id="b", title="Heat")
    return RobustnessReport(
        task=RobustnessTask(), **{"provenance": provenance, "tokens": 9, "target": target, **usual, **more}
    )


def trace(figure: Any, name: str) -> Any:
    return next(one for one in figure.data if one.name == name)


@BOTH
def test_the_map_holds_the_flip_rates_and_blank_where_none_was_tried(colours: Palette) -> None:
    figure = robustness.flips(report(), colours)
    assert [list(line) for line in figure.data[0].z] == [[0.0, 1.0], [0.0, None]]
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)
    assert list(figure.layout.yaxis.ticktext) == ["drop demos", "typos"]
    assert list(figure.layout.xaxis.ticktext) == ["10 %", "50 %"]
    assert [list(cell) for cell in trace(figure, "cells").customdata] == [
        ["demo_drop", 0.1],
        ["demo_drop", 0.5],
        ["typos", 0.1],
    ]


@BOTH
def test_every_number_stands_once_in_a_readable_ink(colours: Palette) -> None:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    rows = tuple(row("typos", 0.1 + share / 10, share, None) for share in shares)
    figure = robustness.flips(report(rows=rows), colours)
    texts = {ink: trace(figure, f"numbers in {ink}").text[0] for ink in ("#000000", "#FFFFFF")}
    for place, share in enumerate(shares):
        written = [ink for ink in texts if texts[ink][place]]
        assert [texts[ink][place] for ink in written] == [f"{100 * share:.0f} %"]
        assert contrast(written[0], blend(colours.neutral, colours.ink, share)) >= 4.5


def test_the_changed_model_has_a_map_of_its_own() -> None:
    figure = robustness.flips(report(), LIGHT, mode="changed")
    assert [list(line) for line in figure.data[0].z] == [[0.5]]
    with pytest.raises(ValueError, match="changed model"):
        robustness.flips(report(rows=ROWS[:3]), LIGHT, mode="changed")


@BOTH
def test_the_flow_holds_every_rank_the_original_first(colours: Palette) -> None:
    figure = robustness.flow(report(), colours)
    assert list(trace(figure, "a").y) == [1, 1, 2, 4]
    assert list(trace(figure, "b").y) == [3, 2, 1, 5]
    assert figure.data[-1].name == "b", "the target is drawn on top"
    assert trace(figure, "b").line.width > trace(figure, "a").line.width
    assert list(figure.layout.xaxis.tickvals) == [0, 1.5, 3]
    assert list(figure.layout.xaxis.ticktext) == ["as it is", "drop demos", "typos"]
    assert figure.layout.yaxis.range[0] > 5


def test_strangers_titles_are_text_and_nothing_else() -> None:
    for text in trace(robustness.flow(report(), LIGHT), "a").hovertext:
        assert "<a" not in text
        assert "<b>" not in text
        assert "$" not in text


@BOTH
def test_score_changes_stand_with_their_intervals(colours: Palette) -> None:
    figure = robustness.moves(report(), colours, measure="score")
    marks = trace(figure, "50 %, plain model")
    assert list(marks.x) == [-1.5]
    assert marks.x[0] - marks.error_x.arrayminus[0] == pytest.approx(-2.0)
    assert marks.x[0] + marks.error_x.array[0] == pytest.approx(-1.25)
    assert list(trace(figure, "50 %, changed model").x) == [-0.9]
    assert list(trace(figure, "10 %, plain model").x) == [-0.2, 0.4]
    low, high = figure.layout.xaxis.range
    assert low == -high
    assert low < -2.0
    margins = robustness.moves(report(), colours, measure="margin")
    assert list(trace(margins, "50 %, plain model").x) == [-0.75]
    places = robustness.moves(report(), colours)
    assert list(trace(places, "50 %, plain model").x) == [6.0]
    assert places.layout.xaxis.range[0] == 0
    assert trace(places, "50 %, plain model").hovertext[0].endswith("6.0 places (90 % 5.5 to 6.2)")
    heights = [value for one in figure.data for value in one.y]
    assert len(set(heights)) == len(heights), "no mark hides another"


def test_words_state_the_conclusion() -> None:
    assert robustness.flips_alt(report()) == (
        "2 kinds of change at 2 strengths. Another item comes first most often with demonstrations "
        "dropped, 50 % touched: in 100 % of the variants."
        " Never with: typos in titles."
    )
    assert robustness.flips_alt(report(rows=ROWS[:1])).endswith("None puts another item first.")
    said = robustness.flow_alt(report())
    assert "comes first in 1 of 3 variants." in said
    assert said.endswith("The target, Heat, is 3rd as it is and goes from 1st to 5th.")
    assert robustness.moves_alt(report()) == (
        "The target moves most with demonstrations dropped, 50 % touched: 6.0 places (90 % 5.5 to 6.2) on average."
        " Its margin falls most with demonstrations dropped, 50 % touched: −0.75 nats (90 % −1.25 to −0.50) on average."
        " Its margin rises most with typos in titles, 10 % touched: +0.20 nats (90 % −0.30 to +0.45) on average."
    )


def test_without_a_target_or_a_variant_there_are_words_and_no_figure() -> None:
    bare = report(rows=(row("typos", 0.1, 0.0, None),), lines=LINES[:1], variants=())
    assert "no target" in robustness.moves_alt(bare)
    assert robustness.flow_alt(bare) == "No change has been tried yet."
    with pytest.raises(ValueError, match="needs a target"):
        robustness.moves(bare, LIGHT)
    with pytest.raises(ValueError, match="variants"):
        robustness.flow(bare, LIGHT)
    empty = report(rows=(), variants=())
    assert robustness.flips_alt(empty) == "No change has been tried yet."
    with pytest.raises(ValueError, match="needs rows"):
        robustness.flips(empty, LIGHT)
    assert robustness.table(empty).empty
    assert robustness.flow_table(empty).empty


def test_a_single_value_is_a_mark_without_whiskers() -> None:
    alone = KindRow(kind="inject", strength=0.1, count=1, flips=Estimate(mean=0), score=Estimate(mean=-0.3))
    marks = trace(robustness.moves(report(rows=(alone,)), LIGHT, measure="score"), "10 %, plain model")
    assert list(marks.error_x.array) == [0]


def test_tables_hold_every_number() -> None:
    told = robustness.table(report())
    assert len(told) == 4
    assert list(told["flip_rate"]) == [0.0, 1.0, 0.0, 0.5]
    assert list(told["score_change_nats_low"]) == pytest.approx([-0.7, -2.0, -0.1, -1.4])
    assert list(told["model"]) == ["plain", "plain", "plain", "changed"]
    assert list(told["places_size"]) == pytest.approx([0.8, 6.0, 1.6, 3.6])
    assert list(told["margin_change"]) == pytest.approx([-0.1, -0.75, 0.2, -0.45])
    flown = robustness.flow_table(report())
    assert list(flown["target_rank"]) == list(flown["rank_b"])
    assert list(flown["rank_b"]) == [2, 1, 5]
    assert list(flown["first_title"])[:2] == [HOSTILE, "Heat"]
    assert flown["first_title"].isna().tolist() == [False, False, True]
    assert list(flown["flips"]) == [False, True, True]


def test_every_kind_has_a_short_name() -> None:
    assert set(robustness.SHORT) == set(KINDS)

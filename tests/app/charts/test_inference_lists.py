"""Plain against regularised and perturbed inference, drawn."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts import inference_lists as inference
from app.charts.inference_lists import Standing
from app.theme import DARK, LIGHT, Palette, contrast
from core.analysis.robustness.robustness_task import (
    Estimate,
    ModeRow,
    MovedByKind,
    RankLine,
    RobustnessReport,
    RobustnessTask,
    TargetPlaces,
)
from core.question.task import Provenance, Target

PLAIN = Standing("plain", 0.35, 0.30, 0.40, 0.20, 0.15, 0.26)
CALM = Standing("noise 0.1 (8 samples)", 0.36, 0.31, 0.41, 0.12, 0.08, 0.17)
EVEN = Standing("decay 0.05", 0.35, None, None, 0.18, None, None)
WORSE = Standing("dropout 0.5 (8 samples)", 0.28, 0.22, 0.33, 0.05, 0.02, 0.09)
WILD = Standing("negatives 0.5", 0.40, 0.33, 0.46, 0.30, 0.24, 0.37)
UNKNOWN = Standing("negatives 0.1", None, None, None, 0.10, 0.05, 0.15)
ALL = [PLAIN, CALM, EVEN, WORSE, WILD, UNKNOWN]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_every_measured_setting_stands_at_its_numbers_with_its_intervals(colours: Palette) -> None:
    figure = inference.figure(ALL, colours)
    placed = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data}
    assert placed == {row.name: (row.ndcg, row.flips) for row in ALL if row is not UNKNOWN}
    calm = next(trace for trace in figure.data if trace.name == CALM.name)
    assert calm.x[0] + calm.error_x.array[0] == pytest.approx(0.41)
    assert calm.x[0] - calm.error_x.arrayminus[0] == pytest.approx(0.31)
    assert calm.y[0] + calm.error_y.array[0] == pytest.approx(0.17)
    assert calm.y[0] - calm.error_y.arrayminus[0] == pytest.approx(0.08)
    even = next(trace for trace in figure.data if trace.name == EVEN.name)
    assert even.error_x.array is None


def test_only_what_flips_less_at_no_lower_ndcg_is_filled_and_the_plain_model_is_a_diamond() -> None:
    symbols = {trace.name: trace.marker.symbol for trace in inference.figure(ALL, LIGHT).data}
    assert symbols == {
        PLAIN.name: "diamond",
        CALM.name: "circle",
        EVEN.name: "circle",
        WORSE.name: "circle-open",
        WILD.name: "circle-open",
    }


def test_the_text_says_whether_a_setting_is_worth_it() -> None:
    ours = "the plain model has a flip rate of 0.20 at NDCG@10 0.35."
    assert inference.alt(ALL) == (
        "2 of 4 settings flip less than the plain model at no lower NDCG@10. "
        f"Fewest flips: noise 0.1 (8 samples), 0.12 at NDCG@10 0.36; {ours}"
    )
    assert inference.alt([PLAIN, WORSE, WILD]) == (
        f"None of 2 settings flips less than the plain model at no lower NDCG@10; {ours}"
    )
    assert inference.alt([PLAIN, CALM]).startswith("1 of 1 settings flips less")


@pytest.mark.parametrize("standings", [[], [UNKNOWN, CALM]])
def test_without_the_plain_model_nothing_is_compared(standings: list[Standing]) -> None:
    figure = inference.figure(standings, LIGHT)
    assert not figure.layout.shapes
    assert inference.alt(standings) == "The plain model is not measured yet."


def test_the_table_holds_every_number() -> None:
    twin = inference.table(ALL)
    assert list(twin["setting"]) == [row.name for row in ALL]
    assert list(twin["flip_rate"]) == [row.flips for row in ALL]
    assert twin.loc[1, ["ndcg_at_10", "ndcg_low", "ndcg_high", "flip_low", "flip_high"]].tolist() == [
        0.36,
        0.31,
        0.41,
        0.08,
        0.17,
    ]


def test_a_name_cannot_mark_up_the_figure() -> None:
    text = inference.figure([Standing("<b onclick=x>$y$</b>", 0.1, 0.0, 0.2, 0.1, 0.0, 0.2)], LIGHT).to_json()
    assert "<b on" not in text
    assert "\\u003cb on" not in text


HOSTILE = "<b>Alien</b> $x$ & <a href='x'>"


def line(item: str, title: str, rank: int, changed: int | None, **more: Any) -> RankLine:
    score = None if changed is None else 5.0 - changed
    return RankLine(
        item_id=item,
        title=title,
        score=4.0 - rank,
        rank=rank,
        changed_rank=changed,
        changed_score=score,
        **{"is_target": False, "changed_spread": None if changed is None else 0.25, **more},
    )


LINES = (
    line("a", HOSTILE, 1, 3),
    line("b", "Heat", 2, 1),
    line("c", "Fargo", 3, 4, changed_spread=None),
    line("d", "Babe", 7, 2, is_target=True),
    line("e", "Crumb", 8, 8),
)


def places(place: int, margin: float) -> TargetPlaces:
    """The target of 20 candidates, which no variant moves."""
    still = MovedByKind(kind="typos", count=12, size=Estimate(mean=0.0), apart=None)
    ends = {"place": place, "best": place, "worst": place, "margin": margin, "lowest": margin, "highest": margin}
    return TargetPlaces(candidates=20, moved=0, size=Estimate(mean=0.0), kinds=(still,), **ends)


def changed_report(lines: tuple[RankLine, ...] = LINES) -> RobustnessReport:
    """A report of 12 variants, with a changed dual model beside the plain one."""
    texts = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
    made = Provenance(**dict.fromkeys(texts, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})
    flips = Estimate(mean=0.25, low=0.0, high=0.5)
    more = {"variants": 12, "tau": None, "ndcg_before": 0.5, "ndcg": flips}
    modes = (
        ModeRow(mode="plain", name="plain", flips=flips, target=places(7, -1.0), **more),
        ModeRow(mode="changed", name="decay 0.1", flips=Estimate(mean=1 / 12), target=places(2, 0.5), **more),
    )
    return RobustnessReport(
        task=RobustnessTask(),
        stage="complete",
        provenance=made,
        tokens=9,
        target=next((Target(item_id=row.item_id, title=row.title) for row in lines if row.is_target), None),
        lines=lines,
        modes=modes,
        passes=9.5,
        seconds=3,
    )


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_each_line_runs_from_its_plain_place_to_its_changed_one(colours: Palette) -> None:
    figure = inference.moves(changed_report(), colours)
    assert {trace.name: tuple(trace.y) for trace in figure.data} == {
        "a": (1, 3),
        "b": (2, 1),
        "c": (3, 4),
        "d": (4, 2),
        "e": (5, 5),
    }
    assert figure.layout.yaxis.ticktext == ("1", "2", "3", "7", "8")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "rank 1 on top"
    inks = {trace.name: trace.line.color for trace in figure.data}
    assert inks == {
        "a": colours.lowers,
        "b": colours.raises,
        "c": colours.lowers,
        "d": colours.raises,
        "e": colours.neutral_mark,
    }
    assert all(contrast(ink, colours.paper) >= 3 for ink in inks.values())
    assert [trace.name for trace in figure.data if trace.marker.symbol == "diamond"] == ["d"]


def test_every_line_says_its_rank_its_step_and_its_title() -> None:
    figure = inference.moves(changed_report(), LIGHT)
    said = {mark.text for mark in figure.layout.annotations}
    assert {"1 ▲1 Heat", "2 ▲5 <b>Babe</b>", "4 ▼1 Fargo", "8 = Crumb"} <= said
    heat = next(trace for trace in figure.data if trace.name == "b")
    assert heat.hovertext[0] == "Heat<br>2nd plain, 1st changed<br>2.00 nats plain, 4.00 ± 0.25 nats changed"
    fargo = next(trace for trace in figure.data if trace.name == "c")
    assert "±" not in fargo.hovertext[0]


def test_the_moves_in_words() -> None:
    assert inference.moves_alt(changed_report()) == (
        "4 of 5 candidates change their place under decay 0.1. Largest climb: Babe, from 7th to 2nd. "
        f"Largest drop: {HOSTILE}, from 1st to 3rd."
    )
    still = changed_report((line("a", "Heat", 1, 1),))
    assert inference.moves_alt(still) == "No candidate changes its place under decay 0.1."


def test_the_table_of_moves_holds_every_number() -> None:
    twin = inference.moves_table(changed_report())
    assert twin["rank"].tolist() == [1, 2, 3, 7, 8]
    assert twin["rank_changed"].tolist() == [3, 1, 4, 2, 8]
    assert twin["score_changed"].tolist() == [2.0, 4.0, 1.0, 3.0, -3.0]
    assert twin["score"].tolist() == [3.0, 2.0, 1.0, -3.0, -4.0]
    assert twin["title"].tolist() == [one.title for one in LINES]
    assert twin["chosen_next"].tolist() == [False, False, False, True, False]


def test_without_changed_models_there_is_nothing_to_draw() -> None:
    plain = changed_report((line("a", "Heat", 1, None, changed_spread=None),))
    assert inference.moved(plain) == []
    with pytest.raises(ValueError, match="needs changed dual models"):
        inference.moves(plain, LIGHT)


def test_a_title_cannot_mark_up_the_lines() -> None:
    text = inference.moves(changed_report(), LIGHT).to_json()
    assert "<b>Alien" not in text
    assert "\\u003cb\\u003eAlien" not in text
    assert "<a href" not in text
    assert "\\u003ca href" not in text

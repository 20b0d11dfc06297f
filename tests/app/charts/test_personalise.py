"""A play, drawn: what the marks of its four charts hold, and that words and tables say the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.charts import latency, lists, moved
from app.charts import user_stream as stream
from app.pages.personalise import stream_words
from app.theme import DARK, LIGHT, climb_mark, ordinal
from core.analysis.explain.explanation import CandidateRow
from core.metrics.ranking import ranks as places_of
from core.personal.personalise_task import (
    USUAL_CASE,
    DemoChange,
    ListRow,
    MovedRow,
    PersonaliseReport,
    PersonaliseTask,
    StepRow,
)

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
HOSTILE = "<b>Alien</b> $x$ & <a href='x'>"
TITLES = (HOSTILE, "Brazil (1985)", "Casablanca (1942)", "Diva (1981)")
RANKS = {
    "base": ((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (2, 1, 3, 4)),
    "adapter": ((1, 2, 3, 4), (1, 2, 4, 3), (2, 1, 4, 3), (2, 3, 4, 1), (3, 2, 4, 1)),
}
SECONDS = {"base": (0.8, 0.1, 0.1, 0.1, 0.1), "adapter": (0.9, 0.2, 0.3, 0.25, 0.4)}
NEW = (
    ("start", None, None, None),
    ("stream", 5, "Fargo (1996)", True),
    ("stream", 6, "Gigi (1958)", False),
    ("stream", 7, HOSTILE, True),
    ("added", None, "Heat (1995)", False),
)
EFFECTS = {
    "base": ((0.0, 0.0, 0.0, 0.0), (0.2, 0.0, 0.0, 0.0), (0.0, 0.0, -0.1, 0.0)),
    "adapter": ((0.1, -0.2, 0.0, 0.05), (0.0, 0.0, 0.3, 0.1), (-0.6, 0.4, 0.0, 0.9)),
}
WITHOUT = {
    "base": ((2, 1, 3, 4), (3, 1, 2, 4), (2, 1, 4, 3)),
    "adapter": ((3, 2, 4, 1), (3, 1, 4, 2), (1, 3, 2, 4)),
}
"""Places in the last list without each demonstration."""


def margins(which):
    """Effects on each margin over the field: on the own score less the mean of those on the other scores."""
    return [[own - (sum(row) - own) / 3 for own in row] for row in EFFECTS[which]]


def _list(which, step):
    ranks = RANKS[which][step]
    return ListRow(
        which=which,
        scores=tuple(-0.5 * rank for rank in ranks),
        ranks=ranks,
        tokens=600 + 10 * step,
        tokens_run=600 if step == 0 else 200,
        seconds=SECONDS[which][step],
    )


def step_row(step, which=("base", "adapter")):
    kind, position, title, liked = NEW[step]
    shown = ("12:3", "12:4", "12:5", "12:6", "12:7", "added-1")
    return StepRow(
        step=step,
        kind=kind,
        item_id=None if title is None else f"i{step}",
        title=title,
        liked=liked,
        position=position,
        timestamp=None if position is None else 891_000_000.0 + 60 * position,
        demo_ids=shown[step : step + 2] if step < 4 else shown[3:],
        lists=tuple(_list(name, step) for name in which),
        demo_id=None if title is None else "added-1" if position is None else f"12:{position}",
        joined=JOINED.get(step, ()),
        left=LEFT.get(step, ()),
        picking_seconds=0.02,
    )


def _change(demo, title, source, *, by_time=False):
    return DemoChange(demo_id=demo, user_id=demo.partition(":")[0], title=title, source=source, by_time=by_time)


JOINED = {
    3: (_change("<i>9</i>:4", "Emma (1996)", "neighbours"), _change("12:7", HOSTILE, "recent")),
    4: (_change("8:2", "Dune (1984)", "neighbours", by_time=True),),
}
LEFT = {4: (_change("12:5", "Fargo (1996)", "recent"),)}


def made(example, steps=5, which=("base", "adapter")):
    candidates = tuple(
        CandidateRow(
            item_id=item,
            title=title,
            categories=(),
            popularity=1,
            is_target=item == "b",
            zero_shot_score=-0.5 * RANKS["adapter"][0][place],
            zero_shot_rank=RANKS["adapter"][0][place],
            score=-0.5 * RANKS["adapter"][4][place],
            rank=RANKS["adapter"][4][place],
        )
        for place, (item, title) in enumerate(zip("abcd", TITLES, strict=True))
    )
    over = steps == len(NEW)
    demos = (("12:6", "Gigi (1958)", "No"), ("12:7", HOSTILE, "Yes"), ("added-1", "Heat (1995)", "No"))
    return PersonaliseReport(
        task=PersonaliseTask(case=USUAL_CASE.model_copy(update={"user": "12"})),
        stage="complete" if over else "partial",
        provenance=example.explanation().provenance.model_copy(update={"adapter": "recicl"}),
        tokens=640,
        candidates=candidates,
        stream=tuple(step_row(step, which) for step in range(steps)),
        moved=tuple(
            MovedRow(
                which=name,
                demo_id=demo,
                title=title,
                answer=answer,
                effects=EFFECTS[name][place],
                ranks=WITHOUT[name][place],
            )
            for name in which
            for place, (demo, title, answer) in enumerate(demos)
        )
        if over
        else (),
        weights_before="3f9a2b7c01de" + 52 * "0",
        weights_after="3f9a2b7c01de" + 52 * "0" if over else None,
        full_seconds=0.5 if over else None,
        seconds=6.0,
    )


def history(count=10):
    return [stream.RatedTitle(at, f"Film {at}", at % 2 == 0, 891_000_000.0 + 60 * at) for at in range(count)]


@pytest.fixture
def report(example):
    return made(example)


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


# The flow of ranks, and the list before and after.


@BOTH
def test_a_line_per_candidate_and_model_holds_its_ranks(report, colours):
    figure = lists.flow(report, colours, limit=24, item="d")
    assert len(figure.data) == 8
    for which, ranks in RANKS.items():
        for place, item in enumerate("abcd"):
            line = _trace(figure, f"{which} {item}")
            assert list(line.x) == [0, 1, 2, 3, 4]
            assert list(line.y) == [row[place] for row in ranks]
            assert set(line.customdata) == {item}
            assert line.marker.symbol == ("diamond" if item == "b" else "circle")
            assert line.line.color == (colours.ink if item in "bd" else colours.neutral_mark)
    assert _trace(figure, "base a").xaxis == "x"
    assert _trace(figure, "adapter a").xaxis == "x2"
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_the_titles_stand_at_the_last_ranks_of_the_adapter(report):
    figure = lists.flow(report, LIGHT, limit=24)
    at = {note.text: note.y for note in figure.layout.annotations if note.yref != "paper"}
    assert at["Casablanca (1942)"] == 4
    assert at["<b>Brazil (1985)</b>"] == 2  # The item really chosen next.


def test_titles_cannot_mark_up_a_figure(report):
    for figure in (lists.flow(report, LIGHT, limit=9), moved.figure(report, LIGHT, limit=9)):
        texts = [note.text for note in figure.layout.annotations]
        texts += [text for trace in figure.data for text in (trace.hovertext or ())]
        texts += list(figure.layout.yaxis.ticktext or ())
        assert any("Alien" in text for text in texts)
        assert not any("<b>Alien" in text or "<a " in text or "$" in text for text in texts)


def test_a_base_model_alone_has_one_panel(example):
    alone = made(example, which=("base",))
    figure = lists.flow(alone, LIGHT, limit=24)
    assert len(figure.data) == 4
    assert lists.leading(alone) == "base"
    assert "xaxis2" not in figure.to_plotly_json()["layout"]


def test_deep_lists_leave_room_for_the_strong_titles_only(report):
    deep = tuple(
        row.model_copy(update={"lists": tuple(one.model_copy(update={"ranks": (1, 2, 3, 200)}) for one in row.lists)})
        for row in report.stream
    )
    figure = lists.flow(report.model_copy(update={"stream": deep}), LIGHT, limit=4)
    assert [note.text for note in figure.layout.annotations if note.yref != "paper"] == ["<b>Brazil (1985)</b>"]


def test_whatever_the_limit_the_target_the_selected_and_the_climber_are_drawn(report):
    assert [report.candidates[index].item_id for index in lists.drawn(report, 1, "c")] == ["d", "b", "c"]
    assert [report.candidates[index].item_id for index in lists.drawn(report, 24)] == ["d", "b", "a", "c"]


def test_the_climber_rises_most(report):
    best = lists.climber(report, "adapter")
    assert (best.index, best.before, best.after, best.climb) == (3, 4, 1, 3)
    assert lists.climber(report, "base").index == 1
    assert lists.climber(report.model_copy(update={"stream": report.stream[:1]}), "adapter") is None


def test_words_and_tables_of_the_lists(report):
    assert lists.flow_alt(report) == (
        "Base model: largest climb Brazil (1985), from 2nd to 1st; largest drop <b>Alien</b> $x$ & <a href='x'>, "
        "from 1st to 2nd. With the adapter: largest climb Diva (1981), from 4th to 1st; largest drop <b>Alien</b> "
        "$x$ & <a href='x'>, from 1st to 3rd."
    )
    shown = lists.table(report)
    assert list(shown["item_id"]) == ["d", "b", "a", "c"]
    assert list(shown["rank"]) == [1, 2, 3, 4]
    assert list(shown["rank_before"]) == [4, 2, 1, 3]
    assert list(shown["climb"]) == [3, 0, -2, -1]
    assert list(shown["score"]) == [-0.5, -1.0, -1.5, -2.0]
    assert list(shown["base_rank"]) == [4, 1, 2, 3]
    assert list(lists.table(report, 2)["item_id"]) == ["b", "a", "d", "c"]
    flow = lists.flow_table(report)
    assert len(flow) == 8
    assert list(flow[flow["model"] == "with the adapter"]["step_3"]) == [2, 3, 4, 1]
    assert [climb_mark(climb) for climb in (3, 0, -2)] == ["▲ 3", "=", "▼ 2"]


def test_a_play_that_has_not_begun_can_be_drawn(report):
    empty = report.model_copy(update={"stream": (), "candidates": (), "moved": (), "full_seconds": None})
    assert len(lists.flow(empty, LIGHT, limit=24).data) == 0
    assert lists.flow_alt(empty) == "No list has been made yet."
    assert lists.table(empty).empty
    assert latency.alt(empty) == "No step has been played yet."
    assert latency.table(empty).empty
    assert len(latency.figure(empty, LIGHT).data) == 0


def test_a_step_that_one_model_has_not_played_yet_is_left_out_of_its_line(report):
    half = (*report.stream[:2], step_row(2, ("base",)))
    figure = lists.flow(report.model_copy(update={"stream": half, "moved": ()}), LIGHT, limit=24)
    assert list(_trace(figure, "base a").x) == [0, 1, 2]
    assert list(_trace(figure, "adapter a").x) == [0, 1]


# The stream.


def test_every_interaction_is_known_played_added_or_not_known_yet(report):
    found = stream.marks(report, history(), 5)
    assert [mark.state for mark in found] == ["known"] * 5 + ["played"] * 3 + ["later"] * 2 + ["added"]
    assert [mark.step for mark in found if mark.step] == [1, 2, 3, 4]
    assert {mark.title: mark.demo for mark in found if mark.demo} == {
        "Gigi (1958)": "D1",
        HOSTILE: "D2",
        "Heat (1995)": "D3",
    }
    assert [mark.state for mark in stream.drawn(found)] == ["known"] * 5 + ["played"] * 3 + ["added"] + ["later"] * 2


def test_what_is_not_played_yet_is_not_known_yet(example):
    found = stream.marks(made(example, steps=2), history(), 5)
    assert [mark.state for mark in found] == ["known"] * 5 + ["played"] + ["later"] * 4
    bare = stream.marks(made(example, steps=1), history(), 5)
    assert [mark.state for mark in bare] == ["known"] * 5 + ["later"] * 5
    assert stream.alt(bare).endswith("None is played.")


def test_without_the_data_the_played_ones_stand_alone(report):
    found = stream.marks(report, [], 0)
    assert [mark.title for mark in found] == ["Fargo (1996)", "Gigi (1958)", HOSTILE, "Heat (1995)"]
    assert [mark.liked for mark in found] == [True, False, True, False]


@BOTH
def test_liked_is_above_and_filled(report, colours):
    figure = stream.figure(stream.marks(report, [], 0), colours, step=2)
    played, added = _trace(figure, "played"), _trace(figure, "added by hand")
    assert list(played.x) == [0, 1, 2]
    assert list(played.y) == [1, 0, 1]
    assert list(played.marker.symbol) == ["circle", "circle-open", "circle"]
    assert list(played.text) == ["1", "2", "3"]
    assert list(played.customdata) == [1, 2, 3]
    assert (list(added.y), list(added.marker.symbol), list(added.text)) == ([0], ["square-open"], ["4"])
    assert figure.layout.shapes[0].x0 == 1
    assert "&lt;b&gt;Alien" in played.hovertext[2]


def test_the_axis_tells_days_or_minutes_or_places(report):
    day = stream.figure(stream.marks(report, history(), 5), LIGHT).layout.xaxis
    assert day.ticktext[0] == "1998-03-27 12:00"
    assert "by hand" in day.ticktext or len(day.ticktext) <= stream.TICKS
    days = [stream.RatedTitle(at, "x", True, 86_400.0 * at) for at in range(6)]
    bare = report.model_copy(update={"stream": ()})
    assert list(stream.figure(stream.marks(bare, days, 6), LIGHT).layout.xaxis.ticktext) == [
        f"1970-01-0{at}" for at in range(1, 7)
    ]
    places = [stream.RatedTitle(at, "x", True, None) for at in range(6)]
    axis = stream.figure(stream.marks(bare, places, 6), LIGHT).layout.xaxis
    assert list(axis.ticktext) == list("012345")
    assert axis.title.text == "place in the stream"


@given(some.lists(some.none() | some.floats() | some.integers(-(2**70), 2**70).map(float), max_size=40))
def test_any_timestamp_can_be_drawn(times):
    found = [stream.Mark("x", True, "known", time, at) for at, time in enumerate(times)]
    figure = stream.figure(found, LIGHT)
    assert sum(len(trace.x) for trace in figure.data) == min(len(times), stream.EARLIER)
    assert len(stream.table(found)) == len(times)


def test_words_and_table_of_the_stream(report):
    found = stream.marks(report, history(), 5)
    assert stream.alt(found) == (
        "5 interactions known before the play, 3 of them liked. 4 new ones, 1 of them added by hand: Fargo "
        f"(1996) liked; Gigi (1958) not liked; {HOSTILE} liked; Heat (1995) not liked."
    )
    shown = stream.table(found)
    assert list(shown["step"].fillna(0))[5:] == [1, 2, 3, 0, 0, 4]
    assert shown["time_utc"][0] == "1998-03-27 12:00:00"
    assert stream.alt([]) == "Nothing of the stream is known yet."


def test_only_the_user_s_own_demonstrations_are_marked_in_the_stream(report):
    last = report.stream[-1].model_copy(update={"demo_ids": ("9:5", "12:7", "12:6")})
    found = stream.marks(report.model_copy(update={"stream": (*report.stream[:-1], last)}), history(), 5)
    assert {mark.position: mark.demo for mark in found if mark.demo} == {7: "D2", 6: "D3"}


def test_the_table_of_changes_says_who_came_and_why(report):
    table = stream.changes_table(report)
    assert table.to_dict("records") == [
        dict(zip(table.columns, row, strict=True))
        for row in (
            (3, HOSTILE, "joined", "Emma (1996)", "<i>9</i>", "liked the same items", "the new interaction"),
            (3, HOSTILE, "joined", HOSTILE, "12", "most recent", "the new interaction"),
            (4, "Heat (1995)", "joined", "Dune (1984)", "8", "liked the same items", "time went on"),
            (4, "Heat (1995)", "left", "Fargo (1996)", "12", "most recent", "the new interaction"),
        )
    ]
    assert stream.changes_table(report.model_copy(update={"stream": ()})).empty


# What moved the list.


@BOTH
def test_both_models_stand_on_one_scale_around_zero(report, colours):
    figure = moved.figure(report, colours, limit=24, item="a")
    order = [3, 1, 0, 2]
    for which, axis in (("base", "x"), ("adapter", "x2")):
        grid = _trace(figure, which)
        assert np.array(grid.z) == pytest.approx(np.array([[row[c] for row in margins(which)] for c in order]))
        bound = 0.6 + 1.3 / 3  # D3 and the first candidate, with the adapter.
        assert (grid.zmin, grid.zmid, grid.zmax) == pytest.approx((-bound, 0, bound))
        assert grid.xaxis == axis
    cells = [trace for trace in figure.data if trace.name == "cells"]
    assert [len(trace.customdata) for trace in cells] == [12, 12]
    assert list(cells[1].customdata[2]) == [2, "d"]
    assert figure.layout.yaxis.ticktext[1].startswith("◆ Brazil (1985)")
    assert [shape.y0 for shape in figure.layout.shapes] == [1.5, 1.5]


def test_the_strongest_demonstration_raises_most(report):
    assert moved.strongest(report, "adapter", 3)[0] == 2
    assert moved.strongest(report, "base", 2) is None
    assert moved.strongest(report, "base", 0)[1].title == HOSTILE


def test_words_and_table_of_what_moved_it(report):
    assert moved.alt(report) == (
        "Base model: without D2 <b>Alien</b> $x$ & <a href='x'> (Yes) the margin of <b>Alien</b> $x$ & <a href='x'> "
        "falls most, by 0.20 nats, 3rd without it instead of 2nd; without D3 Heat (1995) (No) the margin of Casablanca "
        "(1942) rises most, by 0.10 nats, 4th without it instead of 3rd. With the adapter: without D3 Heat (1995) (No) "
        "the margin of Diva (1981) falls most, by 0.97 nats, 4th without it instead of 1st; without D3 Heat (1995) (No)"
        " the margin of <b>Alien</b> $x$ & <a href='x'> rises most, by 1.03 nats, 1st without it instead of 3rd."
    )
    shown = moved.table(report)
    assert list(shown["rank"]) == [1, 2, 3, 4]
    assert list(shown["adapter_D3_score"]) == [0.9, 0.4, -0.6, 0.0]
    assert list(shown["adapter_D3"]) == pytest.approx([0.9 + 0.2 / 3, 0.3, -0.6 - 1.3 / 3, -0.7 / 3])
    assert list(shown["adapter_D3_place"]) == [4, 3, 1, 2]
    still = tuple(row.model_copy(update={"effects": (0.0,) * 4}) for row in report.moved)
    assert "no demonstration moves a candidate" in moved.alt(report.model_copy(update={"moved": still}))


def test_the_target_step_by_step_is_that_of_the_lists(report):
    steps = lists.target_table(report)
    assert list(steps["rank"]) == [RANKS["adapter"][step][1] for step in range(5)]
    assert list(steps["base_rank"]) == [RANKS["base"][step][1] for step in range(5)]
    # Scores fall by half a nat a place: the others stand at (10 - place) / 3 on average.
    by_hand = [-0.5 * place + 0.5 * (10 - place) / 3 for place in steps["rank"]]
    assert list(steps["margin"]) == pytest.approx(by_hand)
    assert lists.target_alt(report) == "Brazil (1985), step by step: 2nd, 2nd, 1st, 3rd, 2nd."
    unknown = tuple(row.model_copy(update={"is_target": False}) for row in report.candidates)
    assert lists.target_table(report.model_copy(update={"candidates": unknown})).empty


@given(
    scores=some.integers(2, 5).flatmap(
        lambda count: some.lists(
            some.lists(some.integers(-3, 3).map(float), min_size=count, max_size=count), min_size=2, max_size=4
        )
    )
)
def test_headline_table_and_lines_agree_about_the_target(scores):
    """Over any lists, ties among them: the same place in the sentence, the steps, the list and the flow."""
    count = len(scores[0])
    template = step_row(0, ("base",))
    rows = [
        template.model_copy(
            update={
                "step": step,
                "title": f"New {step}" if step else None,
                "kind": "stream" if step else "start",
                "lists": (
                    template.lists[0].model_copy(update={"scores": tuple(row), "ranks": places_of(np.array(row))}),
                ),
            }
        )
        for step, row in enumerate(scores)
    ]
    blank = {"categories": (), "popularity": 1, "zero_shot_score": 0.0, "zero_shot_rank": 1, "score": 0.0, "rank": 1}
    items = [CandidateRow(item_id=str(c), title=f"T{c}", is_target=c == 0, **blank) for c in range(count)]
    report = PersonaliseReport.model_construct(
        task=PersonaliseTask(), stream=tuple(rows), candidates=tuple(items), moved=(), demos=()
    )
    places = [1 + sum(s > row[0] for s in row) + (sum(s == row[0] for s in row) - 1) / 2 for row in scores]
    text = stream_words.sentence(report)
    assert f"{ordinal(places[-1])} of {count}" in text
    assert list(lists.target_table(report)["rank"]) == places
    last = lists.table(report).set_index("item_id").loc["0"]
    assert (last["rank"], last["rank_before"]) == (places[-1], places[0])
    line = _trace(lists.flow(report, LIGHT, limit=9), "base 0")
    assert list(line.y) == places


def test_before_the_list_is_taken_apart_it_is_said(example):
    early = made(example, steps=3)
    assert moved.alt(early) == "The last list has not been taken apart yet."
    with pytest.raises(ValueError, match="effects"):
        moved.figure(early, LIGHT, limit=24)


# What a step costs.


def test_the_median_leaves_the_first_list_out(report):
    assert report.median_seconds("adapter") == pytest.approx((0.25 + 0.3) / 2)
    assert latency.share(report, "adapter") == pytest.approx(0.275 / 0.5)
    assert latency.share(report.model_copy(update={"full_seconds": None}), "adapter") is None
    assert report.model_copy(update={"stream": report.stream[:1]}).median_seconds("adapter") is None


@BOTH
def test_time_and_tokens_of_every_step(report, colours):
    figure = latency.figure(report, colours)
    assert list(_trace(figure, "with the adapter").y) == pytest.approx([0.9, 0.2, 0.3, 0.25, 0.4])
    assert list(_trace(figure, "one whole pass").y) == [0.5, 0.5]
    assert list(_trace(figure, "run").y) == [600, 200, 200, 200, 200]
    assert list(_trace(figure, "whole prompt").y) == [600, 610, 620, 630, 640]
    assert _trace(figure, "run").yaxis == "y2"


def test_words_and_table_of_the_cost(report):
    share = 100 * 800 / (610 + 620 + 630 + 640)
    assert latency.alt(report) == (
        "Median step: base model 100 ms, with the adapter 275 ms; one pass over the whole prompt 500 ms. "
        f"The steps run {share:.0f} % of their prompts' tokens; the rest was remembered."
    )
    shown = latency.table(report)
    assert len(shown) == 10
    assert list(shown["seconds"])[:2] == [0.8, 0.1]
    assert math.isclose(shown["tokens_run"].sum(), 2 * 1400)


def test_equal_scores_share_a_place_whatever_the_order_of_the_list(report):
    """Brazil and Diva share the first place after the play, and climb alike."""
    last = report.stream[-1]
    shared = last.model_copy(update={"lists": tuple(_tied(one) for one in last.lists)})
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        tied = _reordered(report.model_copy(update={"stream": (*report.stream[:-1], shared)}), order)
        table = lists.table(tied)
        assert list(table["title"]) == ["Brazil (1985)", "Diva (1981)", "Casablanca (1942)", HOSTILE]
        assert list(table["rank"]) == [1.5, 1.5, 3, 4]
        assert tied.candidates[lists.drawn(tied, 1)[0]].title == "Brazil (1985)"


def _tied(row):
    return row.model_copy(update={"ranks": (4, 1.5, 3, 1.5)})


def _reordered(report, order):
    def turned(row):
        return row.model_copy(
            update={name: tuple(getattr(row, name)[index] for index in order) for name in ("scores", "ranks")}
        )

    stream = tuple(row.model_copy(update={"lists": tuple(turned(one) for one in row.lists)}) for row in report.stream)
    candidates = tuple(report.candidates[index] for index in order)
    return report.model_copy(update={"candidates": candidates, "stream": stream})

"""The case's own list before and after: headline, table and lines say the same of the same item."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts import before_after
from app.pages.improve import improvement
from app.theme import LIGHT
from core import columns
from core.metrics.ranking import ranks
from core.question.targets import field_margin
from core.selection.improve_task import PlacesRow
from core.selection.verdict import short_verdict, target_margin, target_move
from core.words import figure, ordinal

ROLES = ("zero_shot", "current", "best")


@pytest.fixture(scope="module")
def report(example):
    return example.reports()["improve"]


def test_the_lists_stand_from_left_to_right_with_the_target_strong(report):
    figure = before_after.figure(report, LIGHT)
    assert list(figure.layout.xaxis.ticktext) == ["no demonstrations", "own demonstrations", "set found"]
    target = next(trace for trace in figure.data if trace.name == "7")
    assert list(target.y) == [9, 4, 1]
    assert target.marker.symbol == "diamond"
    assert "set found: 1st, score 1.00 nats" in target.hovertext[2]
    assert before_after.alt(report).endswith("The target: Dead Man Walking (1995), from 4th to 1st.")


def test_the_table_holds_each_candidate_before_and_after(report):
    table = before_after.table(report)
    assert list(table[columns.RANK]) == list(range(1, 21))
    target = table[table["chosen_next"]].iloc[0]
    assert (target[columns.RANK], target["rank_before"], target["climb"], target["rank_without"]) == (1, 4, 3, 9)
    assert (target[columns.SCORE], target["score_before"], target["score_without"]) == (1.0, -0.5, -1.0)


def test_where_the_own_set_stands_there_is_no_third_list(report):
    own = report.model_copy(update={"best": report.current, "found": report.current})
    assert before_after.lists(own) == ("zero_shot", "current")
    none = report.model_copy(update={"best": report.zero_shot, "found": report.zero_shot})
    assert before_after.lists(none) == ("current", "zero_shot")
    assert "falls from 4th with the case's own demonstrations to 9th of 20 without" in improvement.headline(none)


@pytest.mark.parametrize(
    ("p", "choices", "words"),
    [
        (0.02, 8, "and better than chance would choose on newer ones (p = 0.02)."),
        (0.004, 8, "(p = 0.004)."),
        (0.4, 8, ", but no better than chance would choose on newer ones (p = 0.40)."),
        (0.12, 3, "; the newer ones are too few to tell it from luck (p = 0.12)."),
    ],
)
def test_the_headline_says_what_the_test_against_chance_says(report, p, choices, words):
    rows = tuple(row.model_copy(update={"p": p, "choices": choices}) for row in report.confirmed)
    text = short_verdict(report.model_copy(update={"confirmed": rows}))
    assert text.startswith("A set of 1 demonstration is better than none on 1 known choice")
    assert text.endswith(words)


def test_the_headline_gives_no_verdict_before_the_end_and_says_what_is_not_known(report):
    early = report.model_copy(update={"stage": "partial", "outcomes": None, "candidates": (), "confirmed": None})
    assert improvement.headline(early).startswith("Not finished, no verdict yet: after 14.0 passes")
    assert "really chosen next" not in improvement.headline(early)
    unknown = report.model_copy(update={"outcomes": None, "confirmed": None})
    assert short_verdict(unknown).endswith("on 1 known choice; no newer choice is left to test it.")
    assert target_move(unknown).endswith("so there is no verdict on this case's target.")


def test_without_lists_there_is_nothing_to_draw(report):
    empty = report.model_copy(update={"candidates": ()})
    assert before_after.table(empty).empty
    assert before_after.alt(empty) == "The case's own list is not scored yet."
    with pytest.raises(ValueError, match="needs the case's lists"):
        before_after.figure(empty, LIGHT)


def relisted(report, scores):
    """The report with other scores [set][candidate] of its lists; the target is the first candidate."""
    table = {which: np.array(row) for which, row in zip(ROLES, scores, strict=True)}
    places = {which: ranks(row) for which, row in table.items()}
    rows = [
        PlacesRow(
            item_id=str(item),
            title=f"Title {item}",
            is_target=item == 0,
            **{f"{which}_rank": places[which][item] for which in ROLES},
            **{f"{which}_score": float(table[which][item]) for which in ROLES},
        )
        for item in range(len(scores[0]))
    ]
    outcomes = [
        row.model_copy(
            update={
                "rank": places[row.which][0],
                "score": float(table[row.which][0]),
                "margin": float(field_margin(table[row.which], 0)),
                "candidates": len(rows),
            }
        )
        for row in report.outcomes
    ]
    return report.model_copy(update={"candidates": tuple(rows), "outcomes": tuple(outcomes)})


SCORES = st.integers(2, 8).flatmap(
    lambda count: st.lists(
        st.lists(st.integers(-3, 3).map(float), min_size=count, max_size=count), min_size=3, max_size=3
    )
)


@given(scores=SCORES, best=st.sampled_from(["best", "current", "zero_shot"]))
def test_headline_table_and_lines_agree_about_the_same_item(report, scores, best):
    again = relisted(report, scores)
    advised = getattr(again, best)
    again = again.model_copy(update={"best": advised, "found": advised})
    places = {
        which: 1 + sum(s > row[0] for s in row) + (sum(s == row[0] for s in row) - 1) / 2
        for which, row in zip(ROLES, scores, strict=True)
    }
    text, after = improvement.headline(again), before_after.lists(again)[-1]
    assert after == best
    named = {f"{float(place):g}" for place in re.findall(r"([\d.]+)(?:st|nd|rd|th)\b", target_move(again))}
    assert ordinal(places[after]) in text
    assert named <= {f"{place:g}" for place in places.values()}
    row = before_after.table(again).set_index(columns.ITEM).loc["0"]
    assert (row[columns.RANK], row["rank_before"]) == (places[after], places["current"])
    assert row["rank_without"] == places["zero_shot"]
    line = next(trace for trace in before_after.figure(again, LIGHT).data if trace.name == "0")
    assert list(line.y) == [places[which] for which in before_after.lists(again)]
    others = scores[ROLES.index(after)][1:]
    assert f"{figure(scores[ROLES.index(after)][0] - sum(others) / len(others))} nats" in target_margin(again)

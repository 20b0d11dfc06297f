"""Which rows the table of demonstrations has, what was changed in them, and what a message may say of them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from questions import explain_task

from app.pages.explore import drawn_rows
from app.pages.explore.demo_rows import Addition, RowState, changes, edited, ids_of, key_of, rows_of, with_addition
from app.widgets.demo_table.messages import Edit, edit_of, selected_of
from core.data.records import Item
from core.question.task import DemoRow


def demo(index: int, demo_id: str, answer: str | None = "Yes") -> DemoRow:
    return DemoRow(
        demo_id=demo_id,
        label=f"D{index + 1}",
        user_id="7",
        item_id=str(index),
        title=f"title {index}",
        answer=answer,
        history=(),
        source="recent",
        text="",
        tokens=3,
    )


DEMOS = [demo(0, "7:1"), demo(1, "7:2", "No"), demo(2, "9:3:no", "No"), demo(3, "7:4")]
KEYS = ["7:1", "7:2", "9:3", "7:4"]


def rows(*ids: str, additions=None) -> list[RowState]:
    return rows_of(DEMOS, ids, additions or {}, labelled=True)


def message(rows: list[RowState], **changes: dict[str, object]) -> dict[str, object]:
    """What the browser sends of these rows."""
    return {
        "sequence": 1,
        "rows": [{"key": row.key, "stays": row.stays, "answer": row.answer} for row in rows],
    } | changes


def test_the_rows_of_a_result_are_its_demonstrations_in_order():
    fresh = rows_of(DEMOS, None, {}, labelled=True)
    assert [(row.key, row.label, row.answer, row.stays) for row in fresh] == [
        ("7:1", "D1", "Yes", True),
        ("7:2", "D2", "No", True),
        ("9:3", "D3", "No", True),
        ("7:4", "D4", "Yes", True),
    ]
    assert fresh == rows("7:1", "7:2", "9:3:no", "7:4")
    assert changes(fresh) == ""
    assert ids_of(fresh) == ("7:1", "7:2", "9:3:no", "7:4")


def test_what_is_left_out_stays_where_it_stood_and_is_told():
    left = rows("7:1", "7:4")
    assert [(row.label, row.stays) for row in left] == [("D1", True), ("D2", False), ("D3", False), ("D4", True)]
    assert changes(left) == "2 left out"
    assert [row.label for row in rows("7:4")] == ["D1", "D2", "D3", "D4"]
    assert [row.label for row in rows()] == ["D1", "D2", "D3", "D4"]


def test_the_fewest_rows_that_moved_are_told():
    assert changes(rows("7:4", "7:1", "7:2", "9:3:no")) == "D4 moved"
    assert changes(rows("7:2", "9:3:no", "7:4", "7:1")) == "D1 moved"
    assert changes(rows("9:3:no", "7:1")) == "2 left out, D3 moved" or changes(rows("9:3:no", "7:1")).endswith(
        "D1 moved"
    )


def test_a_changed_answer_stands_behind_the_id():
    flipped = rows("7:1:no", "7:2", "9:3:yes", "7:4")
    assert [row.answer for row in flipped] == ["No", "No", "Yes", "Yes"]
    assert changes(flipped) == "D1 answered No, D3 answered Yes"
    assert ids_of(flipped) == ("7:1:no", "7:2", "9:3:yes", "7:4")


def test_a_replacement_stands_behind_the_row_that_it_replaces():
    known = {"5:8": Addition(Item("8", "Heat"), liked=False)}
    replaced = rows("7:1", "5:8", "9:3:no", "7:4", additions=known)
    assert [(row.label, row.stays, row.title) for row in replaced][1:3] == [
        ("D2", False, "title 1"),
        ("Heat", True, "Heat"),
    ]
    assert changes(replaced) == "1 left out, 1 added"
    assert replaced[2].answer == "No"
    assert rows("5:9", additions=known)[-1].title == "5:9"


def test_what_is_put_in_the_place_of_a_row_reads_the_same_as_a_draft_of_it():
    fresh, heat = rows_of(DEMOS, None, {}, labelled=True), Item("8", "Heat")
    known = {"5:8": Addition(heat, liked=False)}
    assert with_addition(fresh, "5:8", heat, "No", 1) == rows("7:1", "5:8", "9:3:no", "7:4", additions=known)
    assert with_addition(fresh, "5:8", heat, "No", None) == rows("7:1", "7:2", "9:3:no", "7:4", "5:8", additions=known)


def test_without_answers_nothing_is_answered():
    plain = rows_of([demo(0, "7:1", None)], ("7:1", "7:2"), {}, labelled=False)
    assert [row.answer for row in plain] == [None, None]
    assert ids_of(plain) == ("7:1", "7:2")


@st.composite
def drafts(draw) -> list[str]:
    chosen = draw(st.lists(st.sampled_from([*KEYS, "5:8", "u:with:colons:3"]), unique=True))
    return [key + draw(st.sampled_from(["", ":yes", ":no"])) for key in chosen]


@given(drafts())
def test_rows_hold_each_interaction_once_and_run_what_the_draft_says(ids):
    """Property: the rows kept are the draft's interactions in its order; every demonstration of the result is there."""
    table = rows(*ids)
    keys = [row.key for row in table]
    assert len(set(keys)) == len(keys)
    assert set(KEYS) <= set(keys)
    assert [key_of(run) for run in ids_of(table)] == [key_of(demo_id) for demo_id in ids]
    again = rows(*ids_of(table))
    assert [(row.key, row.stays, row.answer) for row in again] == [(row.key, row.stays, row.answer) for row in table]


@given(st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_the_rows_that_moved_are_as_few_as_can_be(order, out):
    """Property: without them the rest rises; no smaller set does that (every set is tried)."""
    fresh = rows_of(DEMOS, None, {}, labelled=True)
    kept = [fresh[place] for place in order if place not in out]
    told = changes(kept).split(", ") if changes(kept) else []
    moved = [part for part in told if part.endswith("moved")]
    values = [row.index for row in kept]
    longest = max(
        (
            len(part)
            for size in range(len(values) + 1)
            for part in combinations(values, size)
            if [*part] == sorted(part)
        ),
        default=0,
    )
    assert len(moved) == len(values) - longest


def test_an_edit_is_taken_as_it_is():
    fresh = rows_of(DEMOS, None, {}, labelled=True)
    sent = message([fresh[2], fresh[0], fresh[1], fresh[3]])
    sent["rows"][1]["stays"] = False
    sent["rows"][0]["answer"] = "Yes"
    edit = edit_of(sent, KEYS, labelled=True)
    assert isinstance(edit, Edit)
    assert ids_of(edited(fresh, edit)) == ("9:3:yes", "7:2", "7:4")


BAD_ROW = {"key": "7:1", "stays": True, "answer": "Yes"}


@pytest.mark.parametrize(
    "rows_sent",
    [
        [],
        [BAD_ROW] * 4,
        [{**BAD_ROW, "key": key} for key in [*KEYS, "5:5"]],
        [{**BAD_ROW, "key": key} for key in [*KEYS[:3], "5:5"]],
        [{**BAD_ROW, "key": key} for key in [*KEYS, KEYS[0]]],
        [{**BAD_ROW, "key": key, "stays": 1} for key in KEYS],
        [{**BAD_ROW, "key": key, "stays": "true"} for key in KEYS],
        [{**BAD_ROW, "key": key, "answer": "yes"} for key in KEYS],
        [{**BAD_ROW, "key": key, "answer": None} for key in KEYS],
        [{**BAD_ROW, "key": key, "run": True} for key in KEYS],
        [{"key": key, "stays": True} for key in KEYS],
        [{**BAD_ROW, "key": ["7:1"]} for _ in KEYS],
        "7:1",
        None,
        {"0": BAD_ROW},
    ],
)
def test_a_message_about_other_rows_or_of_other_types_is_no_edit(rows_sent):
    assert edit_of({"sequence": 1, "rows": rows_sent}, KEYS, labelled=True) is None


@pytest.mark.parametrize("sequence", [-1, 2**53, 1.5, "1", None, True])
def test_the_number_of_an_edit_is_a_whole_one(sequence):
    good = [{**BAD_ROW, "key": key} for key in KEYS]
    assert edit_of({"sequence": 1, "rows": good}, KEYS, labelled=True) is not None
    assert edit_of({"sequence": sequence, "rows": good}, KEYS, labelled=True) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(KEYS),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["sequence", "rows", "key", "stays", "answer"]), inner)
    ),
)
NEAR = st.fixed_dictionaries(
    {
        "sequence": st.integers(-1, 3) | JSON,
        "rows": st.lists(
            st.fixed_dictionaries(
                {
                    "key": st.sampled_from([*KEYS, "x"]),
                    "stays": st.booleans() | st.just(1),
                    "answer": st.sampled_from(["Yes", "No", None]),
                }
            ),
            max_size=5,
        ),
    }
)


@given(JSON | NEAR, st.booleans())
def test_whatever_is_sent_an_edit_has_exactly_these_rows(sent, labelled):
    """Property: no message raises, and one that is taken names every row once with values of the right types."""
    edit = edit_of(sent, KEYS, labelled=labelled)
    if edit is not None:
        assert sorted(row.key for row in edit.rows) == sorted(KEYS)
        assert all(type(row.stays) is bool and (row.answer in ("Yes", "No")) == labelled for row in edit.rows)
        fresh = rows_of(DEMOS, None, {}, labelled=labelled)
        assert {key_of(demo_id) for demo_id in ids_of(edited(fresh, edit))} <= set(KEYS)


@given(JSON)
def test_only_the_key_of_a_row_selects_it(sent):
    place = selected_of(sent, KEYS)
    assert place is None or KEYS[place] == sent
    assert selected_of("9:3", KEYS) == 2


@pytest.mark.parametrize(
    ("value", "effect", "direction"),
    [(0.004, "0.00", "nothing"), (-0.004, "0.00", "nothing"), (0.006, "+0.01", "raises"), (-0.006, "−0.01", "lowers")],
)
def test_an_effect_has_the_colour_of_what_is_written(value, effect, direction):
    assert drawn_rows._number(value) == {"effect": effect, "direction": direction}


def test_an_effect_that_is_noise_has_no_direction(example):
    record = example.explanation(explain_task())
    noisy = tuple(index == 1 for index in range(len(record.contributions.values)))
    record = record.model_copy(
        update={"contributions": record.contributions.model_copy(update={"within_noise": noisy})}
    )
    shown = drawn_rows.drawn_rows(record, rows_of(record.demos, None, {}, labelled=True), None, {})
    assert (shown[1]["direction"], {part["direction"] for part in shown[1]["bar"]["parts"]}) == ("nothing", {"nothing"})
    assert "noise of the server" in shown[1]["effect_words"]
    assert "noise" not in shown[0]["effect_words"]
    assert shown[0]["direction"] in ("raises", "lowers")

"""The table of demonstrations on Explore: what it sends to the browser, and what comes of a person's presses."""

from __future__ import annotations

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from app.pages.explore import demos
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec

SCRIPT = "streamlit_app.py"


@pytest.fixture
def open_page(example, stand_in, opened):
    """Open Explore: `open_page(desk, user="7")`."""

    def start(desk=None, **query: str) -> AppTest:
        stand_in(desk or example.FakeDesk())
        page = AppTest.from_file(str(demos.__file__).replace("app/pages/explore/demos.py", SCRIPT), default_timeout=60)
        return opened(page, query).run()

    return start


def drawn(page: AppTest) -> dict:
    """What the browser is given."""
    assert not page.exception, page.exception
    (box,) = page.get("bidi_component")
    return json.loads(box.proto.json)


def words(page: AppTest) -> str:
    assert not page.exception, page.exception
    html = " ".join(element.proto.body for element in page.get("html"))
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def sent(page: AppTest, sequence: int = 1) -> dict:
    """The edit that changes nothing."""
    rows = [{name: row[name] for name in ("key", "stays", "answer")} for row in drawn(page)["rows"]]
    return {"sequence": sequence, "rows": rows}


def draft(page: AppTest) -> Explain:
    return page.session_state["view"].current.draft


def test_the_table_shows_what_the_result_says(open_page, complete):
    data = drawn(open_page())
    assert data["columns"] == ["keep", "demo", "title", "effect", "without", "move"]
    assert [row["label"] for row in data["rows"]] == [row.label for row in complete.demos]
    assert [row["title"] for row in data["rows"]] == [row.title for row in complete.demos]
    effects = [float(row["effect"].replace("\u2212", "-")) for row in data["rows"]]
    assert effects == pytest.approx(complete.contributions.values, abs=0.005)
    assert [row["without_note"] == "measured" for row in data["rows"]] == [True, True] + [False] * 6


def test_bars_and_whiskers_stand_where_their_numbers_are(open_page, complete):
    made = complete.contributions
    bound = max(abs(end) for ends in (made.low, made.high) for end in ends)
    for value, low, high, row in zip(made.values, made.low, made.high, drawn(open_page())["rows"], strict=True):
        (part,) = row["bar"]["parts"]
        at = [50 + 50 * end / bound for end in (0, value, low, high)]
        assert [part["start"], part["stop"], row["bar"]["low"], row["bar"]["high"]] == pytest.approx(at, abs=1e-3)
        assert part["direction"] == row["direction"] == ("raises" if value > 0 else "lowers")


def test_the_two_tones_of_an_own_score_add_up_to_its_bar(open_page, complete):
    page = open_page(explain="score")
    for row in drawn(page)["rows"]:
        field, lift = row["bar"]["parts"]
        assert (field["tone"], lift["tone"]) == ("field", "lift")
        assert field["start"] == 50
        assert field["stop"] == lift["start"]
        assert "against the other candidates" in row["effect_words"]


def test_gain_stands_in_the_table_once_it_is_measured(open_page):
    page = open_page(view="quality")
    assert "quality" not in drawn(page)["columns"]
    page.button(key="start-quality").click().run()
    page.run()
    data = drawn(page)
    assert data["columns"][-2:] == ["quality", "move"]
    assert all(re.fullmatch(r"[+\u2212]?\d\.\d\d", row["quality"]) for row in data["rows"][:3])


def test_a_click_selects_the_demonstration_for_every_view(open_page, tell):
    page = open_page()
    page = tell(page, "select", drawn(page)["rows"][2]["key"])
    assert page.query_params["demo"] == "3"
    assert drawn(page)["selected"] == drawn(page)["rows"][2]["key"]
    page = tell(page, "select", "7:999")
    assert page.query_params["demo"] == "3"


def test_what_is_left_out_and_moved_is_told_and_run_only_on_request(open_page, example, tell):
    desk = example.FakeDesk()
    page = open_page(desk)
    before, handed_in = draft(page), len(desk.submissions)
    edit = sent(page)
    keys = [row["key"] for row in edit["rows"]]
    edit["rows"][0]["stays"] = edit["rows"][1]["stays"] = False
    edit["rows"].insert(2, edit["rows"].pop(7))
    page = tell(page, "edit", edit)
    assert draft(page).case.demo_ids == (keys[7], *keys[2:7])
    assert draft(page).case.strategy == "manual"
    assert "2 left out, D8 moved: not run yet" in words(page)
    assert [row["stays"] for row in drawn(page)["rows"]][:3] == [False, False, True]
    assert drawn(page)["answered"] == 1
    assert "Next run" not in words(page)
    assert len(desk.submissions) == handed_in
    page.button(key="undo-demos").click().run()
    assert draft(page) == before
    assert "not run yet" not in words(page)
    page = tell(page, "edit", edit)
    page.button(key="use-demos").click().run()
    assert len(desk.submissions) == handed_in + 1
    assert desk.submissions[-1].case.demo_ids == (keys[7], *keys[2:7])


def test_rows_put_back_by_hand_give_the_strategy_back(open_page, tell):
    page = open_page()
    before, plain, edit = draft(page), sent(page), sent(page, 2)
    edit["rows"][0]["stays"] = False
    page = tell(page, "edit", edit)
    assert draft(page) != before
    page = tell(page, "edit", plain)
    assert draft(page) == before


def test_a_changed_answer_makes_another_demonstration(open_page, tell):
    page = open_page(family="yes_no", user="7")
    assert drawn(page)["columns"][3] == "answer"
    edit = sent(page)
    key, answer = edit["rows"][1]["key"], edit["rows"][1]["answer"]
    edit["rows"][1]["answer"] = other = "No" if answer == "Yes" else "Yes"
    page = tell(page, "edit", edit)
    assert draft(page).case.demo_ids[1] == f"{key}:{other.lower()}"
    assert f"D2 answered {other}: not run yet" in words(page)


@pytest.mark.parametrize("message", [None, 3, "x", [], {}, {"sequence": 1, "rows": []}, {"sequence": 1, "rows": [{}]}])
def test_a_message_that_is_no_edit_changes_nothing(open_page, tell, message):
    page = open_page()
    before = draft(page)
    page = tell(page, "edit", message)
    assert draft(page) == before
    assert "not run yet" not in words(page)


def test_demonstrations_by_hand_go_back_to_the_strategy(open_page):
    page = open_page(**{"user": "7", "with": "7:1", "strategy": "manual"})
    page.button(key="drop-demos").click().run()
    assert draft(page).case.demo_ids is None
    assert "8 demonstrations that the strategy picks: not run yet" in words(page)


def test_another_case_is_run_before_its_demonstrations_are_changed(open_page):
    page = open_page()
    page.selectbox(key="in-user").set_value("7").run()
    assert drawn(page)["editable"] is False
    assert "The next run is about another case" in words(page)
    assert not [button for button in page.button if button.key == "use-demos"]


def test_demonstrations_that_the_model_picked_can_be_changed(open_page, example, tell):
    page = open_page(user="7", strategy="semantic", demos="3", run="1")
    edit = sent(page)
    edit["rows"][0]["stays"] = False
    page = tell(page, "edit", edit)
    assert draft(page).case.demo_ids == tuple(row["key"] for row in edit["rows"][1:])


def test_only_demonstrations_by_hand_are_left_to_the_table():
    case = CaseSpec(user="7")
    by_hand = case.model_copy(update={"demo_ids": ("7:1",), "strategy": "manual"})
    assert demos.only_rows_changed(case, by_hand)
    assert not demos.only_rows_changed(by_hand, case)
    assert not demos.only_rows_changed(case, by_hand.model_copy(update={"history": 3}))


def pool_page(open_page, desk=None, **query: str) -> AppTest:
    """The page with the list of what could be added open."""
    return open_page(desk, user="7", family="yes_no", **query).button(key="pool-demos").click().run()


def test_the_list_of_replacements_has_predicted_effects_highest_first(open_page, example):
    page = pool_page(open_page)
    options = page.selectbox(key="demos-pool").options
    assert len(options) == 12
    effects = [float(re.search(r"· ([+\u2212]?\d\.\d\d) \(", label)[1].replace("\u2212", "-")) for label in options]
    assert effects == sorted(effects, reverse=True)
    told = words(page)
    assert re.search(r"Predicted from the 8 measured demonstrations of this prompt, nothing is run", told)
    assert re.search(r"miss these 8 themselves by \d\.\d\d nats on average", told)
    assert page.button(key="replace-demo").disabled
    assert page.button(key="add-demo").disabled


def test_a_replacement_takes_the_place_of_the_selected_one_and_waits_for_run(open_page, example):
    desk = example.FakeDesk()
    page = pool_page(open_page, desk=desk, demo="3")
    keys, handed_in = [row["key"] for row in drawn(page)["rows"]], len(desk.submissions)
    assert page.button(key="replace-demo").label == "Replace D3"
    page.selectbox(key="demos-pool").set_value("9:4").run()
    assert "Predicted effect of \u201cWhite Balloon, The (1995)\u201d:" in words(page)
    page.button(key="replace-demo").click().run()
    assert draft(page).case.demo_ids == (*keys[:2], "9:4", *keys[3:])
    assert "1 left out, 1 added: not run yet" in words(page)
    assert len(desk.submissions) == handed_in
    assert not [box for box in page.selectbox if box.key == "demos-pool"]


def test_an_added_one_is_drawn_with_its_predicted_effect(open_page, example, monkeypatch):
    page = pool_page(open_page)
    page.selectbox(key="demos-pool").set_value("9:4").run()
    subject = example.preview(draft(page))
    added = example.Demonstration("9:4", "9", 4, (), "604", True, "manual")
    known = {**subject.items, "604": example.Item("604", "White Balloon, The (1995)")}
    monkeypatch.setattr("app.cached.preview", lambda task: example.replace(subject, demos=(added,), items=known))
    page.button(key="add-demo").click().run()
    row = drawn(page)["rows"][-1]
    assert (row["key"], row["label"], row["title"]) == ("9:4", "+", "White Balloon, The (1995)")
    assert row["under"] == "added, not run yet; effect predicted"
    assert row["bar"]["parts"][0]["tone"] == "predicted"
    assert row["effect_words"].startswith("Predicted from the others, not measured:")
    assert row["bar"]["low"] < row["bar"]["parts"][0]["stop"] < row["bar"]["high"]


def test_without_demonstrations_some_can_be_added_but_none_predicted(open_page):
    page = pool_page(open_page, demos="0")
    assert "this is the zero-shot ranking" in words(page)
    assert "No effect is predicted" in words(page)
    page.selectbox(key="demos-pool").set_value("9:0").run()
    page.button(key="add-demo").click().run()
    assert draft(page).case.demo_ids == ("9:0",)


def test_one_that_a_person_names_is_added(open_page):
    page = pool_page(open_page)
    keys = tuple(row["key"] for row in drawn(page)["rows"])
    page.text_input(key="demos-added").set_value("7:5 8:2:no").run()
    assert draft(page).case.demo_ids == (*keys, "7:5", "8:2:no")
    assert page.text_input(key="demos-added").value == ""

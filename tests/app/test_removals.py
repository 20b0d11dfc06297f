"""The panel about taking demonstrations out: what it says, what its tables hold, and what its presses run."""

from __future__ import annotations

import re

import pytest

from app.headings import heading
from app.list_reading import about, target_of
from app.pages.explore import removals
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.flip_words import flip_sentence, history_sentence
from core.question.case_spec import CaseSpec


def text_of(page) -> str:
    assert not page.exception, page.exception
    text = re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in page.get("html")))
    return re.sub(r"\s+", " ", text)


def last_task(desk) -> Explain:
    return desk.submissions[-1]


def test_the_panel_says_the_flip_set_and_how_sure_places_are(open_page, example):
    page, _ = open_page("explore", view="removals")
    record = example.explanation()
    text = text_of(page)
    assert text.count(flip_sentence(record.flip_set, 8)) >= 1
    assert "A change of place is more than chance where" in text
    assert "Select a demonstration to measure the list without it alone." in text
    assert "D1 and D3" in text


def test_another_goal_offers_its_search_with_its_cost(open_page):
    page, desk = open_page("explore", view="removals")
    goal = next(box for box in page.selectbox if str(box.key).startswith("removals-goal"))
    assert goal.value == "empty"
    goal.set_value("first").run()
    assert "takes up to 8 prompts. About 22 s." in text_of(page)
    page.button(key="removals-flip").click().run()
    assert last_task(desk).flip == "first"
    assert "removals-flip" not in {button.key for button in page.button}


def test_a_rival_is_searched_for_once_it_is_chosen(open_page):
    page, desk = open_page("explore", view="removals")
    goal, rival = (
        next(box for box in page.selectbox if str(box.key).startswith(f"removals-{n}")) for n in ("goal", "rival")
    )
    assert rival.disabled
    goal.set_value("rival").run()
    assert "Choose the candidate that it is to change places with." in text_of(page)
    rival = next(box for box in page.selectbox if str(box.key).startswith("removals-rival"))
    assert not rival.disabled
    rival.set_value("103").run()
    page.button(key="removals-flip").click().run()
    assert (last_task(desk).flip, last_task(desk).rival) == ("rival", "103")


def test_a_removal_that_is_only_predicted_is_measured_on_request(open_page):
    page, desk = open_page("explore", view="removals", demo="5")
    assert re.search(r"Without D5 alone: .*predicted\), (no )?more than chance", text_of(page))
    page.button(key="removals-alone").click().run()
    assert last_task(desk).without == ("D5",)
    page, _ = open_page("explore", view="removals", demo="1")
    assert "Without D1 alone:" in text_of(page)
    assert "removals-alone" not in {button.key for button in page.button}


def test_the_history_is_measured_on_request(open_page):
    page, desk = open_page("explore", view="removals")
    page.button(key="removals-history").click().run()
    assert last_task(desk).history_removals
    assert "“Heat (1995)” takes its place) in the history the item would stand 11th instead of 7th." in text_of(page)
    assert "Each place is measured, so no chance is in it." in text_of(page)


def test_another_user_has_no_rival_and_no_removal_on_request(open_page):
    page, _ = open_page("explore", view="removals", user="12", flip="rival", rival="103", without="D5")
    draft = page.session_state["view"].current.draft
    assert (draft.flip, draft.rival, draft.without) == ("rival", "103", ("D5",))
    page.selectbox(key="in-user").set_value("7").run()
    draft = page.session_state["view"].current.draft
    assert (draft.case.user, draft.flip, draft.rival, draft.without) == ("7", "empty", None, ())


def test_a_rival_can_be_forgotten_whatever_the_list(open_page):
    page, _ = open_page("explore", user="12", flip="rival", rival="no-such")
    page.button(key="forget-rival").click().run()
    draft = page.session_state["view"].current.draft
    assert (draft.flip, draft.rival) == ("empty", None)
    assert "forget-rival" not in {button.key for button in page.button}


def test_a_method_of_one_score_offers_the_one_of_the_list(open_page):
    page, desk = open_page("explore", view="removals", method="gradient")
    assert "it predicts no places" in text_of(page)
    page.button(key="removals-default").click().run()
    assert last_task(desk).method == "default"


# ---- what is asked and tabulated


def test_the_question_about_the_same_flip_set_is_the_same_question(complete):
    at = complete.target_index
    assert removals.flip_task(complete, at, "empty", None) == complete.task
    other = removals.flip_task(complete, 3, "empty", None)
    assert (other.target, other.flip) == (complete.candidates[3].item_id, "empty")
    without = complete.model_copy(update={"task": Explain(flips=0)})
    assert removals.flip_task(without, at, "first", None).flips == 8


def test_another_candidate_leaves_a_pair_behind(example):
    record = example.explanation(Explain(target="101", against="103", explain="pair"))
    task = removals.flip_task(record, 3, "empty", None)
    assert (task.target, task.against, task.explain) == ("103", None, None)


def test_sets_stand_with_their_predicted_and_their_true_place(complete):
    table = removals.flip_table(complete, complete.flip_set)
    assert list(table["taken_out"]) == ["Without D2", "Without D2 and D4", "Without D1, D2 and D3"]
    assert list(table["place_measured"]) == [5, 2, 1]
    assert list(table["place_predicted"])[:2] == [4.2, 3.1]
    assert table["place_predicted"].isna().tolist() == [False, False, True]
    assert list(table["reached"]) == ["no", "yes", "yes"]
    assert list(table["beyond_chance"].fillna("")) == ["no", "yes", ""]


@pytest.mark.parametrize(
    ("single", "value", "words"),
    [
        ((0.5, 0.4), -0.3, "D1 and D2 say the same: together they add 0.30 nats less than apart"),
        ((0.5, 0.4), 0.3, "D1 and D2 strengthen each other: together they add 0.30 nats more than apart"),
        ((-0.5, -0.4), 0.3, "D1 and D2 say the same: together they take away 0.30 nats less than apart"),
        ((-0.5, -0.4), -0.3, "D1 and D2 strengthen each other: together they take away 0.30 nats more than apart"),
        ((-0.5, 0.4), -0.3, "D1 and D2 pull in different directions: together they add 0.30 nats less than apart"),
    ],
)
def test_a_pair_in_words(complete, single, value, words):
    effects = complete.list_effects
    row = effects.pairs[0].model_copy(update={"first": 0, "second": 1, "value": value, "low": value, "high": value})
    rows = tuple((single[demo] if demo < 2 else 0.0,) * 20 for demo in range(8))
    listed = effects.model_copy(update={"effects": rows})
    record = complete.model_copy(update={"list_effects": listed})
    record = about(record, target_of(record, "score", complete.candidates[3].item_id))
    assert removals.pair_words(record, row).startswith(words)


def test_the_history_follows_the_candidate_that_is_read(example):
    record = example.explanation(Explain(history_removals=True))
    record = about(record, target_of(record, "field", record.candidates[3].item_id))
    table = removals.history_table(record, 3)
    assert list(table["place_measured"]) == [row.ranks[3] for row in record.history_removals] == [4, 5, 6, 7, 8]
    assert list(table["removal_climb"]) == [0, -1, -2, -3, -4]
    assert "8th instead of 4th" in history_sentence(record)


def test_every_column_has_a_heading(example):
    record = example.explanation(Explain(case=CaseSpec(demos=6), history_removals=True))
    tables = {
        "flip-sets": removals.flip_table(record, record.flip_set),
        "pairs": removals.pair_table(record),
        "history-removals": removals.history_table(record, 6),
    }
    for name, table in tables.items():
        assert len(table)
        assert all(heading(name, column) is not None for column in table.columns)

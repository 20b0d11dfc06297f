"""Every state of the Personalise page, with a desk that only pretends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import evaluations
import pytest
from streamlit.testing.v1 import AppTest

from app import cached
from core.data.records import Case, Interaction, Item
from core.personal.personalise_task import PersonaliseTask
from core.question.case_spec import CaseSpec
from core.question.task import Task
from core.tuning.evaluation.record import MetricEstimate

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
PAGE = "app/pages/personalise/page.py"
OWN = {"family": "yes_no", "strategy": "recent", "demos": 4, "history": 3, "adapter": "recicl"}
CATALOGUE = [("50", "Star Wars (1977)"), ("56", "$x$ **Pulp** (1994)")]


def _preview(task: Task) -> cached.Subject | str:
    user = task.case.user
    if user == "none":
        return "user none has no interaction; expected a user with two"
    count = {"one": 0}.get(user, 8)
    met = tuple(Interaction(str(at), at, 4.0 - at % 2, 891_000_000.0 + 60 * at) for at in range(count))
    case = Case("d", user, "last", met, ("90", "91"), "90", None, 1)
    return cached.Subject(task.case, case, (), {one.item_id: Item(one.item_id, f"Film {one.item_id}") for one in met})


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch):
    """Say whether the shipped adapter is there; it is, unless told otherwise."""

    def say(there: bool) -> None:
        for place in ("app.links", "app.pages.personalise.play_controls", "app.pages.personalise.stream_words"):
            monkeypatch.setattr(f"{place}.is_there", lambda name: there)

    say(True)
    return say


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, example: Any, shipped: Any, stand_in, opened):
    """Open the page: `open_page("done", user="7")`, and press Run where told; the desk remembers what was submitted."""

    def start(state: str = "done", *, run: bool = False, **query: Any) -> tuple[AppTest, Any]:
        desk = example.FakeDesk()
        desk.of_tasks = state
        stand_in(desk, users=[("12", 51), ("7", 40), ("one", 1), ("none", 0)], preview=_preview)
        monkeypatch.setattr(
            cached, "titles", lambda name, search, limit: [pair for pair in CATALOGUE if search in pair[1]]
        )
        monkeypatch.setattr(cached, "title_of", lambda name, item: dict(CATALOGUE).get(item, item))
        page = AppTest.from_file(SCRIPT, default_timeout=60).run()  # Pages are known after the first run.
        desk.submissions.clear()
        page.query_params.clear()  # As the navigation of a browser does.
        opened(page, query)
        page = page.switch_page(PAGE).run()
        return press(page, "run") if run else page, desk

    return start


def words(page: AppTest) -> str:
    """All HTML text of the page, tags taken out."""
    assert not page.exception, page.exception
    text = re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in page.get("html")))
    return re.sub(r"\s+", " ", text)


def button(page: AppTest, key: str) -> Any:
    return next(one for one in page.button if one.key == key)


def press(page: AppTest, key: str) -> AppTest:
    return button(page, key).click().run()


def go(page: AppTest, script: str) -> AppTest:
    """To another page by the navigation of a browser, which empties the address."""
    page = page.switch_page(script)
    page.query_params.clear()
    return page.run()


def link(page: AppTest) -> dict[str, list[str]]:
    return {name: value if isinstance(value, list) else [value] for name, value in page.query_params.items()}


def charts(page: AppTest) -> int:
    return len(page.get("plotly_chart"))


def test_a_first_visit_has_the_page_s_own_case_and_runs_nothing(open_page) -> None:
    page, desk = open_page("running")
    assert desk.submissions == []
    assert "Not run yet" in words(page)
    assert "8 of 8 interactions before this moment are known" in words(page)
    press(page, "run")
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(**OWN))


def test_without_a_shipped_adapter_the_base_plays_alone_and_it_is_said(open_page, shipped) -> None:
    shipped(False)
    page, desk = open_page("running")
    assert "demolens tune" in words(page)
    press(page, "run")
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(**(OWN | {"adapter": None})))


def test_the_page_s_own_choices_stay_its_own(open_page) -> None:
    page, desk = open_page("running")
    page = go(page, "app/pages/explore/page.py")
    assert "Next run" not in words(page)
    assert page.number_input(key="in-demos").value == 8
    page = go(page, PAGE)
    assert page.number_input(key="in-demos").value == 4
    page = page.number_input(key="in-demos").set_value(3).run()
    page = go(page, "app/pages/theory/page.py")
    assert page.number_input(key="in-demos").value == 8
    page = go(page, PAGE)
    press(page, "run")
    assert desk.submissions[-1].case == CaseSpec(**(OWN | {"demos": 3}))


def test_the_report_is_told_in_words_and_shown(open_page) -> None:
    page, _ = open_page(user="12")
    page = press(page, "run")
    said = words(page)
    assert "Evaluation of the shipped adapter" in said
    assert (
        "After 4 new interactions, Brazil (1985) , really chosen next, stays 2nd of 4; its margin over the field"
        in said
    )
    assert "With the base model, Brazil (1985) rises from 2nd to 1st of 4" in said
    assert "In this list Diva (1981) rises most, from 4th to 1st." in said
    assert "its margin falls most without D3 ( Heat (1995) , answered No), by 0.30 nats: it is 3rd without it" in said
    assert "2nd of 4, margin over the field 0.33 nats; 2nd before the play, margin 0.33" in said
    assert "3 of the stream, 1 by hand" in said
    assert "275 ms 55 % of one whole pass, which takes 500 ms" in said
    assert "3f9a2b7c01de unchanged by the play" in said
    assert any(code.value == "3f9a2b7c01de" + 52 * "0" for code in page.code)
    assert "Step 4, Heat (1995) not liked. 1 neighbour's choice joined as time went on: Dune (1984) of user 8 ." in said
    assert "1 own interaction left: Fargo (1996) ." in said
    assert "32 % of them in the steps" in said
    assert "Which demonstration moved the list" in said
    assert "Where this comes from" in said
    assert charts(page) == 7  # The stream, the flow, what moved it, what it costs, and the evaluation's three.
    assert all(chart.proto.alt for chart in page.get("plotly_chart"))
    assert len(page.dataframe) == 3  # What came and went, the list, and the target step by step.


def test_titles_reach_the_page_as_text(open_page) -> None:
    page, _ = open_page()
    page = press(page, "run")
    bodies = " ".join(element.proto.body for element in page.get("html"))
    assert "&lt;b&gt;Alien&lt;/b&gt;" in bodies
    assert "<b>Alien" not in bodies
    page = page.selectbox(key="pick-step").set_value(3).run()
    assert "The new interaction joined. 1 neighbour's choice joined: Emma (1996)" in words(page)
    bodies = " ".join(element.proto.body for element in page.get("html"))
    assert "&lt;i&gt;9&lt;/i&gt;" in bodies
    assert "<i>9" not in bodies


def test_a_link_rebuilds_the_play(open_page) -> None:
    page, desk = open_page(
        "running", user="7", known="5", steps="2", added=["50:yes", "56:no"], compare="no", demos="6"
    )
    assert desk.submissions == []  # To look at a page starts no work.
    assert link(page)["added"] == ["50:yes", "56:no"]
    page = press(page, "run")
    case = CaseSpec(user="7", **(OWN | {"demos": 6}))
    asked = PersonaliseTask(case=case, known=5, steps=2, added=("50:yes", "56:no"), compare=False)
    assert desk.submissions[-1] == asked
    assert "Star Wars (1977) , liked" in words(page)
    assert "5 of 8" in words(page)


def test_run_writes_the_whole_play_into_the_link(open_page) -> None:
    page, _ = open_page("running")
    page = press(press(page, "step-back"), "run")
    usual = {"family": ["yes_no"], "strategy": ["recent"], "demos": ["4"], "history": ["3"], "adapter": ["recicl"]}
    assert link(page) == {"v": ["3"], "user": ["135"], "known": ["7"], **usual}


@pytest.mark.parametrize(("adapter", "there", "asked"), [("none", True, None), (None, False, None), ("x", True, "x")])
def test_a_link_chooses_the_adapter_or_none(open_page, shipped, adapter, there, asked) -> None:
    shipped(there)
    page, desk = open_page("running", run=True, user="7", **({} if adapter is None else {"adapter": adapter}))
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(user="7", **(OWN | {"adapter": asked})))
    assert link(page)["adapter"] == [asked or "none"]


def test_how_demonstrations_are_picked_is_chosen_here_too(open_page) -> None:
    page, desk = open_page("running", user="7")
    page = page.selectbox(key="in-strategy").set_value("neighbours").run()
    page = press(page, "run")
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(user="7", **(OWN | {"strategy": "neighbours"})))
    assert link(page)["strategy"] == ["neighbours"]


def test_a_play_that_picks_anew_says_what_that_costs(open_page, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = example.reports()["personalise"]
    task = PersonaliseTask(case=CaseSpec(**(OWN | {"strategy": "neighbours"})))
    monkeypatch.setattr(example, "reports", lambda: {"personalise": made.model_copy(update={"task": task})})
    page, _ = open_page(run=True, user="7", strategy="neighbours")
    assert "Picking the demonstrations anew takes 20 ms of a step" in words(page)


def test_a_link_keeps_the_chosen_step_and_candidate(open_page) -> None:
    page, _ = open_page(run=True, user="7")
    page = page.selectbox(key="pick-step").set_value(2).run()
    page = page.selectbox(key="pick-listed").set_value("d").run()
    assert (link(page)["after"], link(page)["item"]) == (["2"], ["d"])
    stored = page.query_params
    page, desk = open_page()
    desk.submit(PersonaliseTask(case=CaseSpec(user="7", **OWN)))
    for parameter, value in stored.items():
        page.query_params[parameter] = value
    page = page.run()
    assert "After step 2" in words(page)
    assert page.selectbox(key="pick-listed").value == "d"
    page = press(page, "clear-selection")
    assert not {"after", "item"} & set(link(page))
    page, _ = open_page(run=True, user="7", after="999", item="nobody")
    assert "After step 4" in words(page)
    assert "could not be used" not in words(page)


def test_wrong_parts_of_a_link_are_named(open_page) -> None:
    page, desk = open_page("running", known="0", added="50:maybe", user="7")
    assert "known" in words(page)
    assert "added" in words(page)
    press(page, "run")
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(user="7", **OWN))


def test_stepping_back_and_forward_moves_the_end_of_the_play(open_page) -> None:
    page, desk = open_page("running")
    assert button(page, "step-forward").disabled
    page = press(press(page, "step-back"), "step-back")
    assert "6 of 8" in words(page)
    press(page, "run")
    assert desk.submissions[-1].known == 6
    page = press(press(page, "step-forward"), "step-forward")
    press(page, "run")
    assert desk.submissions[-1].known is None
    page, _ = open_page("running", known="1", user="7")
    assert button(page, "step-back").disabled


def test_another_user_has_another_stream(open_page) -> None:
    page, desk = open_page("running")
    page = press(page, "step-back")
    page = page.selectbox(key="in-user").set_value("7").run()
    assert "8 of 8" in words(page)
    press(page, "run")
    assert desk.submissions[-1] == PersonaliseTask(case=CaseSpec(user="7", **OWN))


def test_an_interaction_is_added_by_hand_and_removed(open_page) -> None:
    page, desk = open_page("running")
    assert button(page, "add-title").disabled
    page = page.text_input(key="find-title").set_value("Pulp").run()
    page = page.segmented_control(key="pick-answer").set_value("no").run()
    page = press(page, "add-title")
    assert "$x$ **Pulp** (1994) , not liked" in words(page)
    page = page.text_input(key="find-title").set_value("Star").run()
    page = page.segmented_control(key="pick-answer").set_value("yes").run()
    page = press(press(page, "add-title"), "run")
    assert desk.submissions[-1].added == ("56:no", "50:yes")
    page = press(press(page, "remove-added-0"), "run")
    assert desk.submissions[-1].added == ("50:yes",)


def test_a_search_that_finds_nothing_says_so(open_page) -> None:
    page, _ = open_page()
    page = page.text_input(key="find-title").set_value("nowhere").run()
    assert "No title contains these words" in words(page)
    assert button(page, "add-title").disabled


def test_the_base_model_is_left_out_when_asked(open_page) -> None:
    page, desk = open_page("running")
    page = page.toggle(key="in-compare").set_value(False).run()
    press(page, "run")
    assert desk.submissions[-1].compare is False


def test_a_step_and_a_candidate_are_chosen_by_keyboard(open_page) -> None:
    page, _ = open_page()
    page = press(page, "run")
    page = page.selectbox(key="pick-step").set_value(2).run()
    assert "After step 2" in words(page)
    page = page.selectbox(key="pick-listed").set_value("d").run()
    assert page.selectbox(key="pick-listed").value == "d"
    assert "After step 2" in words(page)
    page = press(page, "clear-selection")
    assert "After step 4" in words(page)
    assert page.selectbox(key="pick-listed").value is None


def test_failed_cancelled_and_running_are_said_calmly(open_page, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, _ = open_page("failed", run=True, user="7")
    assert "layer 99 does not exist" in words(page)
    page, _ = open_page("running", run=True, user="7")
    assert button(page, "cancel")
    makers = example._tests_of("personalise")
    for steps, said in ((0, "The first list is being computed"), (1, "none has been played"), (3, "After 2 new")):
        part = makers.made(example, steps=steps)
        monkeypatch.setattr(example, "reports", lambda part=part: {"personalise": part})
        page, _ = open_page("cancelled", run=True, user="7")
        assert "What was found until then stands below" in words(page)
        assert said in words(page)


def test_a_user_with_nothing_to_play(open_page) -> None:
    page, _ = open_page()
    page = page.selectbox(key="in-user").set_value("one").run()
    assert "there is nothing to play" in words(page)
    assert button(page, "step-back").disabled
    page = page.selectbox(key="in-user").set_value("none").run()
    assert "has no interaction" in words(page)


def test_the_evaluation_beside_the_adapter_is_shown(open_page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "evaluation.json"
    monkeypatch.setattr("app.pages.personalise.adapter_evaluation.RECORD", record)
    page, _ = open_page()
    page = press(page, "run")
    assert "Evaluation of the shipped adapter" not in words(page)
    told = evaluations.ranked()
    record.write_text(told.model_dump_json(), encoding="utf-8")
    page, _ = open_page()
    page = press(page, "run")
    assert f"{told.interactions:,} test interactions and {told.ranked} lists of {told.users} users" in words(page)
    assert charts(page) == 7
    record.write_text("{", encoding="utf-8")
    page, _ = open_page()
    page = press(page, "run")
    assert "cannot be shown" in words(page)


def test_an_own_adapter_s_evaluation_is_shown_once_it_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEMOLENS_MODEL_ROOTS", str(tmp_path))
    own = tmp_path / "own"
    own.mkdir()

    def shown(model_id: str) -> str:
        return words(AppTest.from_function(_evaluated, kwargs={"adapter": str(own), "model_id": model_id}).run())

    assert "demolens evaluate --recicl FOLDER" in shown("a")
    told = evaluations.made().model_copy(update={"share": 0.7})
    (own / "evaluation.json").write_text(told.model_dump_json(), encoding="utf-8")
    assert "Evaluation of this adapter" in shown("a")
    assert "the latest 30 % of time" in shown("a")
    assert "belongs to other weights" in shown("b")


def test_an_evaluation_without_auc_shows_its_lists_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEMOLENS_MODEL_ROOTS", str(tmp_path))
    own = tmp_path / "own"
    own.mkdir()
    told = evaluations.ranked()
    ways = tuple(one.model_copy(update={"auc": MetricEstimate(value=None)}) for one in told.ways)
    said = {"ways": ways, "notices": ("All 9 true answers are Yes, so no AUC is defined.",)}
    (own / "evaluation.json").write_text(told.model_copy(update=said).model_dump_json(), encoding="utf-8")
    page = AppTest.from_function(_evaluated, kwargs={"adapter": str(own), "model_id": "a"}).run()
    assert charts(page) == 1
    assert "How high does the next liked item rank?" in words(page)
    assert "All 9 true answers are Yes" in words(page)


def _evaluated(adapter: str, model_id: str) -> None:
    from app.pages.personalise.adapter_evaluation import evaluation

    evaluation(adapter, model_id)

"""Every state of the pages of one task, with a desk that only pretends."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.analysis.dual.dual_task import DualTask
from core.analysis.dual.updates_task import UpdatesTask
from core.analysis.explain.explain_task import Explain
from core.analysis.quality.quality_task import QualityTask
from core.analysis.quality.utility_task import UtilityTask
from core.analysis.robustness.robustness_task import RobustnessTask
from core.data.strategies import STRATEGIES
from core.question.case_spec import CaseSpec
from core.selection.improve_task import ImproveTask

PAGES = {"theory": DualTask, "robustness": RobustnessTask, "improve": ImproveTask}


@pytest.fixture(scope="module")
def reports(example: Any) -> dict[str, Any]:
    """Kind of work -> a finished report."""
    found: dict[str, Any] = example.reports()
    return found


def words(page: AppTest) -> str:
    """All HTML text of the page, tags taken out."""
    assert not page.exception, page.exception
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in page.get("html")))


def press(page: AppTest, key: str) -> AppTest:
    return next(button for button in page.button if button.key == key).click().run()


@pytest.mark.parametrize("name", PAGES)
def test_a_first_visit_runs_nothing_and_says_what_run_will_show(open_page, name: str) -> None:
    page, desk = open_page(name)
    assert desk.submissions == [Explain()]  # Only Explore's own example, which was opened first.
    assert "Not run yet" in words(page)


@pytest.mark.parametrize(("name", "kind"), PAGES.items())
def test_run_hands_in_the_task_and_shows_its_report(open_page, name: str, kind: type) -> None:
    page, desk = open_page(name)
    page = press(page, "run")
    assert desk.submissions[-1] == kind()
    assert "Where this comes from" in words(page)
    assert "Not run yet" not in words(page)


@pytest.mark.parametrize(("name", "kind"), PAGES.items())
def test_a_link_starts_no_work_and_stays_until_run(open_page, name: str, kind: type) -> None:
    page, desk = open_page(name, user="7")
    assert desk.submissions == [Explain()]  # Only Explore's own example, which was opened first.
    assert "Not run yet" in words(page)
    assert page.query_params == {"v": "3", "user": "7"}
    page = press(page, "run")
    assert desk.submissions[-1] == kind(case=CaseSpec(user="7"))


@pytest.mark.parametrize(("name", "kind"), PAGES.items())
def test_a_link_shows_the_stored_result_of_its_case(open_page, name: str, kind: type) -> None:
    page, desk = open_page(name)
    desk.submit(kind(case=CaseSpec(user="7")))
    page.query_params.update({"v": "3", "user": "7"})
    page = page.run()
    assert "Where this comes from" in words(page)
    assert len(desk.submissions) == 2  # The example and what was stored.


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_page_has_one_run_button(open_page, name: str) -> None:
    page, _ = open_page(name)
    assert [button.key for button in page.button if button.label == "Run"] == ["run"]


@pytest.mark.parametrize(("name", "kind"), PAGES.items())
def test_the_way_over_another_page_keeps_the_choices_and_the_link(open_page, name: str, kind: type) -> None:
    page, desk = open_page(name, run=True, user="7")
    other = "robustness" if name == "theory" else "theory"
    page = page.switch_page(f"app/pages/{other}/page.py").run()
    page.query_params.clear()  # As the navigation of a browser does.
    page = page.switch_page(f"app/pages/{name}/page.py").run()
    assert page.query_params == {"v": "3", "user": "7"}
    page = page.number_input(key="in-demos").set_value(2).run()
    assert "User  7  in" in words(page)
    assert desk.submissions[-1] == kind(case=CaseSpec(user="7"))


@pytest.mark.parametrize("name", PAGES)
def test_failed_cancelled_and_running_are_said_calmly(open_page, name: str) -> None:
    page, _ = open_page(name, "failed", run=True, user="7")
    assert "layer 99 does not exist" in words(page)
    assert "E-3F9A" in words(page)
    assert "Run, on the left, takes about" in words(page)  # The page goes on with what the model would read.
    page, _ = open_page(name, "cancelled", run=True, user="7")
    assert "What was found until then stands below" in words(page)
    page, _ = open_page(name, "running", run=True, user="7")
    assert "Running. The result appears here" in words(page)
    assert [button.key for button in page.button if button.key == "cancel"]


def test_the_set_found_is_adopted_in_explore(open_page, reports: dict[str, Any]) -> None:
    page, desk = open_page("improve")
    page = press(page, "run")
    press(page, "adopt")
    assert desk.submissions[-1].case.demo_ids == reports["improve"].best.demo_ids
    assert desk.submissions[-1].case.strategy == "manual"


@pytest.mark.parametrize("name", PAGES)
def test_a_result_is_its_own_case_whatever_the_pickers_say_since(open_page, name: str) -> None:
    page, desk = open_page(name, run=True, user="7")
    submitted = len(desk.submissions)
    page.selectbox(key="in-user").set_value("12").run()
    assert "User  7  in" in words(page)
    if name == "improve":
        press(page, "adopt")
        assert [task.case.user for task in desk.submissions[submitted:]] == ["7"]


@pytest.mark.parametrize(
    ("p", "told", "button"),
    [(0.02, "did better than chance would choose", "primary"), (0.4, "not shown to be better", "secondary")],
)
def test_a_set_is_advised_where_it_is_better_than_chance_would_choose(
    open_page, reports: dict[str, Any], monkeypatch: pytest.MonkeyPatch, p: float, told: str, button: str
) -> None:
    report = reports["improve"]
    rows = tuple(row.model_copy(update={"p": p}) for row in report.confirmed)
    monkeypatch.setitem(reports, "improve", report.model_copy(update={"confirmed": rows}))
    page, _ = open_page("improve", run=True, user="7")
    assert told in words(page)
    [adopt] = [one for one in page.button if one.key == "adopt"]
    assert adopt.proto.type == button


def test_both_verdicts_and_the_test_between_them_stand_together(open_page) -> None:
    page, _ = open_page("improve", run=True, user="7")
    text = " ".join(words(page).split())
    for part in (
        "A set of 1 demonstration is found: on the 1 known choice by which sets were judged it is 1.50 nats above",
        "better than chance would choose (p = 0.02 over 8 choices)",
        "A set of 1 demonstration is better than none on 1 known choice and better than chance would choose on newer"
        " ones (p = 0.02). Dead Man Walking (1995) , really chosen next, rises from 4th with the case's own"
        " demonstrations to 1st of 20 with the set found.",
        "Without demonstrations it is 9th.",
        "Its margin over the field goes from 1.71 to 2.50 nats",
        "The search did not look at this choice",
        "On 1 known choice that the search read",
        "On 8 newer choices that it did not read",
        "Place of the item really chosen next",
    ):
        assert part in text


def test_where_the_own_demonstrations_stand_there_is_nothing_to_adopt(
    open_page, reports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reports["improve"]
    monkeypatch.setitem(reports, "improve", found.model_copy(update={"best": found.current, "found": found.current}))
    page, _ = open_page("improve")
    page = press(page, "run")
    assert "This user's demonstrations stand" in words(page)
    assert not [button for button in page.button if button.key == "adopt"]


def test_theory_compares_with_fine_tuning_only_when_asked(open_page, reports: dict[str, Any]) -> None:
    page, desk = open_page("theory")
    page = press(page, "run")
    assert not any(isinstance(task, UpdatesTask) for task in desk.submissions)
    page = press(page, "start-updates")
    assert isinstance(desk.submissions[-1], UpdatesTask)
    assert reports["updates"].conclusion[:40] in words(page)


def test_explore_shows_no_score_without_its_worth(open_page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pages.explore.quality_section.latest_utility", lambda *_: None)
    page, desk = open_page("explore", view="quality")
    page = press(page, "start-quality")
    assert isinstance(desk.submissions[-1], QualityTask)
    assert "read the scores above as a description only" in words(page)
    page = press(page, "start-utility")
    assert desk.submissions[-1] == UtilityTask(case=CaseSpec(), users=20)
    assert "mean rank correlation" in words(page)


def test_explore_has_a_first_look_at_robustness(open_page) -> None:
    page, desk = open_page("explore", view="robustness")
    page = press(page, "start-robustness")
    assert desk.submissions[-1] == RobustnessTask(quick=True)
    assert "variants of the prompt" in words(page)


def go(page: AppTest, name: str) -> AppTest:
    page = page.switch_page(f"app/pages/{name}/page.py")
    page.query_params.clear()  # As the navigation of a browser does.
    return page.run()


def test_how_explore_explains_does_not_concern_other_pages_but_its_target_does(open_page) -> None:
    page, desk = open_page("robustness", run=True)
    assert "What you see is the result of these settings" in words(page)
    page = go(page, "explore").selectbox(key="in-method").set_value("path").run()
    page = page.number_input(key="in-budget").set_value(3.0).run()
    page = page.selectbox(key="in-explain").set_value("score").run()
    page = go(press(page, "run"), "robustness")
    assert "What you see is the result of these settings" in words(page)
    assert page.button(key="run").disabled
    page = go(page, "explore").selectbox(key="in-target").set_value("103").run()
    page = go(page, "robustness")
    assert "Settings changed" in words(page)
    press(page, "run")
    assert desk.submissions[-1] == RobustnessTask(target="103")
    page = go(page, "improve")
    assert "target" not in type(page.session_state["view"].current.draft).model_fields


def test_another_method_leaves_what_is_measured_beside_an_explanation(open_page) -> None:
    page, desk = open_page("explore", view="robustness")
    page = press(page, "start-robustness")
    page.query_params["view"] = "quality"
    page = press(page.run(), "start-quality")
    page = press(page.selectbox(key="in-method").set_value("path").run(), "run")
    assert "start-quality" not in {button.key for button in page.button}
    page.query_params["view"] = "robustness"
    page = page.run()
    assert "variants of the prompt" in words(page)
    assert [type(task) for task in desk.submissions[1:]] == [RobustnessTask, QualityTask, Explain]
    assert desk.submissions[-1] == Explain(method="path")


def test_a_page_left_with_choices_has_them_again(open_page) -> None:
    page, _ = open_page("robustness")
    page = page.number_input(key="in-repeats").set_value(5).run()
    page = page.selectbox(key="in-user").set_value("7").run()
    page = go(page, "theory")
    assert page.selectbox(key="in-user").value == "7"
    assert go(page, "robustness").number_input(key="in-repeats").value == 5


@pytest.mark.parametrize("name", [*PAGES, "personalise"])
def test_every_control_says_what_it_does_and_no_text_is_raw(open_page, name: str) -> None:
    page, _ = open_page(name, run=True)
    kinds = ("selectbox", "number_input", "text_input", "toggle", "multiselect", "slider", "pills", "button")
    controls = [each for kind in kinds for each in getattr(page, kind, page.get(kind))]
    bare = [each.label for each in controls if not each.proto.help and each.key not in ("run", "cancel")]
    assert bare == []
    said = " ".join([words(page), *(chart.proto.alt for chart in page.get("plotly_chart"))])
    said = re.sub(r":root \{.*", "", said, flags=re.DOTALL)
    assert not re.search(r"\bby [+−-]|\bNone\b|\bnan\b|\d{4,} ms|(\S+) to \1[) ;]", said)


def test_robustness_holds_words_beside_demonstrations(open_page) -> None:
    page, desk = open_page("robustness", run=True)
    said = words(page)
    assert "Sensitivity to wording" in said
    assert "On average other words move the target by 1.0 places and other demonstrations by 4.0 places" in said
    page = page.toggle(key="in-sensitivity").set_value(False).run()
    page = press(page, "run")
    assert desk.submissions[-1] == RobustnessTask(sensitivity=False)


def test_the_wording_is_chosen_beside_the_material(open_page) -> None:
    page, desk = open_page("robustness")
    page = page.selectbox(key="in-wording").set_value("implicit_vague").run()
    page = press(page, "run")
    assert desk.submissions[-1] == RobustnessTask(case=CaseSpec(wording="implicit_vague"))
    assert page.query_params["wording"] == "implicit_vague"


@pytest.mark.parametrize("name", ["theory", "robustness", "improve"])
@pytest.mark.parametrize("strategy", ["semantic", "gradient"])
def test_demonstrations_that_the_model_picks_are_announced_before_the_run(
    open_page: Any, name: str, strategy: str
) -> None:
    page, _ = open_page(name, strategy=strategy, demos="6")
    announced = html.unescape(words(page))
    assert "6 demonstrations, picked by the model when this runs" in announced
    assert STRATEGIES[strategy].nearest in announced
    assert "No demonstrations" not in announced
    assert not page.button(key="run").disabled

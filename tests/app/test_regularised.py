"""The regularised list beside the plain one on the Explore page, with a desk that only pretends."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.pages.explore import regularised
from core.analysis.robustness.robustness_task import RobustnessTask
from core.errors import WorkerError
from core.question.case_spec import CaseSpec

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
ALPHA, SAMPLES = "in-regularised-alpha", "in-regularised-samples"


def _charts() -> Any:
    """The tests of the chart, which know how to make a report."""
    spec = importlib.util.spec_from_file_location(
        "charts_inference", Path(__file__).parent / "charts/test_inference_lists.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHARTS = _charts()


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, example: Any, stand_in, opened):
    """Open Explore: `open_page(alpha="0.1")` gives the page and its desk, whose robustness report is a changed one."""

    def start(state: str = "done", **query: str) -> tuple[AppTest, Any]:
        desk = example.FakeDesk()
        desk.of_tasks = state
        made = example.reports() | {"robustness": CHARTS.changed_report()}
        monkeypatch.setattr(example, "reports", lambda: made)
        stand_in(desk)
        page = AppTest.from_file(SCRIPT, default_timeout=60)
        opened(page, {"view": "steadier", **query})
        return page.run(), desk

    return start


def words(page: AppTest) -> str:
    """All HTML text of the page, tags taken out."""
    assert not page.exception, page.exception
    text = re.sub(r"</?(bdi|em)>", "", " ".join(element.proto.body for element in page.get("html")))
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"\s+", " ", text)


def link(page: AppTest, name: str) -> list[str]:
    """The values of one parameter in the address bar."""
    value = page.query_params[name]
    return value if isinstance(value, list) else [value]


def asked(desk: Any) -> list[RobustnessTask]:
    return [one for one in desk.submissions if isinstance(one, RobustnessTask)]


def compared(page: AppTest) -> bool:
    return "candidates change their place" in words(page)


def test_nothing_is_computed_until_asked(open_page: Any) -> None:
    page, desk = open_page()
    assert page.button(key="regularise").disabled
    assert "Move a control to compare" in words(page)
    assert page.slider(key=SAMPLES).disabled
    page.slider(key=ALPHA).set_value(0.1).run()
    assert not page.button(key="regularise").disabled
    assert f"About {14 + CaseSpec().demos} s" in words(page)  # As the desk of these tests forecasts.
    assert asked(desk) == []
    assert "alpha" not in page.query_params


def test_the_controls_say_what_is_asked_and_the_link_holds_it(open_page: Any) -> None:
    page, desk = open_page()
    page.slider(key=ALPHA).set_value(0.1).run()
    page.slider(key="in-regularised-dropout").set_value(0.25).run()
    assert not page.slider(key=SAMPLES).disabled
    page.slider(key=SAMPLES).set_value(4).run()
    page.button(key="regularise").click().run()
    assert asked(desk) == [RobustnessTask(quick=True, alpha=0.1, dropout=0.25, samples=4)]
    assert {name: link(page, name) for name in ("alpha", "dropout", "samples")} == {
        "alpha": ["0.1"],
        "dropout": ["0.25"],
        "samples": ["4"],
    }
    assert "regularise" not in {button.key for button in page.button}


def test_the_result_says_rank_ndcg_flips_and_moves(open_page: Any) -> None:
    page, _ = open_page(alpha="0.1")
    told = words(page)
    assert "With decay 0.1, Heat takes the first place from" in told
    assert "4 of 5 candidates change their place" in told
    assert "The target, Babe, rises from 7th to 2nd; its margin over the field goes from −1.00 to 0.50 nats." in told
    assert "Place of the target, plain model 7th of 20" in told
    assert "2nd of 20" in told
    assert re.search(r"Another item comes first, plain model\s+25 %", told)
    assert re.search(r"Another item comes first, changed dual model .* 8 %", told)
    assert "NDCG@10, changed dual model" in told
    assert "9.5 passes, 3.0 s" in told
    chart = page.get("plotly_chart")[-1].proto
    assert chart.alt.startswith("4 of 5 candidates change their place under decay 0.1.")
    page.session_state["form-moved"] = "Table"
    page.run()
    assert CHARTS.inference.moves_table(CHARTS.changed_report())["rank_changed"].tolist() in [
        frame.value["rank_changed"].tolist() for frame in page.dataframe if "rank_changed" in frame.value
    ]


def test_a_link_rebuilds_the_comparison_and_its_controls(open_page: Any) -> None:
    page, desk = open_page(user="7", alpha="0.123", sigma="0.5")
    assert asked(desk) == [RobustnessTask(case=CaseSpec(user="7"), quick=True, alpha=0.123, sigma=0.5)]
    assert page.slider(key=ALPHA).value == pytest.approx(0.123)
    assert compared(page)


def test_a_link_beyond_the_slider_is_shown_at_its_end(open_page: Any) -> None:
    page, desk = open_page(alpha="0.99")
    assert asked(desk)[0].alpha == 0.99
    assert page.slider(key=ALPHA).value == 0.95
    assert compared(page)


def test_a_link_to_another_model_computes_nothing(open_page: Any) -> None:
    _, desk = open_page(model="someone/model", alpha="0.1")
    assert desk.submissions == []


def test_other_settings_wait_for_the_button(open_page: Any) -> None:
    page, desk = open_page(alpha="0.1")
    page.slider(key=ALPHA).set_value(0.2).run()
    assert len(asked(desk)) == 1
    page.button(key="regularise").click().run()
    assert [one.alpha for one in asked(desk)] == [0.1, 0.2]
    assert link(page, "alpha") == ["0.2"]


def test_another_case_is_not_compared_unasked_but_measuring_faithfulness_keeps_the_comparison(open_page: Any) -> None:
    page, desk = open_page(alpha="0.1", view="effects")
    page.button(key="measure").click().run()
    assert link(page, "alpha") == ["0.1"]
    address = {name: link(page, name)[0] for name in page.query_params}
    page, desk = open_page(**address | {"view": "steadier"})
    assert compared(page)
    page.number_input(key="in-demos").set_value(4).run()
    page.button(key="run").click().run()
    assert len(asked(desk)) == 1
    assert "alpha" not in page.query_params
    assert not compared(page)
    assert page.slider(key=ALPHA).value == 0.1
    assert not page.button(key="regularise").disabled


def test_running_failed_and_refused_are_said_calmly(open_page: Any) -> None:
    page, desk = open_page("running", alpha="0.1")
    page.button(key="cancel-regularised").click().run()
    assert len(desk.cancelled) == 1
    page, _ = open_page("failed", alpha="0.1")
    assert "layer 99 does not exist" in words(page)
    assert not page.button(key="start-regularised").disabled
    page, desk = open_page()

    def refuse(task: Any) -> str:
        raise WorkerError("50 jobs wait already")

    page.slider(key=ALPHA).set_value(0.1).run()
    desk.submit = refuse
    page.button(key="regularise").click().run()
    assert "50 jobs wait already" in words(page)
    assert "alpha" not in page.query_params


def test_without_demonstrations_there_is_nothing_to_change(open_page: Any) -> None:
    page, _ = open_page(demos="0")
    assert "regularise" not in {button.key for button in page.button}


def test_hostile_titles_stay_literal() -> None:
    lines = (CHARTS.line("a", CHARTS.HOSTILE, 1, 2), CHARTS.line("b", "Heat", 2, 1, is_target=True))
    told = regularised.sentence(CHARTS.changed_report(lines))
    assert "<b>" not in told
    assert "<a " not in told
    assert "rises from 2nd to 1st" in told
    still = regularised.sentence(CHARTS.changed_report((CHARTS.line("a", "Heat", 1, 1, is_target=True),)))
    assert "<em><bdi>Heat</bdi></em> keeps the first place; 0 of 1 candidates change their place." in still
    assert "stays 1st" in still

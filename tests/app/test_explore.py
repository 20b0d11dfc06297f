"""Every state of the Explore page, with a desk that only pretends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import screens
from streamlit.testing.v1 import AppTest

from app import cached
from app.charts import ranks
from app.pages.explore import demos
from app.pages.explore.candidates import in_view
from app.pages.explore.depth import DEPTHS
from core import columns
from core.analysis.explain.explain_task import Explain
from core.data.strategies import STRATEGIES
from core.errors import DataError, WorkerError
from core.question.case_spec import CaseSpec

NOBODY = "user none has no interaction; expected a user with two"
SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")


@pytest.fixture
def open_page(monkeypatch, example, stand_in, opened):
    """Start the page: `open_page(desk, user="7")`."""

    def start(desk=None, **query: str) -> AppTest:
        desk = desk or example.FakeDesk()
        preview = example.preview
        stand_in(
            desk,
            users=[("12", 51), ("7", 40), ("none", 0)],
            preview=lambda task: NOBODY if task.case.user == "none" else preview(task),
        )
        page = AppTest.from_file(SCRIPT, default_timeout=60)
        opened(page, query)
        return page.run()

    return start


def link(page: AppTest, name: str) -> list[str]:
    """The values of one parameter in the address bar."""
    value = page.query_params[name]
    return value if isinstance(value, list) else [value]


def words(page: AppTest) -> str:
    """All HTML text of the page, tags taken out."""
    assert not page.exception, page.exception
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in page.get("html")))


def test_first_visit_shows_the_finished_example(open_page):
    page = open_page()
    told = words(page)
    assert "ranks 7th of 20, down from 3rd" in re.sub(r"\s+", " ", told)
    assert "effects fair, LDS 0.62" in told
    assert "differ from plain passes by at most 0.00030 % of their spread; beyond 0.1 % the model is refused" in told
    assert len(page.get("plotly_chart")) == 1
    assert all(chart.proto.alt for chart in page.get("plotly_chart"))
    assert (link(page, "v"), link(page, "user")) == (["3"], [CaseSpec().user])
    assert len(page.query_params) == 2
    assert page.button(key="run").disabled


def test_every_number_of_the_waterfall_is_the_records_own(open_page, complete):
    spec = open_page().get("plotly_chart")[0].proto.spec
    for value in complete.contributions.values:
        assert str(value) in spec


def test_a_link_rebuilds_choices_and_selection(open_page):
    page = open_page(user="7", demos="4", demo="3", item="105")
    assert page.selectbox(key="in-user").value == "7"
    assert page.number_input(key="in-demos").value == 4
    assert page.session_state["pick-demo"] == "D3"
    assert page.selectbox(key="pick-item").value == "105"
    assert "D3" in words(page)
    assert link(page, "user") == ["7"]


def test_selecting_by_keyboard_moves_every_view_and_the_link(open_page):
    page = open_page(view="prompt")
    page.selectbox(key="pick-item").set_value("104").run()
    assert link(page, "item") == ["104"]
    next(group for group in page.get("button_group") if group.key == "pick-demo").set_value("D5").run()
    assert link(page, "demo") == ["5"]
    told = re.sub(r"\s+", " ", words(page))
    assert "dl-chosen" in " ".join(element.proto.body for element in page.get("html"))
    assert re.search(r"D5 .* (raises|lowers) Usual Suspects, The \(1995\) against the other candidates by", told)
    page.button(key="clear-selection").click().run()
    assert "demo" not in page.query_params
    assert "item" not in page.query_params


def test_a_wrong_link_gives_defaults_and_one_notice(open_page):
    page = open_page(demos="-4", strategy="magic", foo="1", demo="zero")
    told = words(page)
    assert "Part of this link could not be used (strategy, demos, demo, foo)" in re.sub(r"\s+", " ", told).replace(
        "demos, strategy", "strategy, demos"
    )
    assert page.number_input(key="in-demos").value == CaseSpec().demos


def test_a_selection_beyond_the_result_is_ignored(open_page):
    page = open_page(demo="31", item="no-such")
    assert page.session_state["pick-demo"] is None
    assert not page.exception


def test_changed_choices_wait_for_run(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk)
    page.number_input(key="in-demos").set_value(4).run()
    assert len(desk.submissions) == 1
    assert "Next run" in words(page)
    assert "Settings changed: this result, dimmed, is of the settings before" in words(page)
    page.button(key="run").click().run()
    assert "dimmed" not in words(page)
    assert len(desk.submissions) == 2
    assert link(page, "demos") == ["4"]


def test_many_reruns_start_nothing(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk)
    for value in range(1, 8):
        page.number_input(key="in-demos").set_value(value).run()
    assert len(desk.submissions) == 1


def test_measuring_faithfulness_asks_for_the_same_case(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk)
    page.button(key="measure").click().run()
    assert link(page, "faithfulness") == ["32"]
    assert "32 text ablations" in words(page)


def test_queued(open_page, example):
    page = open_page(example.FakeDesk(state="queued"), user="7")
    assert "2 jobs ahead" in page.get("progress")[0].proto.text
    assert "recommendations come first" in words(page)
    assert "Title 2" in words(page)


def test_the_model_is_being_loaded(open_page, example):
    page = open_page(example.FakeDesk(state="starting"), user="7")
    assert "The model is being loaded" in page.get("progress")[0].proto.text


def test_running_shows_what_is_there(open_page, example):
    page = open_page(example.FakeDesk(state="running"), user="7")
    progress = page.get("progress")[0].proto
    assert "about 8.0 s to go" in progress.text
    assert progress.value == 40
    assert "ranks 7th of 20" in re.sub(r"\s+", " ", words(page))
    assert not page.get("plotly_chart")


def test_cancel_keeps_what_was_found(open_page, example):
    desk = example.FakeDesk(state="running")
    page = open_page(desk, user="7")
    page.button(key="cancel").click().run()
    assert desk.cancelled
    told = words(page)
    assert "Cancelled" in told
    assert "not complete" in told
    assert not page.button(key="run").disabled


def test_failed_says_what_and_what_next(open_page, example):
    page = open_page(example.FakeDesk(state="failed"), user="7")
    told = words(page)
    assert "holds no weights" in told
    assert "error E-3F9A" in told
    assert "press Run to try again" in told
    assert not page.button(key="run").disabled


def test_a_link_to_another_model_asks_first(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk, model="someone/model")
    assert len(desk.submissions) == 0
    assert "only when you agree" in words(page)
    page.button(key="run").click().run()
    assert len(desk.submissions) == 1


def test_a_full_queue_is_said_calmly(open_page, example):
    desk = example.FakeDesk()

    def refuse(request):
        raise WorkerError("50 jobs wait already")

    desk.submit = refuse
    assert "50 jobs wait already" in words(open_page(desk, user="7"))


def test_unreadable_data_is_said_calmly(open_page, monkeypatch):
    page = open_page()

    def gone(name, search, limit):
        raise DataError("data set 'x' does not exist")

    monkeypatch.setattr(cached, "users", gone)
    page.run()
    assert "does not exist" in words(page)


def test_choices_that_cannot_be_run_say_why(open_page):
    page = open_page()
    page.selectbox(key="in-user").set_value("none").run()
    assert "has no interaction" in words(page)


def test_no_demonstrations(open_page):
    told = words(open_page(demos="0"))
    assert "without any demonstration" in told
    assert "zero-shot ranking" in told


def test_a_weak_explanation_says_so(open_page, example):
    assert "This explanation is weak" in words(open_page(example.FakeDesk(lds=0.12)))


def test_unmeasured_faithfulness_says_so(open_page, example):
    assert "not measured yet" in words(open_page(example.FakeDesk(lds=None)))


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![p](http://127.0.0.1:9/p.png)",
    ":red[x] $x$",
    "**bold**",
    "Hamlet",
    "Hamlet",
    "=HYPERLINK(1)",
    "\u202egnp.exe",
    "x" * 10_000,
    "",
    "שלום",
]


def test_hostile_titles_are_literal(open_page, example):
    page = open_page(example.FakeDesk(titles=HOSTILE))
    assert not page.exception
    markup = " ".join(element.proto.body for element in page.get("html"))
    assert "<script" not in markup
    assert "<img" not in markup
    assert "\u202e" not in markup
    options = page.selectbox(key="pick-item").options
    assert len(options) == len(set(options)) == 20
    assert not any("](" in option or "<script" in option for option in options)


def test_demonstrations_that_the_model_picks_are_announced_while_the_run_waits(open_page, example):
    page = open_page(example.FakeDesk(state="queued"), user="7", strategy="semantic", demos="3", run="1")
    assert "3 demonstrations, picked by the model when this runs" in words(page)


@pytest.mark.parametrize(("view", "panel"), [("effects", "waterfall"), ("candidates", "matrix"), ("layers", "layers")])
def test_every_chart_has_a_table_twin_in_its_tab(open_page, view, panel):
    page = open_page(view=view)
    assert len(page.get("plotly_chart")) == 1
    page.session_state[f"form-{panel}"] = "Table"
    page.run()
    assert not page.exception
    assert not page.get("plotly_chart")
    assert len(page.dataframe) == 2


def test_only_the_open_tab_is_drawn_and_the_link_names_it(open_page):
    page = open_page()
    assert "view" not in page.query_params
    assert "tokens, with the explained candidate" not in words(page)
    page = open_page(view="prompt")
    assert "tokens, with the explained candidate" in words(page)
    assert link(page, "view") == ["prompt"]
    assert not page.get("plotly_chart")
    assert "Part of this link could not be used (view)" in words(open_page(view="nothing"))


def test_every_tab_can_be_opened(open_page):
    for row in DEPTHS:
        page = open_page(view=row.name)
        assert not page.exception, row.name
        assert row.words in [pane.label for pane in page.tabs]


def test_other_data_bring_their_own_user_and_forget_what_was_named_by_id(open_page, monkeypatch):
    page = open_page(user="7", target="103", against="104", **{"with": "7:1", "strategy": "manual"})
    monkeypatch.setattr(cached, "first_user", lambda name, split: "anna")
    page = screens.typed(page, "in-dataset", "/data/books")
    draft = page.session_state["view"].current.draft
    case = draft.case
    assert (case.dataset, case.user, case.strategy) == ("/data/books", "anna", CaseSpec().strategy)
    assert case.demo_ids is case.candidate_ids is draft.target is draft.against is None


def test_the_pickers_offer_the_candidates_that_would_be_ranked(open_page, example):
    page = open_page(example.FakeDesk(titles=["Of the old result"] * 28))
    options = page.selectbox(key="in-target").options
    assert len(options) == 21
    assert "Heat (1995) · 100" in options
    assert not any("old result" in option for option in options)
    assert "user 7" not in words(page)


def test_what_cannot_be_run_is_said_beside_a_disabled_run(open_page):
    page = open_page()
    page.selectbox(key="in-user").set_value("none").run()
    assert page.button(key="run").disabled
    assert "This cannot be run: user none has no interaction" in re.sub(r"\s+", " ", words(page))


@pytest.mark.parametrize(
    ("key", "name", "reason"),
    [
        ("in-model", "/no/such/model", "no such folder or file"),
        ("in-model", "someone/never-fetched", "not in the local cache"),
        ("in-model", "FOLDER", "no config.json"),
    ],
)
def test_a_typed_model_is_checked_before_run(open_page, tmp_path, monkeypatch, key, name, reason):
    monkeypatch.delenv("DEMOLENS_ALLOW_HUB", raising=False)
    page = open_page()
    page.text_input(key=key).set_value(name.replace("FOLDER", str(tmp_path))).run()
    assert page.button(key="run").disabled
    assert reason in words(page)
    page.text_input(key=key).set_value("sample").run()
    assert "cannot be run" not in words(page)


def test_a_model_that_only_a_link_names_is_not_looked_at(open_page, monkeypatch):
    monkeypatch.setattr(cached, "material_fault", lambda request: pytest.fail("the disk was asked"))
    page = open_page(model="/no/such/model")
    assert not page.button(key="run").disabled


def test_a_failed_run_leaves_the_result_before_it_in_view(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk)
    before, found = page.session_state["view"].current.key, desk.job
    done = desk.job(before)
    desk.job = lambda key: done if key == before else found(key)
    desk.state = "failed"
    page.number_input(key="in-demos").set_value(4).run()
    page.button(key="run").click().run()
    told = re.sub(r"\s+", " ", words(page))
    assert "This could not be computed" in told
    assert "The result before this one: User 135" in told
    assert "ranks 7th of 20" in told


def test_a_failed_run_on_arrival_shows_what_the_model_would_have_read(open_page, example):
    told = words(open_page(example.FakeDesk(state="failed"), user="7"))
    assert "Title 2" in told


def test_cancelled_is_said_once(open_page, example):
    desk = example.FakeDesk(state="running")
    page = open_page(desk, user="7")
    found = desk.job
    desk.job = lambda key: (job := found(key)) and example.replace(job, sentence="cancelled")
    page.button(key="cancel").click().run()
    assert words(page).casefold().count("cancelled") == 1


def test_a_long_list_begins_with_the_target_and_the_chosen_candidate(example):
    record = example.explanation(Explain(case=CaseSpec(candidates=40)))
    table = ranks.table(record)
    shown = in_view(table, "130")
    assert list(shown[columns.ITEM])[:2] == ["106", "130"]
    assert sorted(shown[columns.ITEM]) == sorted(table[columns.ITEM])
    short = ranks.table(example.explanation())
    assert in_view(short, "115") is short


def test_the_order_of_the_bars_is_offered_beside_the_bars_only(open_page):
    page = open_page()
    assert len([group for group in page.get("button_group") if group.key == "order"]) == 1
    page.session_state["form-waterfall"] = "Table"
    page.run()
    assert not [group for group in page.get("button_group") if group.key == "order"]


def test_the_history_opens_at_its_newest_end(open_page):
    page = open_page()
    strip = next(element.proto.body for element in page.get("html") if "<ol" in element.proto.body)
    days = re.findall(r"\d{4}-\d\d-\d\d", strip)
    assert len(days) == 13
    assert days[1:] == sorted(days[1:], reverse=True)  # The first is the moment of the choice itself.


def test_a_list_shorter_than_asked_for_says_so(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk)
    assert "asked for" not in words(page)
    job_of, count = desk.job, CaseSpec().demos
    more = Explain(case=CaseSpec(candidates=25, demos=count + 1))
    desk.job = lambda key: (
        (job := job_of(key)) and example.replace(job, report=job.report.model_copy(update={"task": more}))
    )
    told = words(page.run())
    assert "Only 20 of the 25 asked for. ◆ really chosen next." in told
    assert f"Only {count} of the {count + 1} asked for. In prompt order." in told


OTHER = {
    "in-wording": "implicit",
    "in-template": "upload",
    "in-user": "7",
    "in-split": "time",
    "in-strategy": "mixed",
    "in-order": "nearest_first",
    "in-family": "yes_no",
    "in-method": "path",
    "in-target": "103",
    "in-against": "104",
    "in-explain": "score",
    "in-sampling": "popularity",
    "in-scoring": "mean",
    "in-device": "cpu",
    "in-dtype": "float32",
    "in-adapter-kind": "folder",
    "in-model": "/no/model",
    "in-dataset": "/no/data",
    "in-cases": "/no/cases.jsonl",
}


def test_every_control_of_the_side_bar_is_answered(open_page):
    page = open_page()
    keys = [each.key for kind in KINDS for each in getattr(page.sidebar, kind)]
    assert len(keys) > 18
    for key in keys:
        before = page.session_state["view"].current.draft, len(page.text_input)
        control = next(each for kind in KINDS for each in getattr(page.sidebar, kind) if each.key == key)
        if key in ("in-dataset", "in-cases"):
            screens.typed(page, key, OTHER[key])
        else:
            control.set_value(OTHER.get(key) or _moved(control.value)).run()
        if key == "in-cases":  # A case file that cannot be read changes nothing, and is said.
            assert "cases.jsonl: cannot be read" in words(page)
            continue
        if key == "in-template":  # The option waits for a file.
            assert page.file_uploader(key="template-file").label == "Template file"
            continue
        assert (page.session_state["view"].current.draft, len(page.text_input)) != before, key
        assert "Settings changed" in words(page) or "cannot be run" in words(page), key


@pytest.mark.parametrize(
    "row", [row for row in STRATEGIES.values() if row.choose is not None], ids=lambda row: row.name
)
def test_the_picker_of_a_strategy_says_what_its_row_says(open_page, row):
    page = open_page(strategy=row.name)
    picker = page.selectbox(key="in-strategy")
    assert picker.value == row.name
    assert row.words in picker.options
    assert all(part in picker.help for part in (row.nearest, row.before, row.cost))
    assert ("in-each" in [number.key for number in page.number_input]) == row.several


def test_order_and_choices_of_each_neighbour_reach_the_task_and_the_link(open_page, example):
    desk = example.FakeDesk()
    page = open_page(desk, user="7", strategy="neighbours")
    page.selectbox(key="in-order").set_value("nearest_first").run()
    page.number_input(key="in-each").set_value(2).run()
    page.button(key="run").click().run()
    case = desk.submissions[-1].case
    assert (case.strategy, case.order, case.each) == ("neighbours", "nearest_first", 2)
    assert (link(page, "order"), link(page, "each")) == (["nearest_first"], ["2"])


def test_demonstrations_by_hand_have_no_order_to_choose(open_page):
    page = open_page(**{"user": "7", "with": "7:1", "strategy": "manual"})
    assert page.selectbox(key="in-order").disabled
    page.button(key="back-to-strategy").click().run()
    assert page.session_state["view"].current.draft.case.strategy == CaseSpec().strategy
    assert not page.selectbox(key="in-order").disabled


def test_demonstrations_that_show_a_candidate_are_marked(open_page, example):
    record = example.explanation(Explain(case=CaseSpec(demos=4)))
    target = next(row for row in record.candidates if row.is_target)
    other = record.candidates[0]
    shows = [(), (other.item_id, target.item_id), (), (other.item_id,)]
    rows = tuple(row.model_copy(update={"shows": ids}) for row, ids in zip(record.demos, shows, strict=True))
    marked = record.model_copy(update={"demos": rows})
    titles = ["", f"\u25c6 chosen next: {target.title}; \u25c7 {other.title}", "", f"\u25c7 {other.title}"]
    assert list(demos.table(marked)["shows"]) == titles
    desk = example.FakeDesk()
    page = open_page(desk)
    assert "a candidate;" not in words(page)
    job_of = desk.job
    desk.job = lambda key: (job := job_of(key)) and example.replace(job, report=marked)
    sentence = "2 of 4 demonstrations show a candidate; D2 shows the item really chosen next."
    assert sentence in words(page.run())


KINDS = ("selectbox", "number_input", "toggle", "text_input")


def _moved(value):
    return not value if isinstance(value, bool) else value + 1

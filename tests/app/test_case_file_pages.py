"""Every page that takes a case from a file: its report is of the tiny model, and its words fit a finished prompt."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from logged_cases import INSTRUCTION, case, case_file, part
from references import language_model
from streamlit.testing.v1 import AppTest

from app import cached
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import open_cases, taken_in
from core.question.kinds import run

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
FILMS = ("Tin Harbour", "Iron Lullaby", "Paper Moons", "Blue Kettle", "North Lamp", "Quiet Ox", "Salt Parade")
OF_DATA = re.compile(r"\busers?\b|really chosen|strategy|this moment|known choice|newer choice", re.IGNORECASE)
"""Words that mean nothing to a finished prompt."""
PAGES = ("robustness", "improve", "theory")


def call(number: int) -> PromptCase:
    """A prompt with two demonstrations that no other call has."""
    films = [FILMS[(number + step) % len(FILMS)] for step in range(4)]
    shown = [
        piece
        for n in (1, 2)
        for piece in (
            part("demo", f'Liked: "{films[n]}". Next: "{films[n - 1]}"?\nOutput: Yes', n),
            part("pinned", "\n"),
        )
    ]
    query = [part("query", "Liked: "), part("history", f'"{films[3]}", ', 1), part("history", '"Alien"', 2)]
    end = part("query", f'. Next: "{films[0]}"?\nOutput:')
    return case(f"call {number}", [part("pinned", INSTRUCTION + "\n"), *shown, *query, end])


@pytest.fixture
def page(
    example: Any, stand_in: Any, tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    """Explore with a case file chosen; every kind of question is answered by the tiny model."""
    model = language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
    reports: dict[str, Any] = {}

    class TinyDesk(example.FakeDesk):
        def job(self, key: str) -> Any:
            task = self.tasks.get(key)
            if task is None or task.case.cases is None:
                return super().job(key)
            if key not in reports:
                *_, reports[key] = run(task, dataset=open_cases(task.case.cases), model=model)
            return example.FakeJob(key, "done", task, reports[key], fraction=1.0, elapsed=1.0)

    preview, replacements = cached.preview, cached.replacements
    stand_in(TinyDesk(), preview=lambda task: preview(task) if task.case.imported else example.preview(task))
    monkeypatch.setattr("app.cached.replacements", replacements)
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    path = case_file(tmp_path, *map(call, range(6)))
    page = AppTest.from_file(SCRIPT, default_timeout=240)
    for name, value in {"v": "3", "cases": taken_in(str(path)), "case": "call 0"}.items():
        page.query_params[name] = value
    return page.run()


def words(page: AppTest) -> str:
    """All text of the page but the glossary, which explains every word of every page."""
    assert not page.exception, page.exception
    texts = [element.proto.body for element in page.get("html")]
    return re.sub(r"<[^>]+>", " ", " ".join(text for text in texts if "dl-terms" not in text))


@pytest.mark.parametrize("name", PAGES)
def test_each_page_answers_in_words_of_a_finished_prompt(page: AppTest, name: str) -> None:
    page = page.switch_page(f"app/pages/{name}/page.py").run()
    assert "Not run yet" in words(page)
    page.button(key="run").click().run()
    text = words(page)
    assert "Where this comes from" in text
    assert "Case call 0 in calls.jsonl" in " ".join(text.split())
    assert OF_DATA.findall(text) == []
    assert text.count("A finished prompt is run in its own words") <= 1
    assert page.query_params["cases"] == page.session_state["view"].current.draft.case.cases
    assert "user" not in page.query_params


def test_a_better_set_is_taken_to_explore(page: AppTest) -> None:
    page = page.switch_page("app/pages/improve/page.py").run()
    page.button(key="run").click().run()
    text = words(page)
    assert "other cases of the file, each with its own question and its own options" in text
    assert "Place of the true answer" in text
    page.button(key="adopt").click().run()
    case = page.session_state["view"].tasks["explain"].draft.case
    assert case.demo_ids
    assert {demo_id.rpartition(":")[0] for demo_id in case.demo_ids} <= {f"call {n}" for n in range(6)}
    assert "chosen by hand" in words(page)

"""The page Prompts in a real browser: from a dropped file to bars, and cuts mended by mouse and by keyboard."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from browser.driving import MARKS, WAIT, headline, idle
from logged_cases import case, case_file, part, text_case, text_demo

from bench.product.app_server import APP, serving
from core.prompt.imported.stored_cases import remove_stored, stored_files

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = MARKS
CALLS = 1000
GUARD = 600.0
"""Seconds; the aim is 60 on a machine that does nothing else."""
FILMS = ("Tin Harbour", "Paper Moons", "Glass Orchard", "Iron Lullaby", "Salt Parade", "Blue Kettle", "North Lamp")
HOSTILE = "<img src=x onerror=alert(1)> <script>alert(1)</script> \u202egnp.exe \u200f"


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory):
    """Its jobs are done at once; it keeps what it takes in in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        with serving("tests/browser/fake_app.py", "PORT", "0") as running:
            yield running.address


@pytest.fixture
def whole_server():
    """The dashboard itself, with the sample model; what it takes in is removed again."""
    before = {row.name for row in stored_files()}
    with serving(*APP, wait_seconds=GUARD) as running:
        yield running.address
    for row in stored_files():
        if row.name not in before:
            remove_stored(row.name)


def drop(page, path: Path) -> None:
    """Hand a file in; the first case is there when this returns."""
    page.locator("h1.dl-headline").wait_for()
    page.locator('input[type="file"]').set_input_files(path)
    page.locator(".dl-cuts .dl-cut").first.wait_for(timeout=4 * WAIT)
    idle(page)


def kinds(page, *labels: str) -> None:
    """Wait until the parts have these labels."""
    sync_api.expect(page.locator(".dl-cuts .dl-cut-tag strong")).to_have_text(list(labels), timeout=WAIT)
    idle(page)


def explain(page) -> None:
    page.locator(".st-key-prompts-explain button:visible").click()


# ---- from a dropped file to bars


def call(number: int) -> str:
    """A logged call with five demonstrations of some hundred tokens each."""
    shots = []
    for place in range(5):
        liked = ", ".join(f'"{FILMS[(number + place + step) % 7]} {1960 + number % 50 + step}"' for step in range(8))
        shots.append((f'The user liked {liked}. Would the user like "{FILMS[place]}"?', "Yes" if place % 2 else "No"))
    query = f'The user liked "{FILMS[number % 7]}", "Alien {number}". Would the user like "Fargo"?'
    turns = [("system", "You recommend films. Answer Yes or No.")]
    turns += [turn for ask, answer in shots for turn in (("user", ask), ("assistant", answer))]
    turns += [("user", query), ("assistant", "Yes" if number % 2 else "No")]
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})


@pytest.mark.sample
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_dropped_file_to_bars(whole_server, visit, tmp_path):
    path = tmp_path / "thousand.jsonl"
    path.write_text("".join(f"{call(number)}\n" for number in range(CALLS)))
    page = visit(f"{whole_server}/prompts")
    page.locator("h1.dl-headline").wait_for(timeout=4 * WAIT)
    idle(page)
    start, clicks = time.monotonic(), 0
    drop(page, path)
    clicks += 1
    page.locator("h1.dl-headline", has_text=f"{CALLS:,} prompts of thousand.jsonl").wait_for()
    imported = time.monotonic() - start
    explain(page)
    clicks += 1
    page.locator(".dl-demos .dl-bar .dl-part").first.wait_for(timeout=1000 * GUARD)
    seconds = time.monotonic() - start
    sync_api.expect(page.locator(".dl-demos tbody tr")).to_have_count(5, timeout=WAIT)
    idle(page)
    print(f"{clicks} clicks, {seconds:.0f} s to bars, {imported:.0f} s of them for the import")
    assert clicks <= 3
    assert seconds <= GUARD


# ---- cuts


def merged(tmp_path: Path) -> Path:
    """A case whose second demonstration stands in the first one's part."""
    parts = [
        part("pinned", "Answer Yes or No.\n\n"),
        part("demo", f"{text_demo(1)}\n\n{text_demo(2)}\n\n", 1),
        part("query", "Input: Liked: Alien. Next: Fargo?\nOutput:"),
    ]
    return case_file(tmp_path, case("merged", parts), name="merged.jsonl")


def place_of(page, place: int, words: str) -> tuple[float, float]:
    """The left end of some words of a part, on the screen."""
    box = page.evaluate(
        """([place, words]) => {
            const text = document.querySelector(`[data-place="${place}"] .dl-cut-text`);
            text.scrollIntoView({block: 'center'});
            const node = text.firstChild, at = node.data.indexOf(words);
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            const box = range.getBoundingClientRect();
            return {x: box.x, y: box.y + box.height / 2};
        }""",
        [place, words],
    )
    return box["x"], box["y"]


def test_a_wrong_cut_is_mended_by_mouse_in_three_actions(quick_server, visit, tmp_path):
    page = visit(f"{quick_server}/prompts", width=390, dark=True)
    drop(page, merged(tmp_path))
    kinds(page, "Pinned text", "Demonstration 1", "Query")
    page.mouse.click(*place_of(page, 1, "Example 2"))
    page.locator(".dl-cut-tool", has_text="Split before “Example 2:").click()
    kinds(page, "Pinned text", "Demonstration 1", "Demonstration 1, continued", "Query")
    page.locator(".dl-cut-tool", has_text="Demonstration").first.click()
    kinds(page, "Pinned text", "Demonstration 1", "Demonstration 2", "Query")
    explain(page)
    assert "ranks" in headline(page)
    assert "cases=" in page.url


def test_a_wrong_cut_is_mended_by_keyboard(quick_server, visit, tmp_path):
    page = visit(f"{quick_server}/prompts")
    drop(page, merged(tmp_path))
    text = page.locator('[data-place="1"] .dl-cut-text')
    text.focus()
    page.keyboard.press("Control+Home")
    for _ in range(len(text_demo(1)) + 2):
        page.keyboard.press("ArrowRight")
    page.keyboard.type("xyw")  # Nothing can be written into a prompt.
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    kinds(page, "Pinned text", "Demonstration 1", "Demonstration 1, continued", "Query")
    sync_api.expect(page.locator('[data-place="2"] .dl-cut-text')).to_be_focused()
    page.keyboard.press("d")
    kinds(page, "Pinned text", "Demonstration 1", "Demonstration 2", "Query")
    assert text.inner_text().strip() == text_demo(1)
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("j")
    kinds(page, "Pinned text", "Demonstration 1", "Query")
    page.keyboard.press("Control+z")
    kinds(page, "Pinned text", "Demonstration 1", "Demonstration 2", "Query")


def test_hostile_and_very_long_texts_are_drawn_as_texts(quick_server, visit, tmp_path):
    parts = [part("pinned", HOSTILE * 3), part("demo", "a\U0001f600" * 4000, 1), part("query", "Next?\nOutput:")]
    bad = case(HOSTILE, parts, options=(("a", HOSTILE), ("b", "No")), target="a")
    page = visit(f"{quick_server}/prompts", width=390)
    drop(page, case_file(tmp_path, bad, text_case("other"), name="bad.jsonl"))
    cuts = page.locator(".dl-cuts")
    assert cuts.locator("img, script").count() == 0
    assert "\u202e" not in cuts.inner_text()
    assert cuts.locator(".dl-atom", has_text="U+202E").count() == 3
    page.locator(".dl-cut-more", has_text="more characters").click()
    assert page.locator('[data-place="1"] .dl-cut-text').inner_text() == "a\U0001f600" * 4000

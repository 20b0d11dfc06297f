"""The table of demonstrations in a real browser: selected, left out, moved by keys and by drag, replaced, run."""

from __future__ import annotations

import json
import re

import pytest
from browser.driving import MARKS, WAIT, headline, link

from bench.product.app_server import serving
from bench.product.presses import idle

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = MARKS


@pytest.fixture(scope="module")
def quick_server():
    """Its jobs are done at once."""
    with serving("tests/browser/fake_app.py", "PORT", "0") as running:
        yield running.address


def row(page, label: str):
    return page.locator(".dl-demos tbody tr", has=page.locator(".dl-label", has_text=re.compile(f"^{label}$")))


def in_order(page, *labels: str) -> None:
    """Wait until the rows stand in this order."""
    sync_api.expect(page.locator(".dl-demos .dl-label")).to_have_text(list(labels), timeout=WAIT)


def line(page, text: str):
    """The sentence of what was changed, once it says this."""
    page.locator(".dl-unrun", has_text=text).wait_for()
    idle(page)


def drag(page, label: str, onto: str) -> None:
    """Hold a row by its handle and let go in the middle of another one."""
    row(page, label).evaluate("node => node.scrollIntoView({block: 'center'})")
    start = row(page, label).locator(".dl-handle").bounding_box()
    end = row(page, onto).bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    below = end["y"] > start["y"]
    page.mouse.move(start["x"] + 4, end["y"] + end["height"] * (0.6 if below else 0.4), steps=6)
    page.mouse.up()


def opened(visit, address: str, **window):
    page = visit(address, **window)
    headline(page)
    page.locator(".dl-demos tbody tr").first.wait_for()
    idle(page)
    return page


def test_selected_left_out_and_moved_by_keys_and_by_drag(quick_server, visit):
    page = opened(visit, f"{quick_server}/?v=2&user=7&family=yes_no&demos=5")
    box = page.locator(".dl-demos").bounding_box()
    assert 600 <= box["width"] <= 760
    row(page, "D2").focus()
    page.keyboard.press("Enter")
    link(page, "demo=2")
    sync_api.expect(row(page, "D2")).to_have_attribute("aria-selected", "true")
    row(page, "D4").locator(".dl-name").click()
    link(page, "demo=4")
    idle(page)
    page.keyboard.press("Alt+ArrowUp")
    in_order(page, "D1", "D2", "D4", "D3", "D5")
    line(page, "D4 moved: not run yet")
    sync_api.expect(row(page, "D4")).to_be_focused()
    page.keyboard.press("ArrowUp")
    sync_api.expect(row(page, "D2")).to_be_focused()
    page.keyboard.press(" ")
    line(page, "1 left out, D4 moved: not run yet")
    sync_api.expect(row(page, "D2").get_by_role("checkbox")).not_to_be_checked()
    drag(page, "D5", onto="D1")
    in_order(page, "D5", "D1", "D2", "D4", "D3")
    line(page, "1 left out, D5 moved, D4 moved")


def test_undone_answered_and_run(quick_server, visit):
    page = opened(visit, f"{quick_server}/?v=2&user=7&family=yes_no&demos=5")
    row(page, "D2").get_by_role("checkbox").uncheck()
    line(page, "1 left out")
    page.locator(".st-key-undo-demos button").click()
    page.locator(".dl-unrun").wait_for(state="detached")
    in_order(page, "D1", "D2", "D3", "D4", "D5")
    drag(page, "D1", onto="D3")
    line(page, "D1 moved")
    row(page, "D3").get_by_role("checkbox").uncheck()
    line(page, "1 left out, D2 moved")  # Without D3 either of the two explains the order.
    row(page, "D2").get_by_role("button", name="Answer of D2").click()
    line(page, "D2 answered")
    assert "with=" not in page.url
    page.locator(".st-key-use-demos button").click()
    address = link(page, "with=")
    assert re.findall(r"with=7%3A(\d+)(%3A\w+)?", address) == [("19", "%3Ano"), ("20", ""), ("17", ""), ("16", "")]
    page.locator(".dl-unrun").wait_for(state="detached")
    in_order(page, "D1", "D2", "D3", "D4")


def test_a_drag_that_is_broken_off_changes_nothing(quick_server, visit):
    page = opened(visit, f"{quick_server}/?v=2&user=7&demos=4")
    row(page, "D1").evaluate("node => node.scrollIntoView({block: 'center'})")
    start, end = row(page, "D1").locator(".dl-handle").bounding_box(), row(page, "D4").bounding_box()
    page.mouse.move(start["x"] + 4, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(start["x"] + 4, end["y"] + end["height"] * 0.8, steps=6)
    in_order(page, "D2", "D3", "D4", "D1")
    page.keyboard.press("Escape")
    in_order(page, "D1", "D2", "D3", "D4")
    page.mouse.up()
    idle(page)
    assert page.locator(".dl-unrun").count() == 0


@pytest.mark.sample
def test_a_demonstration_is_replaced_by_one_found_by_its_title_on_a_narrow_screen(quick_server, visit):
    page = opened(visit, f"{quick_server}/?v=2&user=12&family=yes_no&demos=4&demo=2", width=390, dark=True)
    name, effect = (row(page, "D1").locator(part).bounding_box() for part in (".dl-name", ".dl-bar"))
    assert effect["y"] >= name["y"] + name["height"]
    assert effect["x"] + effect["width"] <= 390
    page.locator(".st-key-pool-demos button").click()
    field = page.locator(".st-key-demos-pool input")
    field.wait_for()
    page.locator(".dl-note", has_text="Predicted from the 4 measured demonstrations").wait_for()
    idle(page)
    field.evaluate("node => node.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(500)  # Scrolling closes a list that is open.
    field.press("ArrowDown")
    page.locator('[role="option"]').first.wait_for()
    effects = re.findall(r"· ([+\u2212]\d\.\d\d) \(", "\n".join(page.locator('[role="option"]').all_inner_texts()))
    assert len(effects) > 3
    field.press("Enter")
    page.locator(".dl-note", has_text="Predicted effect of").wait_for()
    idle(page)
    page.locator(".st-key-replace-demo button").click()
    line(page, "1 left out, 1 added: not run yet")
    in_order(page, "D1", "D2", "+", "D3", "D4")
    added = page.locator(".dl-demos tr.dl-added")
    assert "effect predicted" in added.inner_text()
    assert added.locator(".dl-part.dl-predicted").count() == 1


HOSTILE = ["", "<b>bold</b>", "", "", "\u202egnp.exe", "", "", "<img src=x onerror=alert(1)>", "", "", "x" * 300]
"""Of the stand-in's demonstrations each third has its title in the table."""


@pytest.fixture
def hostile_server():
    with serving("tests/browser/fake_app.py", "PORT", "0", json.dumps({"titles": HOSTILE})) as running:
        yield running.address


def test_hostile_titles_stay_texts_in_the_table(hostile_server, visit):
    page = opened(visit, f"{hostile_server}/?v=2&user=7&demos=4", width=390)
    table = page.locator(".dl-demos")
    assert table.locator("img, b, script").count() == 0
    titles = table.locator(".dl-name").all_text_contents()
    assert titles == ["<b>bold</b>", "\u27e6U+202E\u27e7gnp.exe", "<img src=x onerror=alert(1)>", "x" * 300]

"""Every button of every page answers a press: a person sees something change. A dead button fails."""

from __future__ import annotations

import pytest
from browser.driving import MARKS, WAIT, run_task

from bench.product.app_server import serving
from bench.product.presses import idle, press_all

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [*MARKS, pytest.mark.slow]
LIMIT = 10.0
"""Seconds in which something must change; 2 are promised on an idle machine, and a dead button never changes any."""
PAGES = {
    "explore": "/?user=7&demos=3&candidates=6&demo=2",
    "without demonstrations": "/?user=7&demos=0",
    "not agreed to": "/?user=7&model=someone/model",
    "theory": "/theory",
    "robustness": "/robustness",
    "improve": "/improve",
    "personalise": "/personalise",
}
TASKS = {
    "theory": "/theory?user=7&demos=3",
    "robustness": "/robustness?user=7&demos=3",
    "improve": "/improve?user=7&demos=3",
    "personalise": "/personalise?user=7",
}
"""Pages on which nothing is run before a person presses Run."""


@pytest.fixture(scope="module")
def quick_server():
    """Its jobs are done at once."""
    with serving("tests/browser/fake_app.py", "PORT", "0") as (address, _):
        yield address


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
def test_every_button_answers_a_press(quick_server, visit, name):
    url = f"{quick_server}{PAGES[name]}"
    page = visit(url)
    page.locator(".st-key-run").wait_for(timeout=WAIT)
    presses = press_all(page, url, LIMIT)
    assert not presses.dead, presses.dead


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TASKS)
def test_every_button_of_a_report_answers_a_press(quick_server, visit, name):
    url = f"{quick_server}{TASKS[name]}"
    page = visit(url)
    run_task(page)
    presses = press_all(page, url, LIMIT)  # The report is there now: its link shows it.
    assert any(button.startswith("form-") for button in presses.names)
    assert not presses.dead, presses.dead


CHANGES = {
    "stSelectbox": ("input", "ArrowDown"),
    "stNumberInput": ("input", "ArrowUp"),
    "stSlider": ('[role="slider"], input[type="range"]', "ArrowRight"),
    "stCheckbox": ("input", " "),
    "stTextInput": ("input", "x"),
    "stMultiSelect": ("input", "ArrowDown"),
}
"""Kind of control -> its part that takes keys, and the key that changes it or opens its list."""


def dead_controls(page) -> tuple[list[str], list[str]]:
    """Change every control once by keyboard; returns those after whose change nothing visible differs, and all."""
    dead, names = [], []
    for kind, (part, key) in CHANGES.items():
        for place in range(page.locator(f'[data-testid="{kind}"]').count()):
            control = page.locator(f'[data-testid="{kind}"]').nth(place)
            field = control.locator(part).first
            if not control.is_visible() or field.is_disabled():
                continue
            idle(page)
            names.append(f"{kind} {control.inner_text()[:40]!r}")
            field.focus()
            control.evaluate("node => node.scrollIntoView({block: 'center'})")
            page.wait_for_timeout(300)  # Scrolling closes a list that is open.
            before = page.evaluate(VALUES)
            at_top = kind == "stNumberInput" and field.get_attribute("max") == field.input_value()
            page.keyboard.press("ArrowDown" if at_top else key)
            if kind == "stTextInput":
                page.keyboard.press("Enter")
            try:
                page.wait_for_function(f"before => ({VALUES})() !== before", arg=before, timeout=LIMIT * 1000)
            except sync_api.TimeoutError:
                dead.append(names[-1])
            page.keyboard.press("Escape")
    return dead, names


VALUES = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const fields = [...app.querySelectorAll('input, [role="slider"]')].map(field =>
        [field.value, field.checked, field.ariaValueNow].join());
    return [app.innerText, document.querySelectorAll('[role="listbox"]').length, location.search, fields].join('|');
}"""
"""What a person can see of a page with controls: its words, open lists, the address, and what the fields say."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["explore", "steadier", *TASKS])
def test_every_control_answers(quick_server, visit, name):
    page = visit(f"{quick_server}{PAGES.get(name, '/?v=2&view=steadier')}")
    page.locator(".st-key-run").wait_for(timeout=WAIT)
    page.get_by_text("Advanced", exact=True).click()
    idle(page)
    dead, names = dead_controls(page)
    assert len(names) > 10
    assert not dead, dead

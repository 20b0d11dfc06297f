"""What a first visit tells without a click and after one, and how soon every button answers a press."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.constants import BUILD
from bench.product.app_server import APP, FLAGS, chromium, serving
from bench.product.page_speed import WAIT_SECONDS, bench_home
from bench.product.presses import idle, press_all
from bench.results_table import ResultRow, as_row
from bench.spread import extremes
from bench.timing import Clock

PAGES = ("", "theory", "robustness", "improve", "personalise")
"""Addresses of the pages that open on an example; Prompts and Data have buttons once files are there."""
LONGEST_SECONDS = 30.0
"""A button after which nothing has changed by then is called dead."""
ANSWER = r"/D\d+ (costs|gives) it most: without it, it is \d+|No single demonstration surely moves its place/"
"""The demonstration that moves an item's place most, and its place without it; or that none does."""
ANSWERS = f"""where => [...document.querySelectorAll(`.st-key-${{where}} .dl-lead`)].some(node => {{
    const box = node.getBoundingClientRect();
    return {ANSWER}.test(node.textContent) && box.top >= 0 && box.bottom <= window.innerHeight;
}})"""
"""Whether that is said in the part of the page with this key, in view without scrolling."""
SUMMARY = ".st-key-summary .dl-lead"
CANDIDATE = '[class*="st-key-candidates-"] [data-testid="stDataFrame"] canvas'
SECOND_ROW = (60, 74)
"""Pixels of a place in the second row of the list, from its corner."""


def answers() -> Iterator[list[ResultRow]]:
    """Rows so far, of the real dashboard on a DemoLens folder of its own, at 1440 x 900."""
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        raise SystemExit("bench: part answers needs a Chromium on the PATH")
    os.environ["DEMOLENS_HOME"] = str(bench_home(BUILD.absolute() / "bench-home"))
    subprocess.run([sys.executable, "-m", "app.entry", "prepare"], check=True, stdout=sys.stderr)
    clock = Clock("answers", 1 + len(PAGES))
    with sync_playwright() as play, serving(*APP, wait_seconds=WAIT_SECONDS) as (address, _):
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(WAIT_SECONDS * 1_000)
        page.goto(address)
        rows = answer_rows(page)
        clock.tick("clicks")
        yield rows
        for so_far in press_rows(page, address):
            clock.tick("presses")
            yield rows + so_far
        browser.close()


def answer_rows(page: Any) -> list[ResultRow]:
    """Clicks on the first page, opened at 1440 x 900, until it answers: for its item, and for another candidate."""
    page.locator(SUMMARY).first.wait_for()
    idle(page)
    first = 0 if page.evaluate(ANSWERS, "summary") else None
    corner = page.locator(CANDIDATE).first.bounding_box()
    page.mouse.click(corner["x"] + SECOND_ROW[0], corner["y"] + SECOND_ROW[1])
    page.wait_for_url("**item=**")
    idle(page)
    other = 1 if page.evaluate(ANSWERS, "selection") else None
    name = "clicks to the demonstration that moves the place most, and the place without it"
    return [_clicks(f"{name}: first visit", first, 0), _clicks(f"{name}: another candidate", other, 1)]


def _clicks(name: str, clicks: int | None, target: int) -> ResultRow:
    return as_row(name, [np.nan if clicks is None else clicks], f"<= {target}")


def press_rows(page: Any, address: str) -> Iterator[list[ResultRow]]:
    """Rows after every page, on which every button and tab is pressed once."""
    seconds: list[float] = []
    dead: list[str] = []
    for name in PAGES:
        page.goto(f"{address}/{name}")
        presses = press_all(page, page.url, LONGEST_SECONDS)
        seconds += presses.seconds.values()
        dead += presses.dead
        slowest = extremes(max(seconds), np.array(seconds))
        yield [
            as_row(f"press to a visible change, slowest of {len(seconds)} buttons, seconds", slowest, "<= 2"),
            as_row("buttons after whose press nothing changes", [len(dead)], "<= 0"),
        ]

"""Waiting for what a page of the dashboard shows in a browser."""

from __future__ import annotations

import re

import pytest

from bench.product.app_server import chromium
from bench.product.presses import idle

CHROMIUM = chromium()
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TEST WAS RUN: no chromium on the PATH"),
    # Playwright's own loop is left to the garbage collector when its browser closes.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
WAIT = 60_000
"""Milliseconds that a busy machine may take for one step."""


def headline(page, pattern: str = "ranks") -> str:
    """The headline once it says what is expected."""
    shown = page.locator("h1.dl-headline", has_text=re.compile(pattern))
    shown.wait_for()
    return shown.inner_text()


def drawn(page, number: int = 1) -> None:
    """Wait until so many charts are drawn."""
    page.wait_for_function(f"() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= {number}")
    idle(page)


def open_tab(page, words: str) -> None:
    """Open the tab with these words and wait until its content is there."""
    page.get_by_role("tab", name=words, exact=True).click()
    page.locator('[role="tab"][aria-selected="true"]', has_text=words).wait_for()
    idle(page)


def link(page, pattern: str) -> str:
    """The address once it holds what is expected."""
    page.wait_for_url(re.compile(pattern))
    return page.url


def run_task(page) -> None:
    """Press Run on the page of a task, where its report is not stored already, and wait for the report."""
    run = page.locator(".st-key-run button")
    run.wait_for()
    idle(page)
    if run.is_enabled():
        run.click()
    page.locator("h2.dl-section", has_text="Where this comes from").wait_for()
    idle(page)

"""One browser, servers that only pretend, and pages that may not err, call out, or grow too wide."""

from __future__ import annotations

from urllib.parse import urlparse

import pytest
from browser.driving import CHROMIUM, WAIT

from bench.product.app_server import FLAGS, serving


@pytest.fixture(scope="module")
def server():
    with serving("tests/browser/fake_app.py", "PORT", "5") as running:
        yield running.address


@pytest.fixture(scope="module")
def slow_server():
    """Its jobs outlast any page load, so that there is something to cancel."""
    with serving("tests/browser/fake_app.py", "PORT", "120") as running:
        yield running.address


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """Open pages: `visit(url, width=1440, dark=False)`; none may err, call out, or grow too wide."""
    pages, faults = [], []

    def start(url: str, *, width: int = 1440, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": 900 if width > 600 else 844}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        page.set_default_timeout(WAIT)
        host = urlparse(url).netloc
        page.on(
            "console", lambda message: faults.append(f"console: {message.text}") if message.type == "error" else None
        )
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda request: faults.append(f"request: {request.url}") if not _own(request.url, host) else None
        )
        page.goto(url)
        pages.append(page)
        return page

    yield start
    for page in pages:
        over = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 1, f"the page is {over} px wider than the window"
        assert page.locator('[data-testid="stException"]').count() == 0
        page.context.close()
    assert faults == []


def _own(url: str, host: str) -> bool:
    found = urlparse(url)
    return found.scheme in ("data", "blob") or found.netloc == host

"""From a dropped file to Explore in a real browser: two files, one name, two presses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser.driving import MARKS, headline, idle, link

from bench.product.app_server import serving

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = MARKS
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"u{user},{item},{1 + (user * item) % 5},{1_500_000_000 + 1000 * user + item}\n"
    for user in range(1, 13)
    for item in range(1, 41)
    if (user + item) % 3
)
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) $x$"
MOVIES = "movieId,title,genres\n" + "".join(f"{item},Film {item} {HOSTILE},Drama\n" for item in range(1, 41))


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    with serving("tests/browser/fake_app.py", "PORT", "0") as running:
        yield running.address


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_dropped_file_arrives_in_explore(own_server, visit, width: int, dark: bool) -> None:
    page = visit(f"{own_server}/data", width=width, dark=dark)
    page.get_by_text("None yet. Drop a file above").wait_for()
    idle(page)
    page.locator('input[type="file"]').set_input_files(
        [
            {"name": "ratings.csv", "mimeType": "text/csv", "buffer": RATINGS.encode()},
            {"name": "movies.csv", "mimeType": "text/csv", "buffer": MOVIES.encode()},
        ]
    )
    add = page.get_by_role("button", name="Add as ratings")
    add.wait_for()
    idle(page)
    facts = page.locator(".dl-readouts").inner_text().split("\n")
    assert facts[facts.index("interactions") + 1] == "320"
    over = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert over <= 1
    add.click()
    opens = page.get_by_role("button", name="Open ratings in Explore")
    opens.wait_for()
    idle(page)
    opens.click()
    address = link(page, r"dataset=ratings")
    assert re.search(r"[?&]user=u\d", address)
    headline(page)
    if width > 600:
        assert page.locator(".st-key-in-dataset input").input_value() == "ratings"

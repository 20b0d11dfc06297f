"""The popover that explains the terms of a panel: by keyboard, on a wide and on a narrow screen."""

from __future__ import annotations

import pytest
from browser.driving import MARKS, headline

from bench.product.presses import idle

pytestmark = MARKS


@pytest.mark.parametrize("width", [1440, 390])
def test_the_terms_of_a_panel_are_read_by_keyboard_and_fit_the_screen(visit, server, width: int) -> None:
    page = visit(server, width=width)
    headline(page)
    idle(page)
    button = page.get_by_test_id("stMain").get_by_role("button", name="Terms").first
    button.focus()
    page.keyboard.press("Enter")
    terms = page.locator(".dl-terms").first
    terms.wait_for()
    assert terms.locator("dt").count() > 0
    box = terms.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    terms.wait_for(state="hidden")

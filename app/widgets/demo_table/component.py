"""How does the table reach the browser, and how do a person's presses come back?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from app.widgets import browser_component

SERVED = Path(__file__).resolve().parent / "browser"
"""The only files that the server hands out for it."""
NAME = "demo_table"


def show(data: dict[str, Any], *, key: str, on_select: Callable[[], None], on_edit: Callable[[], None]) -> None:
    """Draw the table; a callback finds what a person did with `browser_component.message`.

    `data` is what `table.js` draws: texts of anyone, which it never reads as markup.
    """
    browser_component.announce(NAME, SERVED)
    _component()(key=key, data=data, on_select_change=on_select, on_edit_change=on_edit)


@cache
def _component() -> Any:
    return browser_component.drawn_by(NAME, SERVED, html='<div class="dl-demos"></div>', css="table.css", js="table.js")

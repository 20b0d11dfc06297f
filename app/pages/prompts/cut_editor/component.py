"""How do the parts reach the browser, and how do a person's corrections come back?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from app.widgets import browser_component

SERVED = Path(__file__).resolve().parent / "browser"
"""The only files that the server hands out for it."""
NAME = "cut_editor"
EVENT = "correct"


def show(data: dict[str, Any], *, key: str, on_correct: Callable[[], None]) -> None:
    """Draw the parts; the callback finds what a person did with `browser_component.message` and `EVENT`.

    `data` is what `editor.js` draws: texts of anyone, which it never reads as markup.
    """
    browser_component.announce(NAME, SERVED)
    _component()(key=key, data=data, on_correct_change=on_correct)


@cache
def _component() -> Any:
    return browser_component.drawn_by(
        NAME, SERVED, html='<div class="dl-cuts"></div>', css="editor.css", js="editor.js"
    )

"""How do the parts reach the browser, and how do a person's corrections come back?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

SERVED = Path(__file__).resolve().parent / "browser"
"""The only files that the server hands out for it."""
PACKAGE, NAME = "demolens", "cut_editor"
FULL_NAME = f"{PACKAGE}.{NAME}"
EVENT = "correct"


def show(data: dict[str, Any], *, key: str, on_correct: Callable[[], None]) -> None:
    """Draw the parts; the callback finds what a person did with `message`.

    `data` is what `editor.js` draws: texts of anyone, which it never reads as markup.
    """
    _announce()
    _component()(key=key, data=data, on_correct_change=on_correct)


def message(key: str) -> object:
    """What the browser sent. It may be anything: check it before use."""
    state = st.session_state.get(key)
    return state.get(EVENT) if isinstance(state, dict) else None


def _announce() -> None:
    """Tell the running server where the script lies: a script handed over as text would run from a `blob:` address,
    which the page's Content-Security-Policy forbids."""
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(FULL_NAME) is None:
        own = ComponentManifest(name=PACKAGE, version="", components=[ComponentConfig(NAME, asset_dir=".")])
        manager.register_from_manifest(own, SERVED)


@cache
def _component() -> Any:
    return st.components.v2.component(
        FULL_NAME,
        html='<div class="dl-cuts"></div>',
        css=(SERVED / "editor.css").read_text(encoding="utf-8"),
        js="editor.js",
        isolate_styles=False,
    )

"""How does the table reach the browser, and how do a person's presses come back?"""

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
PACKAGE, NAME = "demolens", "demo_table"
FULL_NAME = f"{PACKAGE}.{NAME}"


def show(data: dict[str, Any], *, key: str, on_select: Callable[[], None], on_edit: Callable[[], None]) -> None:
    """Draw the table; a callback finds what a person did with `message`.

    `data` is what `table.js` draws: texts of anyone, which it never reads as markup.
    """
    _announce()
    _component()(key=key, data=data, on_select_change=on_select, on_edit_change=on_edit)


def message(key: str, event: str) -> object:
    """What the browser sent with an event. It may be anything: check it before use."""
    state = st.session_state.get(key)
    return state.get(event) if isinstance(state, dict) else None


def _announce() -> None:
    """Tell the running server where the script lies.

    A script handed over as text would be run from a `blob:` address, which the page's Content-Security-Policy forbids;
    one that the server itself answers with is allowed.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(FULL_NAME) is None:
        own = ComponentManifest(name=PACKAGE, version="", components=[ComponentConfig(NAME, asset_dir=".")])
        manager.register_from_manifest(own, SERVED)


@cache
def _component() -> Any:
    return st.components.v2.component(
        FULL_NAME,
        html='<div class="dl-demos"></div>',
        css=(SERVED / "table.css").read_text(encoding="utf-8"),
        js="table.js",
        isolate_styles=False,
    )

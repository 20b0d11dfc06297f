"""Pieces of the page that a script of ours draws in the browser: how the server hands the script out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

PACKAGE = "demolens"


def announce(name: str, served: Path) -> None:
    """Tell the running server in which folder the script of a component lies; it hands out nothing else for it.

    A script handed over as text would be run from a `blob:` address, which the page's Content-Security-Policy forbids;
    one that the server itself answers with is allowed.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(full_name(name)) is None:
        component = ComponentManifest(name=PACKAGE, version="", components=[ComponentConfig(name, asset_dir=".")])
        manager.register_from_manifest(component, served)


def drawn_by(name: str, served: Path, *, html: str, css: str, js: str) -> Any:
    """The component that the script `js` draws into `html`, with the styles of the file `css`."""
    return st.components.v2.component(
        full_name(name),
        html=html,
        css=(served / css).read_text(encoding="utf-8"),
        js=js,
        isolate_styles=False,
    )


def message(key: str, event: str) -> object:
    """What the browser sent with an event. It may be anything: check it before use."""
    state = st.session_state.get(key)
    return state.get(event) if isinstance(state, dict) else None


def full_name(name: str) -> str:
    """The name under which Streamlit knows a component."""
    return f"{PACKAGE}.{name}"

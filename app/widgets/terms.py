"""A small popover beside a panel that explains the terms which the panel uses."""

from __future__ import annotations

import html

import streamlit as st

from app.glossary import TERMS, GlossaryTerm, terms_in


def terms(*texts: str) -> None:
    """A popover that explains the terms of these texts (plain or our own HTML); nothing where they use none."""
    if not (used := terms_in(texts)):
        return
    names = ", ".join(term.name for term in used)
    with st.popover("Terms", type="tertiary", help=f"What these mean: {names}."):
        _list(used)


def glossary() -> None:
    """A popover with every term, for the labels and hints of the controls."""
    with st.popover("Glossary", type="tertiary", help="Every term of these pages in plain words."):
        _list(TERMS)


def _list(entries: tuple[GlossaryTerm, ...]) -> None:
    rows = "".join(f"<dt>{html.escape(term.name)}</dt><dd>{html.escape(term.meaning)}</dd>" for term in entries)
    st.html(f'<dl class="dl-terms">{rows}</dl>')

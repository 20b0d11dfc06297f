"""Boxes for what is missing, failed or cancelled: what happened, why, and what to do next."""

from __future__ import annotations

import html

import streamlit as st

from app.text import safe_html


def box(title: str, *sentences: str) -> None:
    """A calm box; sentences are untrusted text."""
    body = "".join(f"<p>{safe_html(sentence)}</p>" for sentence in sentences if sentence)
    st.html(f'<div class="dl-box" role="status"><h3>{html.escape(title)}</h3>{body}</div>')


def note(sentence: str) -> None:
    """One quiet sentence of untrusted text."""
    st.html(f'<p class="dl-note">{safe_html(sentence)}</p>')


def notices(sentences: list[str], title: str = "Good to know") -> None:
    """What a reader should know, one line each."""
    if sentences:
        lines = "".join(f"<p>{safe_html(sentence)}</p>" for sentence in sentences)
        st.html(f'<div class="dl-box" role="note"><h3>{html.escape(title)}</h3>{lines}</div>')


def failed(sentence: str, error_id: str | None) -> None:
    """A job that failed, with the number that finds it in the log."""
    box(
        "This could not be computed",
        sentence,
        "Change a setting on the left and press Run, or press Run to try again; earlier results are kept.",
        f"For the log: error {error_id}." if error_id else "",
    )


def cancelled(sentence: str, partial: bool) -> None:
    """A job that was cancelled, and what is left of it."""
    what = "What was found until then stands below; it is not complete." if partial else "Nothing had been found yet."
    why = "" if sentence.strip(". ").casefold() == "cancelled" else sentence[:1].upper() + sentence[1:]
    box("Cancelled", why, f"{what} Press Run to start it again.")

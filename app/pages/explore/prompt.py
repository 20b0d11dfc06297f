"""What the model read, and which of its tokens carried the score."""

from __future__ import annotations

import html

import streamlit as st

from app.pages.explore.selection import selected_demo
from app.sentences import goal
from app.text import safe_html, visible
from app.theme import Palette, nats, signed, symmetric
from app.widgets.panel import section
from core.analysis.explain.explanation import Explanation, SpanRow
from core.analysis.explain.methods import METHODS

STRONGEST = 0.55
"""Opacity of the tint behind the token with the largest amount."""
UNDERLINED = 0.35
"""Share of the largest amount from which a token is underlined as well."""


def prompt_view(explanation: Explanation, colours: Palette) -> None:
    """The prompt with its spans; tokens tinted by their share of the gradient answer."""
    record, answer = explanation.prompt, explanation.contributions
    source = (
        f" Tint: each token's gradient part ({METHODS[answer.split_of].words})."
        if answer and answer.by_token and answer.split_of
        else ""
    )
    beside = "" if answer is None else f" Beside each demonstration: its effect on {goal(answer.target)}."
    length = f"{record.length} of {record.context} tokens, with the explained candidate as its last part."
    section("Prompt", f"{length}{beside}{source}")
    if answer is not None and answer.by_token:
        adds, takes = _key("adds", colours.raises, "solid"), _key("takes away", colours.lowers, "dotted")
        st.html(f'<p class="dl-key">{adds}{takes}</p>')
    for sentence in (*record.cut, *record.notices):
        st.html(f'<p class="dl-note">{safe_html(sentence)}</p>')
    body = markup(explanation, colours, selected_demo(explanation))
    st.html(f'<div class="dl-prompt" tabindex="0" role="region" aria-label="Prompt">{body}</div>')


def _key(word: str, colour: str, line: str) -> str:
    return f'<span><i style="background:{_tint(colour, STRONGEST)};border-bottom:2px {line} {colour}"></i>{word}</span>'


def markup(explanation: Explanation, colours: Palette, selected: int | None) -> str:
    """The spans as HTML; every token is escaped."""
    answer = explanation.contributions
    by_token = answer.by_token if answer is not None else None
    bound = symmetric(value for line in by_token or () for value in line)
    parts = []
    for span in explanation.prompt.spans:
        is_demo = span.kind == "demo" and span.index < len(explanation.demos)
        values = by_token[span.index] if by_token and is_demo and span.index < len(by_token) else None
        chosen = ' class="dl-chosen"' if is_demo and span.index == selected else ""
        parts.append(
            f'<div{chosen}><div class="dl-tag">{_tag(explanation, span)}</div>'
            f'<div class="dl-body">{_body(span, values, bound, colours)}</div></div>'
        )
    return "".join(parts)


def _tag(explanation: Explanation, span: SpanRow) -> str:
    count = f"{len(span.tokens)} tokens"
    if span.kind != "demo":
        return f"<strong>{span.kind.capitalize()}</strong>{count}"
    answer = explanation.contributions
    value = answer.values[span.index] if answer is not None and span.index < len(answer.values) else None
    amount = "" if value is None else f"<br>{nats(value)}"
    return f"<strong>D{span.index + 1}</strong>{count}{amount}"


def _body(span: SpanRow, values: tuple[float, ...] | None, bound: float, colours: Palette) -> str:
    if values is None or len(values) != len(span.tokens):
        return _literal(span.text)
    return "".join(_token(token, value, bound, colours) for token, value in zip(span.tokens, values, strict=True))


def _token(token: str, value: float, bound: float, colours: Palette) -> str:
    share = min(1.0, abs(value) / bound)
    if round(share, 2) == 0:
        return _literal(token)
    tint = _tint(colours.raises if value > 0 else colours.lowers, STRONGEST * share)
    line = (" dl-plus" if value > 0 else " dl-minus") if share >= UNDERLINED else ""
    title = f"gradient part {signed(value, 3)} nats"
    return f'<span class="dl-t{line}" style="background:{tint}" title="{title}">{_literal(token)}</span>'


def _literal(text: str) -> str:
    lines = "\n".join(visible(line) if line.strip() else line for line in text.split("\n"))
    return html.escape(lines)


def _tint(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:.2f})"

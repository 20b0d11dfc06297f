"""The top of a result: whose it is, its headline, and its figures at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.sentences import who
from app.text import safe_html
from app.widgets.terms import terms
from core.question.task import Report


@dataclass(frozen=True)
class Readout:
    """One figure: its name, its value with unit, and what it is to be compared with; our own HTML."""

    name: str
    value: str
    small: str


def head(report: Report, headline: str, leads: Sequence[str], readouts: Sequence[Readout]) -> None:
    """`headline` and `leads` are our own HTML; titles in them are escaped by whoever wrote them."""
    source = report.provenance
    going_on = "" if report.stage == "complete" else " · not complete yet"
    st.html(
        f'<p class="dl-over">{who(report.task.case)} in {safe_html(source.dataset_name, 60)} · '
        f"{safe_html(source.model_name, 60)}{going_on}</p>"
        f'<h1 class="dl-headline">{headline}</h1>' + "".join(f'<p class="dl-lead">{lead}</p>' for lead in leads)
    )
    readouts_row(readouts, headline, *leads)


def readouts_row(readouts: Sequence[Readout], *texts: str) -> None:
    """Figures side by side, nothing where there are none; a popover explains their terms and those of `texts`."""
    if readouts:
        cells = "".join(f"<div><dt>{r.name}</dt><dd>{r.value}<small>{r.small}</small></dd></div>" for r in readouts)
        st.html(f'<dl class="dl-readouts">{cells}</dl>')
    terms(*texts, *(text for row in readouts for text in (row.name, row.value, row.small)))

"""One control for each guess about files; each says what holds now, and a change reads the files again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from app.pages.data.state import choose
from app.text import option
from core.data.data_report import DataReport
from core.data.intake.limited_reading import ReadingOutcome
from core.data.reading.file_heads import FileHead
from core.data.reading.formats import FORMATS
from core.data.reading.import_choices import NONE, DataChoices

ENCODINGS = ("utf-8", "cp1252", "utf-16", "latin-1", "shift_jis", "gb18030", "koi8-r")
DELIMITERS = ("comma", "tab", "semicolon", "bar", "space", "::")
UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds", "days")


@dataclass(frozen=True)
class ColumnControl:
    """The control for what one column is."""

    meaning: str
    label: str
    field: str
    role: str = "interactions"
    """In whose files the column stands."""
    optional: bool = True
    """Whether there may be none."""


COLUMNS = (
    ColumnControl("user", "Users", "user_column", optional=False),
    ColumnControl("item", "Items", "item_column", optional=False),
    ColumnControl("rating", "Ratings", "rating_column"),
    ColumnControl("time", "Times", "time_column"),
    ColumnControl("title", "Titles", "title_column", "items"),
)
LABELS: Mapping[str, str] = {
    **{f"--{row.meaning}-column": row.label for row in COLUMNS},
    "--format": "Format",
    "--encoding": "Encoding",
    "--delimiter": "Between fields",
    "--like-from": "Liked from",
    "--not-rated": "Not rated",
    "--time-unit": "Unit of times",
    "--name": "Name",
}
"""The command line's option -> the label of its control here."""


def on_page(sentence: str) -> str:
    """A sentence that names options of the command line, with the labels of the controls in their place."""
    for name, label in LABELS.items():
        sentence = re.sub(rf"{name}( NAME| N)?(?![\w-])", f"“{label}”", sentence)
    return sentence


def columns(outcome: ReadingOutcome, choices: DataChoices) -> None:
    """Which column is what."""
    taken = {} if outcome.prepared is None else {row.meaning: row.column for row in outcome.prepared.report.columns}
    for place, row in zip(st.columns(len(COLUMNS), gap="small"), COLUMNS, strict=True):
        with place:
            _column(row, outcome, getattr(choices, row.field) or taken.get(row.meaning))


def _column(row: ColumnControl, outcome: ReadingOutcome, taken: str | None) -> None:
    names = list(dict.fromkeys(name for head in _heads(outcome, row.role) for name in head.columns))
    names = [name for name in names if name != NONE]
    labels = _labels(names if taken is None or taken in (NONE, *names) else [*names, taken])
    labels |= {NONE: "none"} if row.optional else {}
    empty = NONE if row.optional and outcome.prepared is not None else None
    _select(row.field, row.label, labels, taken or empty, f"The column of {row.label.lower()}.")


def _heads(outcome: ReadingOutcome, role: str) -> Sequence[FileHead]:
    """The files whose columns may be meant: those of that role, else of any."""
    of_role = [head for head in outcome.heads if head.role == role]
    return of_role or [head for head in outcome.heads if not head.role] or outcome.heads


def _labels(names: Sequence[str]) -> dict[str, str]:
    """A label for each name, none twice: a selectbox takes equal labels for the same choice."""
    labels: dict[str, str] = {}
    for name in names:
        label = option(name)
        labels[name] = label if label not in labels.values() else f"{label} · {len(labels) + 1}"
    return labels


def text(outcome: ReadingOutcome, choices: DataChoices) -> None:
    """Format, encoding and delimiter."""
    report = None if outcome.prepared is None else outcome.prepared.report
    format_place, encoding_place, delimiter_place = st.columns(3, gap="small")
    with format_place:
        labels = {"": _recognised(report.format if report else None)} | {row.name: row.name for row in FORMATS}
        words = "; ".join(f"{row.name}: {row.words}" for row in FORMATS)
        _select("format", "Format", labels, choices.format or "", words)
    with encoding_place:
        encoding = ", ".join(dict.fromkeys(file.encoding for file in report.files)) if report else None
        labels = {"": _recognised(encoding)} | {name: name for name in ENCODINGS}
        hint = "How the bytes of the files are read as text; others can be typed."
        _select("encoding", "Encoding", labels, choices.encoding or "", hint, typed=True)
    with delimiter_place:
        labels = {"": _recognised(None)} | {name: name for name in DELIMITERS}
        hint = "What stands between two fields of a line; others can be typed."
        _select("delimiter", "Between fields", labels, choices.delimiter or "", hint, typed=True)


def _recognised(value: str | None) -> str:
    return f"as recognised: {option(value)}" if value else "as recognised"


def likes(report: DataReport, choices: DataChoices) -> None:
    """From which rating on an item counts as liked, and which ratings mean that there is none."""
    ratings = report.ratings
    rated = ratings.kind != "none"
    st.session_state["say-like_from"] = ratings.like_from if choices.like_from is None else choices.like_from
    st.number_input(
        "Liked from",
        key="say-like_from",
        on_change=lambda: choose(like_from=st.session_state["say-like_from"]),
        disabled=not rated,
        format="%g",
        help="Least rating that counts as liked.",
    )
    held = dict((*ratings.values, *ratings.not_rated))
    unrated = [value for value, _ in ratings.not_rated]
    st.session_state["say-not_rated"] = unrated
    st.multiselect(
        "Not rated",
        sorted(held),
        format_func=lambda value: f"{value:g} ({held.get(value, 0):,})",
        key="say-not_rated",
        on_change=lambda: choose(not_rated=tuple(st.session_state["say-not_rated"])),
        help="Ratings that stand for none, with the interactions that hold each.",
    )


def times(report: DataReport, choices: DataChoices) -> None:
    """The unit of times that are numbers."""
    labels = {"": _recognised(report.times.unit)} | {unit: unit for unit in UNITS}
    _select("time_unit", "Unit of times", labels, choices.time_unit or "", "The unit of times that are numbers.")


def _select(
    field: str, label: str, labels: Mapping[str, str], value: str | None, hint: str, *, typed: bool = False
) -> None:
    key = f"say-{field}"
    if value is not None and value not in labels:
        labels = {**labels, value: option(value)}
    st.session_state[key] = value
    st.selectbox(
        label,
        list(labels),
        index=None,
        format_func=lambda name: labels.get(name, option(name)),
        key=key,
        on_change=_changed(field, key),
        placeholder="choose",
        help=hint,
        accept_new_options=typed,
    )


def _changed(field: str, key: str) -> Callable[[], None]:
    return lambda: choose(**{field: st.session_state[key] or None})

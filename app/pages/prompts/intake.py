"""Taking in a person's files: dropped or, where the owner allows it, by their path, with what they were taken for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import cached
from app.pages.prompts.prompts_view import PromptsView, current
from app.settings import data_folders
from app.text import capital
from app.widgets import failures
from core.data.intake.uploads import allowed_path
from core.errors import DataError, DemoLensError, RequestError
from core.prompt.imported.answer_options import OptionSource
from core.prompt.imported.case_file import OptionsFrom
from core.prompt.imported.formats import FORMATS, TEXT
from core.prompt.imported.importing import ImportChoices
from core.prompt.imported.stored_cases import CASE_FILE, import_files, record_named, safe_name
from core.store.home import stored, workplace

UPLOAD, PATH, FORMAT, OPTIONS, LABELS, TITLES = (
    f"in-prompts-{name}" for name in ("files", "path", "format", "options", "labels", "titles")
)
TEMPLATE_ENDS = (".j2", ".jinja", ".jinja2")
_OPTIONS = re.compile(r" \([^()]*--[^()]*\)")
MOST_TEMPLATE = 400_000
"""Bytes of a template."""
AUTO = "auto"
FORMAT_WORDS = {AUTO: "recognised by its content"} | {row.name: row.words for row in (*FORMATS, TEXT)}
OTHER_WORDS = {"template": "a template and a table", CASE_FILE: "a case file"}
"""Of what has no row among the formats."""
OPTION_WORDS: dict[OptionSource, str] = {
    "auto": "what fits the prompt",
    "labels": "labels",
    "candidates": "candidate list of the prompt",
    "titles": "titles, written below",
    "completion": "logged answer, against those of other calls",
}
SOURCE_WORDS: dict[OptionsFrom, str] = {
    "labels": "labels",
    "candidates": "the candidate list of the prompt",
    "titles": "titles",
    "completion": "the logged answer and those of other calls",
}


@dataclass(frozen=True)
class _InHand:
    """Files that a person has handed in, not read yet."""

    identity: tuple[str, ...]
    """Differs for other files."""
    uploads: Sequence[Any] = ()
    path: str = ""


def intake(view: PromptsView) -> None:
    """The field for files, what they are to be taken for, and their import where it has not been done yet."""
    place, *choice_places = st.columns([2, 1, 1])
    with place:
        uploads = st.file_uploader(
            "Drop logged calls, a table with prompts, or a single prompt",
            accept_multiple_files=True,
            key=UPLOAD,
            help="JSON lines, JSON, CSV, Parquet, Arrow or text, plain or gzip; the content says which. Drop requests "
            "and answers of a batch together, or a template (.j2) with its table.",
        )
        typed = _typed_path()
    if not uploads and not typed:
        view.refusal, view.taken = "", None
        return
    in_hand = _InHand((*(upload.file_id for upload in uploads), typed), uploads, typed)
    choices = _choices(view, *choice_places)
    if view.taken != (in_hand.identity, choices):
        _take(view, in_hand, choices)


def _typed_path() -> str:
    """The path in its field; empty where the owner allows none."""
    folders = data_folders()
    if not folders:
        return ""
    hint = f"For files that are too large to upload, below {', '.join(map(str, folders))}."
    return st.text_input("Or the path of a file on this machine", key=PATH, max_chars=500, help=hint).strip()


def _choices(view: PromptsView, left: DeltaGenerator, right: DeltaGenerator) -> ImportChoices:
    """What the files in hand are to be taken for."""
    record = None if view.name is None or view.refusal else record_named(view.name)
    kinds = "" if record is None or view.taken is None else read_as(record.formats)
    words = FORMAT_WORDS | ({AUTO: f"recognised: {kinds}"} if kinds else {})
    with left:
        name = _choice(FORMAT, "Format", words, "What wrote the calls. Choose another where it is not right.")
    with right:
        hint = "Which answers the model chooses from, for every prompt of the file."
        source = _choice(OPTIONS, "Answer options", OPTION_WORDS, hint)
        labels = _lines(LABELS, "Labels, separated by commas", "Yes, No", ",") if source == "labels" else ()
        titles = _lines(TITLES, "Titles, one a line", "", "\n") if source == "titles" else ()
    return ImportChoices(format=name, options=source, labels=labels, titles=titles)


def _choice(key: str, label: str, words: Any, hint: str) -> Any:
    st.session_state[key] = st.session_state.get(key, next(iter(words)))
    return st.selectbox(label, list(words), format_func=lambda name: words[name], key=key, help=hint, filter_mode=None)


def _lines(key: str, label: str, example: str, separator: str) -> tuple[str, ...]:
    """Texts that a person writes; empty for those that the prompt itself gives."""
    hint = "Empty: those that the demonstrations or the words of the prompt use." if separator == "," else None
    field = st.text_input if separator == "," else st.text_area
    text: str = field(label, key=key, placeholder=example, max_chars=100_000, help=hint)
    return tuple(dict.fromkeys(line.strip() for line in text.split(separator) if line.strip()))


def _take(view: PromptsView, in_hand: _InHand, choices: ImportChoices) -> None:
    """Import the files in hand and look at their first case; a fault becomes the view's refusal."""
    view.refusal = ""
    place = st.empty()
    with place.container(key="prompts-reading", horizontal=True, vertical_alignment="center"):
        st.button("Stop", key="prompts-stop", on_click=_stop, args=(in_hand.identity, choices))
        words = st.empty()
    with suppress(DemoLensError):
        cached.desk().warm()  # The model is ready when the prompts are.
    try:
        with _files(in_hand) as (files, template):
            chosen = _with_template(choices, template)
            row = import_files(files, chosen, lambda count: _say(words, count))
        view.open(row.name)
    except DemoLensError as fault:
        view.refusal = str(fault)
    view.taken = in_hand.identity, choices
    st.rerun()


def _stop(identity: tuple[str, ...], choices: ImportChoices) -> None:
    """Leave these files as they are; the press itself has ended the import."""
    view = current()
    view.taken, view.refusal = (identity, choices), "stopped before the end; change a choice to import it again"


def _say(place: DeltaGenerator, count: int) -> None:
    far = f": {count:,} prompts so far" if count else ""
    place.html(f'<p class="dl-note" role="status">Reading the file{far} …</p>')


@contextmanager
def _files(in_hand: _InHand) -> Iterator[tuple[list[Path], Path | None]]:
    """The files in hand on disk, and the template among them."""
    if in_hand.path and not in_hand.uploads:
        yield [allowed_path(in_hand.path, data_folders())], None
        return
    with workplace() as folder:
        paths = []
        for place, upload in enumerate(in_hand.uploads):
            path = folder / str(place) / safe_name(upload.name, place)
            with stored("an uploaded file"):
                path.parent.mkdir(mode=0o700)
                path.write_bytes(upload.getbuffer())
            paths.append(path)
        templates = [path for path in paths if path.suffix.lower() in TEMPLATE_ENDS]
        if len(templates) > 1 or (templates and len(paths) == 1):
            raise RequestError("a template by itself, or several", expected="one template and the table of its values")
        yield [path for path in paths if path not in templates], templates[0] if templates else None


def _with_template(choices: ImportChoices, path: Path | None) -> ImportChoices:
    if path is None:
        return choices
    data = path.read_bytes()
    if len(data) > MOST_TEMPLATE:
        raise DataError(f"a template of more than {MOST_TEMPLATE // 1000} kB", where=path.name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("bytes that are not UTF-8", expected="a template in UTF-8", where=path.name) from None
    return ImportChoices(**{**vars(choices), "template": text, "template_name": path.name})


def for_screen(reason: str) -> str:
    """A reason without the options of the command line that it names; this page has fields for them."""
    return _OPTIONS.sub("", reason)


def refusal(view: PromptsView) -> None:
    """Why the files in hand were not imported, and what can be done."""
    if view.refusal:
        failures.box(
            "Not imported",
            capital(for_screen(view.refusal).rstrip(".")) + ".",
            "Choose another format or other answer options above, or drop another file.",
        )


def read_as(formats: dict[str, str]) -> str:
    """What files were taken for, in words."""
    return " and ".join(dict.fromkeys(OTHER_WORDS.get(name) or FORMAT_WORDS[name] for name in formats.values()))

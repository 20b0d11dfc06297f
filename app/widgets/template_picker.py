"""The choice of a prompt template: that of the wording, a stored one or a file, and how its prompt reads."""

from __future__ import annotations

import html
from collections.abc import Iterator

import streamlit as st

from app import cached
from app.sentences import FAMILIES
from app.text import option, safe_html, visible
from app.widgets import failures, tab
from app.widgets.fields import choice
from core.errors import DemoLensError
from core.prompt.stored_templates import MOST_BYTES, StoredTemplate, store_template, stored_template, stored_templates
from core.prompt.template import LONGEST_TEMPLATE, Template, template_for
from core.prompt.text_preview import TextSection, template_sections
from core.question.case_spec import CaseSpec
from core.question.task import Task

KEY, FILE, UPLOAD = "in-template", "template-file", "upload"
"""The widget of the choice, that of the upload, and the option for a file."""
AWAITED, REFUSED = "template-awaited", "template-refused"
"""Whether the option for a file waits for one, and why the last one was refused."""
USUAL = "that of the wording"
HELP = (
    "Four short texts around the data. A file of yours has the sections [instruction], [demo], [query] and "
    "[candidate], with fields such as {history} and {item}; nothing in it is ever run."
)
SHOW = "The template with its fields, and the prompt of the chosen user, before anything is run."


def template_picker(wordings: dict[str, str]) -> None:
    """The wording of the prompt or a template in its place, an upload, and a button that shows both as text."""
    draft = tab.current().draft.case
    hint = "What the prompt says of the user's taste and wishes. A kind of item that it names is read from the history."
    choice("wording", "Wording of the prompt", wordings, hint, disabled=draft.template is not None)
    with st.container(key="pick-template"):
        _choice(draft)
        if st.button("Show template and prompt", key="show-template", width="stretch", help=SHOW):
            _shown(draft)


def _choice(draft: CaseSpec) -> None:
    chosen = draft.template or ""
    options = {"": USUAL} | {row.content_hash: _label(row) for row in stored_templates()} | {UPLOAD: "a file …"}
    words = options if chosen in options else {chosen: f"{chosen} (not stored here)"} | options
    awaited = st.session_state.get(AWAITED, False)
    st.session_state[KEY] = UPLOAD if awaited else chosen
    st.selectbox(
        "Template",
        list(words),
        format_func=lambda name: words.get(name, name),
        key=KEY,
        on_change=_picked,
        help=HELP,
        filter_mode=None,
    )
    if awaited:
        hint = f"Text in UTF-8, at most {LONGEST_TEMPLATE:,} characters."
        st.file_uploader("Template file", key=FILE, on_change=_uploaded, help=hint)
    if refusal := st.session_state.get(REFUSED):
        failures.box("This file is no template", refusal)


def _label(row: StoredTemplate) -> str:
    """Name and the beginning of the hash: names may repeat."""
    return f"{option(row.name)} · {row.content_hash[:4]}"


def _picked() -> None:
    picked = st.session_state[KEY]
    st.session_state[AWAITED], st.session_state[REFUSED] = picked == UPLOAD, ""
    if picked != UPLOAD:
        _use(picked)


def _use(content_hash: str) -> None:
    """Choose a template, and the prompt family that it is for."""
    try:
        family = {"family": stored_template(content_hash).family} if content_hash else {}
    except DemoLensError as fault:
        tab.view().notice = str(fault)
        return
    tab.change(template=content_hash or None, **family)


def _uploaded() -> None:
    """Check and store a file, and choose it; a wrong one is refused with its line."""
    file, st.session_state[REFUSED] = st.session_state[FILE], ""
    if file is None:
        return
    try:
        stored = store_template(file.read(MOST_BYTES + 1), file.name)
    except DemoLensError as fault:
        st.session_state[REFUSED] = str(fault)
        return
    st.session_state[AWAITED] = False
    _use(stored.content_hash)


# ---- as text


@st.dialog("Template and prompt", width="large")
def _shown(case: CaseSpec) -> None:
    """The template with its fields, and the prompt of the chosen user with what stands for them."""
    try:
        template, name = _template(case)
        sections = cached.prompt_preview(Task(case=case), template)
    except DemoLensError as fault:
        failures.box("This cannot be shown", str(fault))
        return
    st.html(f'<p class="dl-note">{safe_html(name)}. Question: {FAMILIES[case.family]}.</p>')
    st.html(
        '<p class="dl-key"><span><mark class="dl-field">field</mark> filled from the data; the rest is fixed</span></p>'
    )
    st.html('<h2 class="dl-section">Template</h2>' + _markup("Template", template_sections(template)))
    st.html(f'<h2 class="dl-section">Prompt of user {safe_html(case.user)}</h2>' + _markup("Prompt", sections))
    failures.note(" ".join(_remarks(case, template)))


def _remarks(case: CaseSpec, template: Template) -> Iterator[str]:
    yield "With the first of its candidates, before anything is cut to fit the model."
    if case.chat:
        yield "The model's chat template is written around it."
    if template.shows_codes:
        yield "A code reads 0.0.0.0 until a model is there that knows it."
    if case.picked_by_model:
        yield "The model picks the demonstrations when this runs."


def _template(case: CaseSpec) -> tuple[Template, str]:
    """The template of a case and what to call it; raises `PromptError` for one that cannot be used."""
    if case.template is None:
        return template_for(case.family, wording=case.wording), f"The shipped template of the wording {case.wording}"
    stored = stored_template(case.template)
    return stored.template.checked_for(case.family), f"{stored.name} (content {stored.content_hash})"


def _markup(label: str, sections: tuple[TextSection, ...]) -> str:
    rows = "".join(
        f'<div><div class="dl-tag"><strong>{_tag(section, label)}</strong></div>'
        f'<div class="dl-body">{_body(section)}</div></div>'
        for section in sections
    )
    return f'<div class="dl-prompt" tabindex="0" role="region" aria-label="{label}">{rows}</div>'


def _tag(section: TextSection, label: str) -> str:
    if section.kind == "demo":
        return "Demonstration" if label == "Template" else f"D{section.number + 1}"
    return str(section.kind).capitalize()


def _body(section: TextSection) -> str:
    texts = ((_literal(part.text), part.field) for part in section.parts)
    body = "".join(f'<mark class="dl-field">{text}</mark>' if field else text for text, field in texts)
    return body or '<span class="dl-quiet">nothing</span>'


def _literal(text: str) -> str:
    lines = "\n".join(visible(line) if line.strip() else line for line in text.split("\n"))
    return html.escape(lines)

"""Templates that a person brought: checked, stored under the hash of their content, and found by it again."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from core.data.reading.streams import readable_name
from core.errors import PromptError
from core.prompt.families import FAMILIES, Family
from core.prompt.template import LONGEST_TEMPLATE, Template, parse_template
from core.store.home import home_path, room, write_atomically
from core.store.names import form_fault
from core.store.sealed import regular, sealed, state_of, unsealed
from core.words import brief

FOLDER = "templates"
"""The folder in the home where templates are stored."""
HASH_FORM = "^[0-9a-f]{16}$"
"""Form of a template's `content_hash`, the name under which it is stored."""
MOST_BYTES = 4 * LONGEST_TEMPLATE
"""Bytes of a template's file that are read: UTF-8 needs up to 4 for a character."""
MOST_LISTED = 200
LONGEST_LABEL = 80
"""Characters of a template's name."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class StoredTemplate:
    """A checked template with the name of the file that it came from."""

    name: str
    template: Template
    text: str
    """The whole file, comments included."""

    @property
    def content_hash(self) -> str:
        """The name under which it is stored."""
        return self.template.content_hash

    @property
    def family(self) -> Family:
        """The prompt family that it is for."""
        return _family(self.template)


def checked_template(content: bytes, name: str) -> StoredTemplate:
    """The template in a file's bytes; nothing in it is ever run.

    Raises `PromptError` with one sentence that names the file and the line: for bytes that are not UTF-8, control
    characters, more than `LONGEST_TEMPLATE` characters, fields that do not exist or are missing, and unpaired braces.
    """
    label = readable_name(PurePath(name).name)[:LONGEST_LABEL].strip() or "template"
    if len(content) > MOST_BYTES:
        expected = f"at most {LONGEST_TEMPLATE} characters"
        raise PromptError(f"more than {MOST_BYTES} bytes", expected=expected, where=label)
    text = _decoded(content, label).removeprefix("\ufeff").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if control := _CONTROL.search(line):
            problem = f"the control character U+{ord(control[0]):04X}"
            raise PromptError(problem, expected="text", where=f"{label}, line {number}")
    template = parse_template(text, label, codes=True)
    return StoredTemplate(label, template.checked_for(_family(template)), text)


def store_template(content: bytes, name: str) -> StoredTemplate:
    """The checked template, stored; one with the same four texts that is there already keeps its name.

    Raises `PromptError` as `checked_template` does, and `MaterialError` where it cannot be stored.
    """
    stored = checked_template(content, name)
    path = _path(stored.content_hash)
    try:
        return _read(path)
    except PromptError:
        write_atomically(room(FOLDER) / path.name, sealed({"name": stored.name, "text": stored.text}))
        return stored


def template_taken_in(name: str) -> str:
    """The hash of the template in the file `name`, stored, or `name` itself where it is the hash of a stored one.

    Raises `PromptError` for what is no template's file, `MaterialError` where it cannot be stored.
    """
    if re.fullmatch(HASH_FORM, name) and not Path(name).exists():
        return stored_template(name).content_hash
    if fault := form_fault(name):
        raise PromptError(f"template {brief(name)}", expected=f"the path of a text file, not a name {fault}")
    try:
        with regular(Path(name).expanduser()) as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (getattr(error, "strerror", None) or type(error).__name__).lower()
        raise PromptError(f"template {brief(name)} cannot be read: {reason}", expected="a text file") from None
    return store_template(content, name).content_hash


def stored_template(content_hash: str) -> StoredTemplate:
    """The template stored under that hash; raises `PromptError` where there is none."""
    if not re.fullmatch(HASH_FORM, content_hash):
        raise PromptError(f"template {brief(content_hash)}", expected="the 16 hex digits of a stored template")
    return _read(_path(content_hash))


def stored_templates() -> tuple[StoredTemplate, ...]:
    """The stored templates by name, at most `MOST_LISTED`; damaged ones are left out."""
    try:
        paths = sorted((home_path() / FOLDER).glob("*.json"))[:MOST_LISTED]
    except OSError:
        return ()
    templates = []
    for path in paths:
        with contextlib.suppress(PromptError):
            templates.append(_read(path))
    return tuple(sorted(templates, key=lambda stored: (stored.name.casefold(), stored.content_hash)))


def template_of(content_hash: str | None, family: Family) -> Template | None:
    """The stored template that a case names, if it has what the family needs; None where the case names none.

    Raises `PromptError` for one that is not stored here and for one of the other family.
    """
    return None if content_hash is None else stored_template(content_hash).template.checked_for(family)


def _family(template: Template) -> Family:
    answers = "{answer}" in template.demo
    return next(row.name for row in FAMILIES.values() if row.labelled == answers)


def _decoded(content: bytes, label: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"the byte 0x{content[error.start]:02X}, which is not UTF-8"
        raise PromptError(problem, expected="a text file in UTF-8", where=f"{label}, line {line}") from None


def _path(content_hash: str) -> Path:
    return home_path() / FOLDER / f"{content_hash}.json"


def _read(path: Path) -> StoredTemplate:
    try:
        return _parsed(path, state_of(path))
    except OSError:
        problem = f"template {path.stem} is not stored on this machine"
        raise PromptError(problem, expected="a template's file, by --template or on the page") from None


@lru_cache(maxsize=64)
def _parsed(path: Path, _state: tuple[int, ...]) -> StoredTemplate:
    record = unsealed(path) or {}
    name, text = record.get("name"), record.get("text")
    if not isinstance(name, str) or not isinstance(text, str):
        raise PromptError(f"the stored template {path.stem} is damaged", expected="its file, once more")
    stored = checked_template(text.encode("utf-8", "surrogatepass"), name)
    if stored.content_hash != path.stem:
        raise PromptError(f"the stored template {path.stem} has other content", expected="its file, once more")
    return stored

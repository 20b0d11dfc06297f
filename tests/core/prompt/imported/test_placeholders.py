"""Templates are filled in as Jinja and Python do, where they have no code; code is refused with its line."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import TEXTS

from core.prompt.imported import placeholders
from core.prompt.imported.placeholders import TemplateError, format_parts, pieces_of, style_of

VALUES: dict[str, Any] = {
    "q": "a {{ s }} {x} {% if %}",
    "s": "s",
    "demos": [{"i": "b", "o": "Yes"}, {"i": "{c}", "o": "No"}],
    "liked": ["A", "B"],
    "n": 3,
    "nothing": None,
}
TEMPLATES = (
    "{{ s }}{% for d in demos %}\nInput: {{ d.i }}\nOutput: {{ d.o }}{% endfor %}\nInput: {{ q }}\nOutput:\n",
    "{{s}} {#- a comment -#} x {{- n }}\n\n",
    "{%- for d in demos -%}\n {{ loop.index }}. {{ d.i }} \n{%- endfor %} {{ liked | join(', ') }}",
    "{{ liked|join('\\n') }}",
    "{% for d in demos %}{% for t in liked %}{{ t }}{{ d.o }};{% endfor %}{% endfor %} {{ demos }} {{ liked.1 }}",
    "no tags",
    "",
)


def filled(template: str, **changes: Any) -> str:
    return "".join(piece.text for piece in pieces_of(template, VALUES | changes, "t.j2"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_filled_in_is_what_jinja_writes(template: str) -> None:
    assert filled(template, style=None) == jinja2.Template(template).render(VALUES)


@given(values=st.dictionaries(st.sampled_from("abc"), TEXTS, min_size=3), words=TEXTS)
def test_values_are_never_looked_at(values: dict[str, str], words: str) -> None:
    literal = re.sub(r"[{}]", "", words)
    template = literal + "{a}|{b}" + literal + "{{{c}}}"
    whole = "".join(piece.text for piece in pieces_of(template, values, "t", style="format"))
    assert whole == f"{literal}{values['a']}|{values['b']}{literal}{{{values['c']}}}"
    assert whole == template.format_map(values)


def test_the_style_is_told_by_its_tags() -> None:
    assert (style_of("{{ x }}"), style_of("{% for x in y %}"), style_of("{x} y")) == ("jinja", "jinja", "format")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("\n{{ x.__class__ }}", "t: no value for x.__class__"),
        ("{{ s.upper() }}", "t, line 1: {{ s.upper() }} is code"),
        ("a\n{{ s|upper }}", "t, line 2: {{ s|upper }} is code"),
        ("{% if s %}x{% endif %}", "t, line 1: {% if s %} is not filled in"),
        ("{% for i in range(10**9) %}x{% endfor %}", "t, line 1: {% for i in range(10**9) %} is not filled in"),
        ("{% include '/etc/passwd' %}", "t, line 1: {% include '/etc/passwd' %} is not filled in"),
        ("{% set x = 1 %}", "is not filled in"),
        ("{% for d in demos %}", "a {% for %} without {% endfor %}"),
        ("{% endfor %}", "is not filled in"),
        ("{% for d in s %}{% endfor %}", "s is no such list"),
        ("{% for d in demos %}" * 3 + "{% endfor %}" * 3, "is not filled in"),
        ("{s.__class__.__mro__}", "no value for s.__class__.__mro__"),
        ("{0}", "'{0}' is no placeholder"),
        ("{s!r}", "'{s!r}' is no placeholder"),
        ("x\n{s:>10000000}", "t, line 2: '{s:>10000000}' is no placeholder"),
        ('{"json": 1}', "is no placeholder"),
        ("{", "is no placeholder"),
        ("{missing}", "no value for missing"),
        ("{{ demos.7.i }}", "no value for demos.7.i"),
    ],
)
def test_code_and_missing_values_are_refused(template: str, sentence: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(sentence)):
        pieces_of(template, VALUES, "t")


def test_a_template_that_grows_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placeholders, "LONGEST_PROMPT", 1_000)
    many = {"xs": ["x" * 50] * 100}
    with pytest.raises(TemplateError, match="too long"):
        pieces_of("{% for a in xs %}{% for b in xs %}{{ b }}{% endfor %}{% endfor %}", many, "t")
    with pytest.raises(TemplateError, match="at most 1,000 items"):
        pieces_of("{% for a in xs %}{% endfor %}", {"xs": [1] * 1_001}, "t")


def kinds(template: str) -> list[tuple[str, str, int | None]]:
    return [(part.kind, part.text, part.number) for part in format_parts(pieces_of(template, VALUES, "t"))]


def test_variables_say_the_cuts() -> None:
    template = "{{ s }}:{% for d in demos %}\n{{ d.i }} {{ d.o }}{% endfor %}\n{{ liked | join(', ') }} {{ n }}"
    assert kinds(template) == [
        ("pinned", "s:", None),
        ("demo", "\nb Yes", 1),
        ("demo", "\n{c} No", 2),
        ("query", "\n", None),
        ("history", "A, ", 1),
        ("history", "B", 2),
        ("query", " 3", None),
    ]
    assert kinds("{{ s }} {{ q }}") == []


def test_a_variable_with_all_demonstrations_is_cut_by_its_text() -> None:
    shown = "Rules.\n\nIn: a\nOut: Yes\n\nIn: b\nOut: No"
    parts = format_parts(pieces_of("{demos}\n\nIn: {q}\nOut:", {"demos": shown, "q": "c"}, "t", style="format"))
    assert [(part.kind, part.text) for part in parts] == [
        ("pinned", "Rules.\n\n"),
        ("demo", "In: a\nOut: Yes\n\n"),
        ("demo", "In: b\nOut: No"),
        ("query", "\n\nIn: c\nOut:"),
    ]

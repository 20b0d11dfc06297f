"""How is a template filled in without running anything? Names are replaced by values, and a list is repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from core.errors import PromptError
from core.prompt.imported.calls import LONGEST_PROMPT, FormatPart
from core.prompt.imported.cutting import blocks_of

TemplateStyle = Literal["jinja", "format"]
"""`{{ name }}` with `{% for %}`, or Python's `{name}`."""
DEMO_NAMES = frozenset(
    ("demos", "demonstrations", "examples", "few_shot", "few_shots", "fewshot", "shots", "icl_examples", "in_context")
)
"""Variables that hold demonstrations."""
MOST_PIECES = 20_000
DEEPEST_LOOP, MOST_ITEMS = 2, 1_000

_TAG = re.compile(r"\{\{-?(?P<value>.*?)-?\}\}|\{%-?(?P<block>.*?)-?%\}|\{#.*?#\}", re.DOTALL)
_FIELD = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}\n]*)\}|[{}]")
_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_FOR = re.compile(r"for\s+([A-Za-z_]\w*)\s+in\s+([A-Za-z_][\w.]*)")
_JOINED = re.compile(r"""([A-Za-z_][\w.]*)\s*\|\s*join\(\s*(?:"([^"]*)"|'([^']*)')\s*\)""")
_RULE = 'only {{ name }}, {{ name | join(", ") }} and {% for x in name %} … {% endfor %}'


class TemplateError(PromptError):
    """A template has code, or no value for a placeholder."""


class FilledPiece(NamedTuple):
    """Characters of a filled template and where they come from."""

    text: str
    name: str | None = None
    """Variable; None for the template's own words."""
    item: int | None = None
    """Place in the list that is repeated, from 0."""
    fields: bool = False
    """Whether the items of that list have fields of their own, as demonstrations have."""


@dataclass
class _Node:
    """A part of a Jinja template: its own words, a value, or a loop with parts inside."""

    text: str = ""
    path: str = ""
    variable: str = ""
    separator: str | None = None
    inner: list[_Node] = field(default_factory=list)


def style_of(template: str) -> TemplateStyle:
    """Jinja where a template has its tags, else a format string."""
    return "jinja" if _TAG.search(template) else "format"


def pieces_of(
    template: str, values: Mapping[str, Any], where: str, *, style: TemplateStyle | None = None
) -> list[FilledPiece]:
    """The filled template in pieces; values are put in as they are and never looked at for placeholders.

    Raises `TemplateError` at `where` with the line for code, an unknown form and a placeholder without value.
    """
    style = style or style_of(template)
    pieces: list[FilledPiece] = []
    size = 0
    for piece in _format(template, values, where) if style == "format" else _jinja(template, values, where):
        size += len(piece.text)
        if size > LONGEST_PROMPT or len(pieces) > MOST_PIECES:
            raise TemplateError("the filled template is too long", where=where)
        pieces.append(piece)
    return pieces


def _format(template: str, values: Mapping[str, Any], where: str) -> Iterator[FilledPiece]:
    end = 0
    for tag in _FIELD.finditer(template):
        yield FilledPiece(template[end : tag.start()])
        end = tag.end()
        if tag[0] in ("{{", "}}"):
            yield FilledPiece(tag[0][0])
        elif tag["name"] is None or not _PATH.fullmatch(tag["name"]):
            line = template.count("\n", 0, tag.start()) + 1
            raise TemplateError(f"{tag[0][:40]!r} is no placeholder", expected="{name}", where=f"{where}, line {line}")
        else:
            yield FilledPiece(_written(_looked_up(values, tag["name"], where)), tag["name"])
    yield FilledPiece(template[end:])


def _jinja(template: str, values: Mapping[str, Any], where: str) -> Iterator[FilledPiece]:
    nodes = _parsed(template.removesuffix("\n"), where)  # Jinja drops the template's last line break.
    return _filled(nodes, dict(values), where)


def _parsed(template: str, where: str) -> list[_Node]:
    root = _Node()
    open_nodes, end, strips = [root], 0, False
    for tag in _TAG.finditer(template):
        line = template.count("\n", 0, tag.start()) + 1
        text = template[end : tag.start()]
        text = text.lstrip() if strips else text
        open_nodes[-1].inner.append(_Node(text.rstrip() if tag[0][2:3] == "-" else text))
        end, strips = tag.end(), tag[0][-3:-2] == "-"
        if tag["value"] is not None:
            open_nodes[-1].inner.append(_value_node(tag["value"].strip(), f"{where}, line {line}"))
        elif tag["block"] is not None:
            _enter_block(open_nodes, tag["block"].strip(), f"{where}, line {line}")
    if len(open_nodes) > 1:
        raise TemplateError("a {% for %} without {% endfor %}", where=where)
    root.inner.append(_Node(template[end:].lstrip() if strips else template[end:]))
    return root.inner


def _value_node(words: str, where: str) -> _Node:
    if joined := _JOINED.fullmatch(words):
        separator = joined[2] if joined[2] is not None else joined[3]
        return _Node(path=joined[1], separator=separator.replace("\\n", "\n"))
    if not _PATH.fullmatch(words):
        raise TemplateError(f"{{{{ {words[:40]} }}}} is code", expected=_RULE, where=where)
    return _Node(path=words)


def _enter_block(open_nodes: list[_Node], words: str, where: str) -> None:
    if words == "endfor" and len(open_nodes) > 1:
        open_nodes.pop()
        return
    loop = _FOR.fullmatch(words)
    if loop is None or len(open_nodes) > DEEPEST_LOOP:
        raise TemplateError(f"{{% {words[:40]} %}} is not filled in", expected=_RULE, where=where)
    node = _Node(variable=loop[1], path=loop[2])
    open_nodes[-1].inner.append(node)
    open_nodes.append(node)


def _filled(nodes: Sequence[_Node], values: Mapping[str, Any], where: str) -> Iterator[FilledPiece]:
    for node in nodes:
        if not node.path:
            yield FilledPiece(node.text)
            continue
        value = _looked_up(values, node.path, where)
        if node.variable:
            yield from _repeated(node, value, values, where)
        elif node.separator is not None:
            yield from _joined(node, value, where)
        else:
            yield FilledPiece(_written(value), node.path)


def _repeated(node: _Node, value: Any, values: Mapping[str, Any], where: str) -> Iterator[FilledPiece]:
    size = 0
    for place, item in enumerate(_items(value, node.path, where)):
        inner = {**values, node.variable: item, "loop": {"index": place + 1, "index0": place}}
        text = "".join(piece.text for piece in _filled(node.inner, inner, where))
        size += len(text)
        if size > LONGEST_PROMPT:
            raise TemplateError("the filled template is too long", where=where)
        yield FilledPiece(text, node.path, place, isinstance(item, Mapping))


def _joined(node: _Node, value: Any, where: str) -> Iterator[FilledPiece]:
    items = _items(value, node.path, where)
    for place, item in enumerate(items):
        behind = (node.separator or "") if place < len(items) - 1 else ""
        yield FilledPiece(_written(item) + behind, node.path, place)


def _items(value: Any, path: str, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)) or len(value) > MOST_ITEMS:
        expected = f"a list of at most {MOST_ITEMS:,} items to repeat"
        raise TemplateError(f"{path} is no such list", expected=expected, where=where)
    return value


def _looked_up(values: Mapping[str, Any], path: str, where: str) -> Any:
    """The value of a dotted name: fields of objects and places of lists, never anything of Python."""
    value: Any = values
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, (list, tuple)) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise TemplateError(f"no value for {path[:60]}", expected="a column or field of that name", where=where)
    return value


def _written(value: Any) -> str:
    """A value as Python and Jinja write it."""
    return "" if value is None else str(value)


def format_parts(pieces: Sequence[FilledPiece]) -> tuple[FormatPart, ...]:
    """What the variables say of the cuts: demonstrations and history items; nothing where no demonstration stands.

    Text before the first demonstration is pinned, text behind the last is the query.
    """
    parts: list[FormatPart] = []
    for piece in (piece for piece in pieces if piece.text):
        parts += _piece_parts(piece)
    demos = [place for place, part in enumerate(parts) if part.kind == "demo"]
    if not demos:
        return ()
    for place, part in enumerate(parts[: demos[-1]]):
        if part.kind != "demo":
            parts[place] = FormatPart("pinned", part.text)
    return _merged(parts)


def _piece_parts(piece: FilledPiece) -> list[FormatPart]:
    name = (piece.name or "").lower().rpartition(".")[2]
    if piece.item is not None and (piece.fields or name in DEMO_NAMES):
        return [FormatPart("demo", piece.text, 1)]
    if piece.item is not None:
        return [FormatPart("history", piece.text, 1)]
    if name not in DEMO_NAMES:
        return [FormatPart("query", piece.text)]
    instruction, *demos = blocks_of(piece.text)
    return [FormatPart("pinned", instruction)] * bool(instruction) + [FormatPart("demo", text, 1) for text in demos]


def _merged(parts: Sequence[FormatPart]) -> tuple[FormatPart, ...]:
    """Neighbours of pinned or of query text as one part; demonstrations and history items numbered from 1."""
    merged: list[FormatPart] = []
    counts = {"demo": 0, "history": 0}
    for part in parts:
        if part.kind in counts:
            counts[part.kind] += 1
            merged.append(FormatPart(part.kind, part.text, counts[part.kind]))
        elif merged and merged[-1].kind == part.kind:
            merged[-1] = FormatPart(part.kind, merged[-1].text + part.text)
        else:
            merged.append(FormatPart(part.kind, part.text))
    return tuple(merged)

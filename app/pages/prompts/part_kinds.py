"""Which kinds of part does a prompt have on the screen? Its words, its key and its colours, a row each."""

from __future__ import annotations

from dataclasses import dataclass

from core.prompt.imported.case_file import CasePart, PartKind, PromptCase


@dataclass(frozen=True)
class PartRow:
    """One kind of part; colours are marks on paper, at least 3:1, for the light and the dark theme."""

    kind: PartKind
    words: str
    help: str
    letter: str
    """The key that sets it."""
    light: str
    dark: str


PART_ROWS = (
    PartRow("pinned", "Pinned text", "Stays in every prompt, such as the instruction.", "P", "#6B7683", "#8995A3"),
    PartRow(
        "demo",
        "Demonstration",
        "An example with its answer, always taken out as a whole.",
        "D",
        "#00805C",
        "#2FBF93",
    ),
    PartRow("history", "History item", "One item of the history that the query shows.", "H", "#A6428B", "#DB8FC1"),
    PartRow("query", "Query", "The question that the answer follows.", "Q", "#8A6A00", "#D8B93C"),
)
WORDS = {row.kind: row.words for row in PART_ROWS}


def part_label(part: CasePart, before: CasePart | None) -> str:
    """`Demonstration 2`, `Query`; `continued` for a part of the same demonstration or item as the one before."""
    if part.number is None:
        return WORDS[part.kind]
    same = before is not None and (before.kind, before.number) == (part.kind, part.number)
    return f"{WORDS[part.kind]} {part.number}{', continued' if same else ''}"


def drawn_parts(case: PromptCase) -> list[dict[str, object]]:
    """The parts as the browser draws them; texts exactly as logged."""
    befores = (None, *case.parts[:-1])
    return [
        {
            "kind": part.kind,
            "number": part.number,
            "label": part_label(part, before),
            "under": "" if part.role is None else f"{part.role}, message {(part.message or 0) + 1}",
            "text": part.text,
        }
        for part, before in zip(case.parts, befores, strict=True)
    ]

"""How does a saved DSPy program hold its demonstrations?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.prompt.imported.calls import Call, FormatPart, Json, Logged, Skipped, text_or_none

REBUILT = (
    "DSPy stores no adapter: the prompt is put together from the prefixes of the program's fields and may differ from "
    "the one sent."
)
ASKED = "The program holds no question: its last demonstration is asked, with its answer as the true one."
NOT_FIELDS = frozenset({"augmented", "reasoning", "rationale"})
SEPARATOR = "\n\n---\n\n"


def predictors_of(record: Json) -> dict[str, Json]:
    """The predictors of a program by name; a program that is one predictor has it under an empty name."""
    if "demos" in record and ("signature" in record or "signature_instructions" in record):
        return {"": record}
    return {
        name: value
        for name, value in record.items()
        if isinstance(value, Mapping) and "demos" in value and _has_signature(value)
    }


def _has_signature(value: Json) -> bool:
    return any(name in value for name in ("signature", "extended_signature", "signature_instructions"))


def program_calls(line: int, record: Json) -> Iterator[Logged]:
    """A call for each predictor: its last demonstration is asked, the others stand before it."""
    for name, predictor in predictors_of(record).items():
        instructions, fields = signature_of(predictor)
        demos = [demo for demo in predictor.get("demos") or [] if isinstance(demo, Mapping)]
        fields = fields or _fields_of(demos)
        examples = [demo for demo in demos if all(text_or_none(demo.get(field)) for field, _ in fields)]
        if len(examples) < 2 or not fields:
            yield Skipped(line, f"predictor {name[:40]!r} with fewer than two whole demonstrations")
        else:
            yield _call(line, name, instructions, fields, examples)


Fields = list[tuple[str, str]]
"""Name and prefix of each field; the last is the answer."""


def signature_of(predictor: Json) -> tuple[str, Fields]:
    """Instructions and fields of a signature of any version; the names of fields come from their prefixes."""
    signature: Any = predictor.get("signature") or predictor.get("extended_signature") or predictor
    if not isinstance(signature, Mapping):
        return str(signature), []
    instructions = str(signature.get("instructions") or predictor.get("signature_instructions") or "")
    fields: Fields = []
    for field in signature.get("fields") or ():
        prefix = str(field.get("prefix", "")).strip() if isinstance(field, Mapping) else ""
        if prefix:
            fields.append((_name(prefix, str(field.get("description", ""))), prefix))
    return instructions, fields


def _name(prefix: str, description: str) -> str:
    """A field's name: `${history}` in its description, else its prefix in lower case with underscores."""
    if description.startswith("${") and description.endswith("}"):
        return description[2:-1]
    return prefix.rstrip(":").strip().lower().replace(" ", "_")


def _fields_of(demos: Sequence[Json]) -> Fields:
    names = [name for name in (demos[0] if demos else {}) if name not in NOT_FIELDS]
    return [(name, f"{name.replace('_', ' ').title()}:") for name in names]


def _call(line: int, name: str, instructions: str, fields: Fields, demos: Sequence[Json]) -> Call:
    *examples, query = demos
    parts = [FormatPart("pinned", instructions + SEPARATOR)] if instructions else []
    parts += [FormatPart("demo", _written(demo, fields) + SEPARATOR, place) for place, demo in enumerate(examples, 1)]
    question = {**query, fields[-1][0]: ""}
    parts.append(FormatPart("query", _written(question, fields).rstrip()))
    return Call(
        line,
        text="".join(part.text for part in parts),
        format_parts=tuple(parts),
        format_answers=tuple(str(demo[fields[-1][0]]).strip() for demo in examples),
        target=text_or_none(query.get(fields[-1][0])),
        call_id=name or None,
        notices=(REBUILT, ASKED),
    )


def _written(demo: Json, fields: Fields) -> str:
    return "\n".join(f"{prefix} {demo.get(name, '')}" for name, prefix in fields)

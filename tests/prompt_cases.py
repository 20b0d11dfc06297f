"""Cases that tests write and read."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from core.prompt.imported.case_file import AnswerOption, CaseOrigin, CasePart, PromptCase, numbered

YES_NO = (AnswerOption(option_id="yes", text="Yes"), AnswerOption(option_id="no", text="No"))
ORIGIN = CaseOrigin(file="log.jsonl", line=3, format="openai_chat", call_id="call-3")


def text_case(**changes: Any) -> PromptCase:
    values: dict[str, Any] = {
        "case_id": "case-1",
        "parts": (
            CasePart(kind="pinned", text="Answer Yes or No.\n"),
            CasePart(kind="demo", text="Liked: Tin Harbour. Next: Paper Moons? Yes\n", number=1),
            CasePart(kind="demo", text="Liked: Salt Parade. Next: Paper Moons? No\n", number=2),
            CasePart(kind="query", text="Liked: "),
            CasePart(kind="history", text="Blue Kettle, ", number=1),
            CasePart(kind="history", text="North Lamp", number=2),
            CasePart(kind="query", text=". Next: Small Thunder?"),
        ),
        "options": YES_NO,
        "options_from": "labels",
        "target": "yes",
        "answer_cue": False,
        "origin": ORIGIN,
        "cuts_from": "format",
    }
    return PromptCase(**values | changes)


def chat_case(**changes: Any) -> PromptCase:
    parts = (
        CasePart(kind="pinned", text="Answer Yes or No.", message=0, role="system"),
        CasePart(kind="demo", text="Next: Paper Moons?", number=1, message=1, role="user"),
        CasePart(kind="demo", text="Yes", number=1, message=2, role="assistant"),
        CasePart(kind="query", text="Liked: ", message=3, role="user"),
        CasePart(kind="history", text="Blue Kettle", number=1, message=3, role="user"),
        CasePart(kind="query", text=". Next: Small Thunder?", message=3, role="user"),
    )
    return text_case(**{"parts": parts} | changes)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def parts_of(draw: st.DrawFn, chat: bool | None = None) -> tuple[CasePart, ...]:
    """Parts of a text prompt or of a chat, of any kinds in any order."""
    chat = draw(st.booleans()) if chat is None else chat
    roles = draw(st.lists(st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=4)) if chat else [None]
    parts = []
    for place, role in enumerate(roles):
        for text in draw(st.lists(TEXTS, min_size=1, max_size=4)):
            kind = draw(st.sampled_from(["pinned", "demo", "history", "query"]))
            number = draw(st.integers(1, 2)) if kind in ("demo", "history") else None
            message = place if chat else None
            parts.append(CasePart(kind=kind, text=text, number=number, message=message, role=role))
    return numbered(tuple(parts))


CASES = st.builds(
    text_case,
    case_id=TEXTS,
    parts=parts_of(),
    target=st.sampled_from([None, "yes", "no"]),
    completion=st.none() | TEXTS,
    answer_cue=st.booleans(),
    notices=st.lists(TEXTS, max_size=2).map(tuple),
)

"""How are the cuts and options of a case corrected by hand? The prompt's text stays, character by character."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import RequestError
from core.prompt.imported.answer_options import Options, OptionSource, answer_options, option_of, options_of
from core.prompt.imported.calls import Call
from core.prompt.imported.case_file import CasePart, PartKind, PromptCase, messages_of, numbered, text_of
from core.prompt.imported.cutting import cuttings_of
from core.words import brief

HAND = "hand"
"""What `cuts_from` says of corrected cuts."""


def set_kind(case: PromptCase, place: int, kind: PartKind, *, with_previous: bool = False) -> PromptCase:
    """The case with another kind for the part at `place`, from 0.

    `with_previous` makes it belong to the demonstration or history item before it. Demonstrations are numbered anew.
    Raises `RequestError` for a place that is none, or where no part of that kind stands before it.
    """
    part = _part(case, place)
    before = case.parts[place - 1] if place else None
    if with_previous and (before is None or before.kind != kind or before.number is None):
        raise RequestError(f"no {kind} before part {place + 1} that it could belong to")
    number = _FRESH if kind in ("demo", "history") else None
    if with_previous and before is not None:
        number = before.number
    return _changed(case, place, place + 1, (part.model_copy(update={"kind": kind, "number": number}),))


_FRESH = 1_000_000_000
"""A number that no neighbour has."""


def split_part(case: PromptCase, place: int, at: int) -> PromptCase:
    """The case with the part at `place` in two, before character `at` of its text; both keep its kind.

    Two parts of a demonstration or history item stay one until `set_kind` makes them two. Raises `RequestError` for a
    place that is none, or one at the edge of the text.
    """
    part = _part(case, place)
    if not 0 < at < len(part.text):
        problem = f"character {at} of a part of {len(part.text)} characters"
        raise RequestError(problem, expected="a place inside of it", where="split")
    first, second = (part.model_copy(update={"text": text}) for text in (part.text[:at], part.text[at:]))
    return _changed(case, place, place + 1, (first, second))


def join_parts(case: PromptCase, place: int) -> PromptCase:
    """The case with the part at `place` and the next as one, of the first one's kind.

    Two turns of a chat keep their messages and become one demonstration or history item. Raises `RequestError` where
    none follows.
    """
    first, second = _part(case, place), _part(case, place + 1)
    if first.message != second.message:
        same = second.model_copy(update={"kind": first.kind, "number": first.number})
        return _changed(case, place, place + 2, (first, same))
    return _changed(case, place, place + 2, (first.model_copy(update={"text": first.text + second.text}),))


def _part(case: PromptCase, place: int) -> CasePart:
    if not 0 <= place < len(case.parts):
        problem = f"part {place + 1} of a case with {len(case.parts)} parts"
        raise RequestError(problem, expected="a part of the case")
    return case.parts[place]


def _changed(case: PromptCase, start: int, end: int, parts: tuple[CasePart, ...]) -> PromptCase:
    whole = numbered((*case.parts[:start], *parts, *case.parts[end:]))
    return PromptCase.model_validate({**dict(case), "parts": whole, "cuts_from": HAND})


# ---- answer options


def set_options(
    case: PromptCase,
    source: OptionSource,
    *,
    labels: Sequence[str] = (),
    titles: Sequence[str] = (),
    others: Sequence[str] = (),
) -> PromptCase:
    """The case with other answer options: `labels` or `titles` as a person names them, else what the prompt and its log
    give; `others` are answers of other calls.

    The true answer stays where it is one of the options. Raises `RequestError` where the source gives fewer than two.
    """
    true_answer = next((option.text for option in case.options if option.option_id == case.target), None)
    messages = messages_of(case)
    call = Call(
        messages=messages,
        text=None if messages else text_of(case),
        completion=case.completion,
        target=true_answer,
    )
    answers = _demo_answers(case)
    options = options_of(call, case.parts, answers, source=source, labels=labels, titles=titles, others=others)
    if isinstance(options, str):
        raise RequestError(options, where="options")
    return _with_options(case, options, true_answer)


def _with_options(case: PromptCase, options: Options, true_answer: str | None) -> PromptCase:
    notices = (*case.notices, *(notice for notice in options.notices if notice not in case.notices))
    changes = {
        "options": answer_options(options),
        "options_from": options.source,
        "target": option_of(true_answer, options),
        "notices": notices,
    }
    return PromptCase.model_validate({**dict(case), **changes})


def set_target(case: PromptCase, option_id: str | None) -> PromptCase:
    """The case with another true answer, or none. Raises `RequestError` for an id that is no option."""
    if option_id is not None and option_id not in {option.option_id for option in case.options}:
        raise RequestError(f"true answer {brief(option_id)}", expected="the id of an option")
    return case.model_copy(update={"target": option_id})


def _demo_answers(case: PromptCase) -> tuple[str, ...]:
    """The answers of the demonstrations, in order: the assistant's turns, else as their text tells; none where one has
    none."""
    demos: dict[int, list[CasePart]] = {}
    for part in case.parts:
        if part.kind == "demo" and part.number is not None:
            demos.setdefault(part.number, []).append(part)
    last = [parts[-1] for parts in demos.values()]
    if last and all(part.role == "assistant" for part in last):
        return tuple(part.text.strip() for part in last)
    cuttings = cuttings_of("".join(part.text for parts in demos.values() for part in parts), closed=True)
    answers = tuple(demo.answer for demo in cuttings[0].demos) if cuttings else ()
    return answers if len(answers) == len(demos) and all(answers) else ()

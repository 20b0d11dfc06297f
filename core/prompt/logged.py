"""A prompt that somebody else wrote, as spans: run as logged, with whole demonstrations or history items left out.

Its text stays as it is; leaving something out deletes that text and nothing else. A chat stands in the model's own
template where that writes a conversation with fewer demonstrations as the same text with theirs deleted; this is
checked, and a template that does not gives way to plain lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.data.records import Case, Demonstration, LoggedPrompt, Piece, Role, Turn, Words
from core.errors import ModelError, PromptError
from core.prompt.spans import ChatTurns, Encoding, Prompt, Span, SpanKind, Stretch, Tokenizer
from core.prompt.titles import oddities, quoted
from core.words import counted

REPLIER = "assistant"
"""The role whose words are scored."""
CONTEXT_LETTERS = 200
"""Letters before an answer that its tokens are read with: more than any tokenizer joins to a word."""
LEAST_LETTERS = 4
"""Shortest option that counts as shown by a demonstration that holds it: shorter ones are in many words."""
_OPENING_MARKS = "([{<“‘«"
_PLAIN = "The messages are run as plain lines, each behind the name of its role: {why}."
_NO_CUE = "The prompt ends without words that an answer follows, such as “Answer:”; options stand behind a space."

Section = Sequence[Piece]


@dataclass(frozen=True)
class _Frame:
    """A prompt's sections with what stands between their words."""

    sections: tuple[tuple[Stretch, ...], ...]
    tail: str = ""
    lead: str = ""
    of_model: bool = False
    """Whether the model's chat template wrote what is not the log's."""


def logged_prompt(
    case: Case, demonstrations: Sequence[Demonstration], tokenizer: Tokenizer, *, context: int | None = None
) -> Prompt:
    """The prompt of an imported case with these demonstrations, which may be fewer than it has, or others.

    Of its history those items stand that the case still has, in the order of the log. Nothing is ever cut: raises
    `PromptError` for a prompt longer than `context` tokens, an option without tokens, and a prompt without any.
    """
    logged = case.logged
    assert logged is not None
    remaining = {row.item_id for row in case.history}
    sections = [logged.opening, *(demo.pieces for demo in demonstrations), logged.closing]
    frame, notices = _framed([_kept(section, remaining) for section in sections], tokenizer)
    frame, cue_notices = _with_lead(frame, logged)
    closing = (*frame.sections[-1], Stretch(frame.tail, frame=frame.of_model))
    cut = tokenizer.cut([*frame.sections[:-1], closing], start=not frame.of_model)
    instruction, *demos, query = cut.parts
    before = "".join(part.text for part in cut.parts)[-CONTEXT_LETTERS:]
    prompt = Prompt(
        family="next_item",
        instruction=_span("instruction", 0, instruction),
        demos=tuple(_span("demo", index, part) for index, part in enumerate(demos)),
        query=_span("query", 0, query),
        candidates=tuple(_options(logged, frame.lead, before, tokenizer)),
        answer_ids=None,
        notices=(*notices, *cue_notices, *_about_tokens(cut.apart, cut.parts), *_about_options(logged, tokenizer)),
        kept_demos=tuple(range(len(demonstrations))),
    )
    _check_length(prompt, case.user_id, context)
    return prompt


def options_shown(demo: Demonstration, logged: LoggedPrompt) -> tuple[str, ...]:
    """Item ids of the answer options whose title an imported demonstration holds, in any case; none where options are
    labels."""
    text = words_of(demo.pieces).casefold()
    titles = logged.options if logged.titles else ()
    return tuple(item for item, title in titles if len(title) >= LEAST_LETTERS and title.casefold() in text)


def with_other_answer(demo: Demonstration, logged: LoggedPrompt) -> Demonstration | None:
    """An imported demonstration with the next of the labels in place of the one that it ends with; None where it ends
    with none, or options are titles."""
    places = [place for place, piece in enumerate(demo.pieces) if isinstance(piece, Words) and piece.text.strip()]
    last = demo.pieces[places[-1]] if places else None
    if logged.titles or not isinstance(last, Words):
        return None
    labels = [text for _, text in logged.options]
    bare = last.text.rstrip()
    for label, other in zip(labels, [*labels[1:], labels[0]], strict=True):
        before = bare.removesuffix(label)
        if before != bare and not before[-1:].isalnum():
            words = replace(last, text=before + other + last.text[len(bare) :])
            pieces = (*demo.pieces[: places[-1]], words, *demo.pieces[places[-1] + 1 :])
            return replace(demo, pieces=pieces, liked=not demo.liked)
    return None


def words_of(pieces: Section) -> str:
    """The logged text of pieces, messages behind one another."""
    return "".join(piece.text if isinstance(piece, Words) else "\n" for piece in pieces).strip("\n")


def _kept(section: Section, history: set[str]) -> tuple[Piece, ...]:
    return tuple(
        piece for piece in section if isinstance(piece, Turn) or piece.item_id is None or piece.item_id in history
    )


# ---- what stands between messages


def _framed(sections: Sequence[Section], tokenizer: Tokenizer) -> tuple[_Frame, tuple[str, ...]]:
    """The sections with what stands between messages, and why that is not the model's template where it is not."""
    if not any(isinstance(piece, Turn) for section in sections for piece in section):
        return _Frame(tuple(_stretches(section, iter(())) for section in sections)), ()
    whole = tuple(range(len(sections)))
    variants = [[sections[place] for place in places] for places in (whole, *_fewer(len(sections) - 2))]
    try:
        turns = tokenizer.turns([_roles(variant) for variant in variants])
    except ModelError as error:
        return _in_lines(sections), (_PLAIN.format(why=f"the model's chat template does not write them ({error})"),)
    if turns is None:
        return _in_lines(sections), (_PLAIN.format(why="the model has no chat template"),)
    frame, *others = (_in_template(*pair) for pair in zip(variants, turns, strict=True))
    if others != [_of(frame, places) for places in _fewer(len(sections) - 2)]:
        why = "the model's chat template writes other text around fewer demonstrations"
        return _in_lines(sections), (_PLAIN.format(why=why),)
    return frame, ()


def _in_template(sections: Sequence[Section], turns: ChatTurns) -> _Frame:
    """The sections in the model's chat template."""
    gaps = (Stretch(gap, frame=True) for gap in turns.gaps)
    return _Frame(tuple(_stretches(section, gaps) for section in sections), turns.tail, turns.lead, of_model=True)


def _roles(sections: Sequence[Section]) -> list[Role]:
    return [piece.role for section in sections for piece in section if isinstance(piece, Turn)]


def _in_lines(sections: Sequence[Section]) -> _Frame:
    """The messages as plain lines, `role: words`."""
    roles = _roles(sections)
    gaps = (Stretch(f"{'' if place == 0 else chr(10)}{role}: ") for place, role in enumerate(roles))
    tail = "" if roles[-1] == REPLIER else f"\n{REPLIER}:"
    return _Frame(tuple(_stretches(section, gaps) for section in sections), tail, " " if tail else "")


def _stretches(section: Section, gaps: Iterator[Stretch]) -> tuple[Stretch, ...]:
    return tuple(Stretch(piece.text) if isinstance(piece, Words) else next(gaps) for piece in section)


def _fewer(demos: int) -> list[tuple[int, ...]]:
    """Sections that are left without all demonstrations, all but the first or the last, and those alone."""
    places = range(1, demos + 1)
    kept = [(), places[:1], places[-1:], places[1:], places[:-1]]
    return list(dict.fromkeys((0, *some, demos + 1) for some in kept if len(some) < demos))


def _of(frame: _Frame, places: Sequence[int]) -> _Frame:
    return _Frame(tuple(frame.sections[place] for place in places), frame.tail, frame.lead, frame.of_model)


# ---- what an answer follows


def _with_lead(frame: _Frame, logged: LoggedPrompt) -> tuple[_Frame, tuple[str, ...]]:
    """The frame with what stands between the prompt and an option; spaces at the prompt's end go with the option."""
    if frame.tail:
        return frame, ()
    text = "".join(stretch.text for section in frame.sections for stretch in section)
    bare = text.rstrip(" ")
    if len(bare) < len(text):
        return _Frame(_shortened(frame.sections, len(text) - len(bare)), "", text[len(bare) :], frame.of_model), ()
    follows_mark = bare[-1:] in _OPENING_MARKS or (bare.endswith('"') and bare.count('"') % 2 == 1)
    lead = "" if not bare or bare[-1].isspace() or follows_mark else " "
    notices = () if logged.answer_cue or not lead else (_NO_CUE,)
    return _Frame(frame.sections, "", lead, frame.of_model), notices


def _shortened(sections: tuple[tuple[Stretch, ...], ...], letters: int) -> tuple[tuple[Stretch, ...], ...]:
    """The sections without so many letters at their end."""
    shorter: list[tuple[Stretch, ...]] = []
    for section in reversed(sections):
        row: list[Stretch] = []
        for text, frame in reversed(section):
            gone = min(letters, len(text))
            letters -= gone
            row.append(Stretch(text[: len(text) - gone], frame))
        shorter.append(tuple(reversed(row)))
    return tuple(reversed(shorter))


def _options(logged: LoggedPrompt, lead: str, before: str, tokenizer: Tokenizer) -> Iterator[Span]:
    for index, (item, text) in enumerate(logged.options):
        span = _span("candidate", index, tokenizer.behind(before, lead + text))
        if not span.token_ids:
            expected = "an answer that the model's tokenizer can read, to be scored"
            raise PromptError(f"the option {quoted(text)} ({item[:60]!r}) gives no token", expected=expected)
        yield span


def _span(kind: SpanKind, index: int, encoding: Encoding) -> Span:
    return Span(kind, index, *encoding)


# ---- what a reader should know


def _about_tokens(apart: int, parts: Sequence[Encoding]) -> Iterator[str]:
    if apart:
        total = sum(len(part.token_ids) for part in parts)
        yield (
            f"{counted(apart, 'token')} of {total} at the borders of parts are not those of the text as a whole, where"
            " one token reaches over a border."
        )


def _about_options(logged: LoggedPrompt, tokenizer: Tokenizer) -> Iterator[str]:
    same: Mapping[str, list[str]] = {text: [] for _, text in logged.options}
    for item, text in logged.options:
        same[text].append(item)
        yield from oddities(text, what="Option")
        if unread := tokenizer.unread(text):
            yield f"Option {quoted(text)} loses {quoted(unread)}: the model's tokenizer has no token for that."
    yield from (
        f"{len(items)} options have the text {quoted(text)}; they are told apart by their ids only."
        for text, items in same.items()
        if len(items) > 1
    )


def _check_length(prompt: Prompt, case_id: str, context: int | None) -> None:
    prefix = sum(len(span.token_ids) for span in prompt.prefix)
    if not prefix:
        raise PromptError(f"case {case_id[:60]!r} has no text", expected="a prompt that an answer follows")
    if context is not None and prompt.length > context:
        longest = f"{prefix} tokens, {prompt.length} with its longest option"
        expected = f"at most {context}, the context of the model; a logged prompt is never cut"
        raise PromptError(f"the prompt of case {case_id[:60]!r} has {longest}", expected=expected)

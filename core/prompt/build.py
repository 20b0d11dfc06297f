"""Turn a case and its demonstrations into a prompt: spans of tokens, cut by a plain rule to fit the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from core.data.records import Case, Demonstration, Interaction, Item
from core.errors import PromptError
from core.prompt.codes import Codes
from core.prompt.fit import Histories, fitted
from core.prompt.spans import Family, Prompt, Span, SpanKind, Tokenizer
from core.prompt.template import Placeholder, Template, template_for
from core.prompt.titles import oddities, quoted, shown_title

NO_HISTORY = "none yet"
"""What a prompt says in place of an empty history."""
SEPARATOR = "; "
"""Between two titles of a history."""
ANSWERS = ("Yes", "No")
NO_CODES = Codes({}, {})

Frame = tuple[tuple[int, ...], str, tuple[int, ...], str]


def build(
    case: Case,
    demonstrations: Sequence[Demonstration],
    items: Mapping[str, Item],
    tokenizer: Tokenizer,
    *,
    family: Family,
    noun: str = "item",
    history: int = 5,
    chat: bool = False,
    context: int | None = None,
    liked: Callable[[Interaction], bool] | None = None,
    template: Template | None = None,
    codes: Codes | None = None,
) -> Prompt:
    """The prompt of a case: every token in exactly one span, at most `context` tokens with the longest candidate.

    Each history shows its latest `history` titles (the case's: of the interactions that `liked` accepts, all if None).
    Too long a prompt loses whole titles, then whole demonstrations, by the rule of `core.prompt.fit`.
    A case with an empty history and no demonstrations gives the content-free prompt of calibrated scoring.
    With `codes` the templates that show them are used: a demonstration shows its own user's code.
    Raises `PromptError` for no candidate, an unknown item, a title or answer that cannot be scored,
    and a prompt that does not fit with nothing left to cut.
    """
    _check_candidates(case.candidates)
    shape = _template(template, family, codes)
    writer = _Writer(items, tokenizer, family, noun, _frame(tokenizer, chat), shape, case.user_id, codes or NO_CODES)
    latest = [one.item_id for one in case.history if liked is None or liked(one)]
    histories = Histories(_last(latest, history), tuple(_last(one.history, history) for one in demonstrations))
    candidates = tuple(writer.candidate(index, item) for index, item in enumerate(case.candidates))
    longest = max(len(span.token_ids) for span in candidates)
    kept, cut = fitted(histories, _sizes(writer, demonstrations, longest), context)
    instruction, *demos, query = writer.prefix(demonstrations, kept)
    shown = [*case.candidates, *(demonstrations[index].item_id for index in kept.shown), *kept.query]
    shown += [item for index in kept.shown for item in kept.demos[index]]
    notices = [*(_no_chat(tokenizer) if chat else ()), *_about_candidates(case, items), *writer.oddities(shown)]
    return Prompt(
        family=family,
        instruction=instruction,
        demos=tuple(demos),
        query=query,
        candidates=candidates,
        answer_ids=writer.answer_ids() if family == "yes_no" else None,
        cut=cut,
        notices=tuple(dict.fromkeys(notices)),
        kept_demos=kept.shown,
        template=writer.template.content_hash,
    )


@dataclass(frozen=True)
class _Writer:
    """Writes the spans of one prompt; holds no state of its own."""

    items: Mapping[str, Item]
    tokenizer: Tokenizer
    family: Family
    noun: str
    frame: Frame | None
    template: Template
    user: str
    """Whose case it is."""
    codes: Codes

    def prefix(self, demonstrations: Sequence[Demonstration], kept: Histories) -> list[Span]:
        demos = [self.demo(place, demonstrations[index], kept.demos[index]) for place, index in enumerate(kept.shown)]
        return [self.instruction(), *demos, self.query(kept.query)]

    def instruction(self) -> Span:
        span = self.span("instruction", 0, self.text("instruction") + "\n")
        ids, text = (self.tokenizer.start(), "") if self.frame is None else self.frame[:2]
        return _after(ids, text, span)

    def demo(self, index: int, demonstration: Demonstration, history: Sequence[str]) -> Span:
        answer = ANSWERS[0] if demonstration.liked else ANSWERS[1]
        shown = self.text(
            "demo", user=demonstration.user_id, history=history, item=demonstration.item_id, answer=answer
        )
        return self.span("demo", index, shown + "\n")

    def query(self, history: Sequence[str]) -> Span:
        text = self.text("query", user=self.user, history=history)
        if self.family == "yes_no":
            return self.span("query", 0, text + "\n")
        return self.with_tail(self.span("query", 0, text))

    def candidate(self, index: int, item: str) -> Span:
        text = self.text("candidate", item=item)
        if self.family == "yes_no":
            return self.with_tail(self.span("candidate", index, text))
        span = self.span("candidate", index, self.lead() + text)
        if not span.token_ids:
            raise PromptError(
                f"the title {quoted(self.title(item))} of item {item!r} gives no token",
                expected="a title that the model's tokenizer can read, to be scored",
            )
        return span

    def lead(self) -> str:
        """What stands before an answer: a space after a cue, nothing after the assistant's header."""
        return "" if self.frame is not None else " "

    def with_tail(self, span: Span) -> Span:
        return span if self.frame is None else _before(span, self.frame[2], self.frame[3])

    def answer_ids(self) -> tuple[int, int]:
        yes, no = (self.answer_id(self.lead() + answer) for answer in ANSWERS)
        if yes == no:
            raise PromptError("the model's tokenizer gives Yes and No the same token", expected="two different ones")
        return yes, no

    def answer_id(self, text: str) -> int:
        ids, offsets = self.tokenizer.encode(text)
        if len(ids) != 1:
            pieces = ", ".join(repr(text[start:end]) for start, end in offsets) or "nothing"
            raise PromptError(f"the model's tokenizer splits the answer {text!r} into {pieces}", expected="one token")
        return ids[0]

    def text(
        self,
        kind: SpanKind,
        *,
        user: str = "",
        history: Sequence[str] = (),
        item: str | None = None,
        answer: str = "",
    ) -> str:
        titles = SEPARATOR.join(shown_title(self.title(one)) for one in history)
        values: dict[Placeholder, str] = {
            "noun": shown_title(self.noun),
            "history": titles or NO_HISTORY,
            "item": "" if item is None else shown_title(self.title(item)),
            "answer": answer,
            "user_code": self.codes.user(user),
            "item_code": "" if item is None else self.codes.item(item),
        }
        return self.template.text(kind, values)

    def title(self, item: str) -> str:
        known = self.items.get(item)
        if known is None:
            raise PromptError(f"item {item[:80]!r} is not in the data", expected="an item id with a title")
        return known.title

    def span(self, kind: SpanKind, index: int, text: str) -> Span:
        ids, offsets = self.tokenizer.encode(text)
        return Span(kind, index, text, ids, offsets)

    def oddities(self, shown: Iterable[str]) -> list[str]:
        cues = self.template.cues(shown_title(self.noun))
        return [sentence for item in dict.fromkeys(shown) for sentence in oddities(self.title(item), cues)]


def _template(template: Template | None, family: Family, codes: Codes | None) -> Template:
    if template is None:
        return template_for(family, codes=codes is not None)
    if template.shows_codes != (codes is not None):
        found = (
            "a template that shows codes, and no codes" if codes is None else "codes, and a template that shows none"
        )
        raise PromptError(found, expected="both or neither", where=template.where)
    return template.checked_for(family)


def _frame(tokenizer: Tokenizer, chat: bool) -> Frame | None:
    return tokenizer.chat_frame() if chat else None


def _last(ids: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(ids[max(0, len(ids) - count) :])


def _sizes(writer: _Writer, demonstrations: Sequence[Demonstration], longest: int) -> Callable[[Histories], int]:
    """Tokens of the whole prompt for given histories; each span is written once however many cuts are tried."""
    fixed = longest + len(writer.instruction().token_ids)
    query = cache(lambda titles: len(writer.query(titles).token_ids))
    demo = cache(lambda index, titles: len(writer.demo(index, demonstrations[index], titles).token_ids))

    def tokens(kept: Histories) -> int:
        return fixed + query(kept.query) + sum(demo(index, kept.demos[index]) for index in kept.shown)

    return tokens


def _after(ids: tuple[int, ...], text: str, span: Span) -> Span:
    """The span with the frame's tokens before it; each of them stands for the whole text of the frame."""
    shift = len(text)
    offsets = ((0, shift),) * len(ids) + tuple((start + shift, end + shift) for start, end in span.offsets)
    return replace(span, text=text + span.text, token_ids=ids + span.token_ids, offsets=offsets)


def _before(span: Span, ids: tuple[int, ...], text: str) -> Span:
    """The span with the frame's tokens behind it; each of them stands for the whole text of the frame."""
    offsets = span.offsets + ((len(span.text), len(span.text) + len(text)),) * len(ids)
    return replace(span, text=span.text + text, token_ids=span.token_ids + ids, offsets=offsets)


def _check_candidates(candidates: Sequence[str]) -> None:
    if not candidates:
        raise PromptError("no candidates", expected="at least one item to score")
    twice = [item for item, count in Counter(candidates).items() if count > 1]
    if twice:
        raise PromptError(f"candidate {twice[0][:80]!r} is listed {candidates.count(twice[0])} times", expected="once")


def _no_chat(tokenizer: Tokenizer) -> tuple[str, ...]:
    if tokenizer.chat_frame() is not None:
        return ()
    return ("The model has no chat template; the plain prompt is used.",)


def _about_candidates(case: Case, items: Mapping[str, Item]) -> list[str]:
    titles = {item: shown_title(items[item].title) for item in case.candidates}
    counts = Counter(titles.values())
    met = {one.item_id for one in case.history}
    same = [
        f"{counts[title]} candidates have the title {quoted(title)}; they are told apart by their ids only."
        for title in counts
        if counts[title] > 1
    ]
    again = [
        f"Candidate {quoted(titles[item])} is already in the user's history; it is scored all the same."
        for item in case.candidates
        if item in met
    ]
    return same + again

"""Turn a case and its demonstrations into a prompt: spans of tokens, cut by a plain rule to fit the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from core.data.records import Case, Demonstration, Interaction, Item
from core.errors import PromptError
from core.prompt.codes import Codes
from core.prompt.families import ANSWERS, FAMILIES, Family, PromptFamily
from core.prompt.fit import Histories, fitted
from core.prompt.spans import Encoding, Prompt, Span, SpanKind, Tokenizer
from core.prompt.template import Template, template_for
from core.prompt.titles import oddities, prompt_title, quoted
from core.prompt.wordings import Wording, frequent_category

NO_HISTORY = "none yet"
"""What a prompt says in place of an empty history."""
NO_WISH = "any"
"""What a prompt says in place of the kind of item wanted, where the history has no category."""
SEPARATOR = "; "
"""Between two titles of a history."""
NO_CODES = Codes({}, {})
_NO_CHAT = ("The model has no chat template; the plain prompt is used.",)


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
    wording: Wording = "plain",
    template: Template | None = None,
    codes: Codes | None = None,
) -> Prompt:
    """The prompt of a case: every token in exactly one span, at most `context` tokens with the longest candidate.

    Each history shows its latest `history` titles (the case's: of the interactions that `liked` accepts, all if None).
    Too long a prompt loses whole titles, then whole demonstrations, by the rule of `core.prompt.fit`.
    A case with an empty history and no demonstrations gives the content-free prompt of calibrated scoring.
    `wording` chooses the template where none is handed in; the kind of item that some of them name is that of the
    history of `history` titles, whole, as no cutting changes it.
    With `codes` the templates that show them are used: a demonstration shows its own user's code.
    Raises `PromptError` for no candidate, an unknown item, a title or answer that cannot be scored,
    and a prompt that does not fit with nothing left to cut; `RequestError` for codes in another wording than `plain`.
    """
    _check_candidates(case.candidates)
    shape = _template(template, family, wording, codes)
    framed = chat and tokenizer.chat_frame() is not None
    latest = _last([met.item_id for met in case.history if liked is None or liked(met)], history)
    wishes = _Wishes(items, latest, history)
    writer = _Writer(items, tokenizer, FAMILIES[family], noun, framed, shape, case.user_id, codes or NO_CODES, wishes)
    titles = history if shape.shows_titles else 0
    histories = Histories(_last(latest, titles), tuple(_last(demo.history, titles) for demo in demonstrations))
    candidates = tuple(writer.candidate(index, item) for index, item in enumerate(case.candidates))
    longest = max(len(span.token_ids) for span in candidates)
    left, cut = fitted(histories, _sizes(writer, demonstrations, longest), context)
    instruction, *demos, query = writer.prefix(demonstrations, left)
    notices = [*(_NO_CHAT if chat and not framed else ()), *writer.notices(case, demonstrations, left)]
    return Prompt(
        family=family,
        instruction=instruction,
        demos=tuple(demos),
        query=query,
        candidates=candidates,
        answer_ids=writer.answer_ids() if FAMILIES[family].scores == "answer" else None,
        cut=cut,
        notices=tuple(dict.fromkeys(notices)),
        kept_demos=left.demo_indices,
        template=writer.template.content_hash,
    )


@dataclass(frozen=True)
class _Wishes:
    """The kinds of item that a prompt says are wanted, from the histories alone."""

    items: Mapping[str, Item]
    latest: tuple[str, ...]
    """Item ids of the case's history, at most `history` of them."""
    history: int

    def query(self) -> str | None:
        return self.of(self.latest)

    def demo(self, demonstration: Demonstration) -> str | None:
        return self.of(_last(demonstration.history, self.history))

    def of(self, item_ids: Sequence[str]) -> str | None:
        return frequent_category([_item(self.items, item_id) for item_id in item_ids])


@dataclass(frozen=True)
class _Writer:
    """Writes the spans of one prompt; holds no state of its own."""

    items: Mapping[str, Item]
    tokenizer: Tokenizer
    family: PromptFamily
    noun: str
    chat: bool
    """Whether the prompt stands in the model's chat template."""
    template: Template
    user: str
    """Whose case it is."""
    codes: Codes
    wishes: _Wishes

    def prefix(self, demonstrations: Sequence[Demonstration], histories: Histories) -> list[Span]:
        demos = [
            self.demo(place, demonstrations[index], histories.demos[index])
            for place, index in enumerate(histories.demo_indices)
        ]
        return [self.instruction(), *demos, self.query(histories.query)]

    def instruction(self) -> Span:
        return _span("instruction", 0, self.tokenizer.opening(self.text("instruction") + "\n", chat=self.chat))

    def demo(self, index: int, demonstration: Demonstration, history: Sequence[str]) -> Span:
        answer = self.family.answer(demonstration.liked) or ""
        text = self.text(
            "demo",
            user=demonstration.user_id,
            history=history,
            wish=self.wishes.demo(demonstration),
            item=demonstration.item_id,
            answer=answer,
        )
        return self.span("demo", index, text + "\n")

    def query(self, history: Sequence[str]) -> Span:
        text = self.text("query", user=self.user, history=history, wish=self.wishes.query())
        return self.span("query", 0, text + "\n") if self.family.scores == "answer" else self.last("query", 0, text)

    def candidate(self, index: int, item: str) -> Span:
        text = self.text("candidate", item=item)
        if self.family.scores == "answer":
            return self.last("candidate", index, text)
        span = _span("candidate", index, self.tokenizer.reply(text, chat=self.chat))
        if not span.token_ids:
            raise PromptError(
                f"the title {quoted(self.title(item))} of item {item!r} gives no token",
                expected="a title that the model's tokenizer can read, to be scored",
            )
        return span

    def last(self, kind: SpanKind, index: int, text: str) -> Span:
        """The span that the model's answer follows."""
        return _span(kind, index, self.tokenizer.closing(text)) if self.chat else self.span(kind, index, text)

    def answer_ids(self) -> tuple[int, int]:
        yes, no = (self.answer_id(answer) for answer in ANSWERS)
        if yes == no:
            raise PromptError("the model's tokenizer gives Yes and No the same token", expected="two different ones")
        return yes, no

    def answer_id(self, answer: str) -> int:
        text, ids, offsets = self.tokenizer.reply(answer, chat=self.chat)
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
        wish: str | None = None,
        item: str | None = None,
        answer: str = "",
    ) -> str:
        titles = SEPARATOR.join(prompt_title(self.title(item_id)) for item_id in history)
        values: dict[str, str] = {
            "noun": prompt_title(self.noun),
            "history": titles or NO_HISTORY,
            "wish": NO_WISH if wish is None else prompt_title(wish),
            "item": "" if item is None else prompt_title(self.title(item)),
            "answer": answer,
            "user_code": self.codes.user(user),
            "item_code": "" if item is None else self.codes.item(item),
        }
        return self.template.text(kind, values)

    def title(self, item: str) -> str:
        return _item(self.items, item).title

    def span(self, kind: SpanKind, index: int, text: str) -> Span:
        return Span(kind, index, text, *self.tokenizer.encode(text))

    def notices(self, case: Case, demonstrations: Sequence[Demonstration], left: Histories) -> list[str]:
        """What a reader should know of the candidates, and of the titles and kinds that the prompt shows."""
        demos = [demonstrations[index] for index in left.demo_indices]
        item_ids = [*case.candidates, *(demo.item_id for demo in demos), *left.query]
        item_ids += [item for index in left.demo_indices for item in left.demos[index]]
        return [*_about_candidates(case, self.items), *self.oddities(item_ids), *self.wish_notices(demos)]

    def oddities(self, item_ids: Iterable[str]) -> list[str]:
        cues = self.template.cues(prompt_title(self.noun))
        titles = [self.title(item) for item in dict.fromkeys(item_ids)]
        return [sentence for title in titles for sentence in (*oddities(title, cues), *self.lost(title))]

    def wish_notices(self, demonstrations: Sequence[Demonstration]) -> list[str]:
        if not self.template.shows_wish:
            return []
        wish, cues = self.wishes.query(), self.template.cues(prompt_title(self.noun))
        nothing = [f"The history names no category, so the prompt asks for {quoted(NO_WISH)} kind of item."]
        names = [wish, *(self.wishes.demo(demonstration) for demonstration in demonstrations)]
        odd = [sentence for name in dict.fromkeys(names) if name for sentence in oddities(name, cues, what="Category")]
        return [*([] if wish else nothing), *odd]

    def lost(self, title: str) -> tuple[str, ...]:
        unread = self.tokenizer.unread(prompt_title(title))
        if not unread:
            return ()
        return (f"Title {quoted(title)} loses {quoted(unread)}: the model's tokenizer has no token for that.",)


def _template(template: Template | None, family: Family, wording: Wording, codes: Codes | None) -> Template:
    if template is None:
        return template_for(family, wording=wording, codes=codes is not None)
    if template.shows_codes != (codes is not None):
        problem = (
            "a template that shows codes, and no codes" if codes is None else "codes, and a template that shows none"
        )
        raise PromptError(problem, expected="both or neither", where=template.where)
    return template.checked_for(family)


def _item(items: Mapping[str, Item], item_id: str) -> Item:
    if item_id not in items:
        raise PromptError(f"item {item_id[:80]!r} is not in the data", expected="an item id with a title")
    return items[item_id]


def _span(kind: SpanKind, index: int, encoding: Encoding) -> Span:
    return Span(kind, index, *encoding)


def _last(ids: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(ids[max(0, len(ids) - count) :])


def _sizes(writer: _Writer, demonstrations: Sequence[Demonstration], longest: int) -> Callable[[Histories], int]:
    """Tokens of the whole prompt for given histories; each span is written once however many cuts are tried."""
    fixed = longest + len(writer.instruction().token_ids)
    query = cache(lambda titles: len(writer.query(titles).token_ids))
    demo = cache(lambda index, titles: len(writer.demo(index, demonstrations[index], titles).token_ids))

    def tokens(histories: Histories) -> int:
        demos = sum(demo(index, histories.demos[index]) for index in histories.demo_indices)
        return fixed + query(histories.query) + demos

    return tokens


def _check_candidates(candidates: Sequence[str]) -> None:
    if not candidates:
        raise PromptError("no candidates", expected="at least one item to score")
    twice = [item for item, count in Counter(candidates).items() if count > 1]
    if twice:
        raise PromptError(f"candidate {twice[0][:80]!r} is listed {candidates.count(twice[0])} times", expected="once")


def _about_candidates(case: Case, items: Mapping[str, Item]) -> list[str]:
    titles = {item: prompt_title(items[item].title) for item in case.candidates}
    counts = Counter(titles.values())
    met = {interaction.item_id for interaction in case.history}
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
    return same + again + _namesakes(case, items, titles)


def _namesakes(case: Case, items: Mapping[str, Item], titles: Mapping[str, str]) -> list[str]:
    """Candidates that are no item of the history but have the title of one."""
    history = dict.fromkeys(interaction.item_id for interaction in case.history)
    namesakes = {prompt_title(items[item].title).casefold(): item for item in history if item in items}
    return [
        f"Candidate {quoted(title)} (item {item!r:.80}) has the title of item {namesakes[title.casefold()]!r:.80}"
        " in the user's history; they are two items with one title."
        for item, title in titles.items()
        if item not in history and title.casefold() in namesakes
    ]

"""A prompt as spans: instruction | demo 1 | … | demo K | query | one candidate of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from core.prompt.families import Family

SpanKind = Literal["instruction", "demo", "query", "candidate"]
Offsets = tuple[tuple[int, int], ...]
ChatFrame = tuple[tuple[int, ...], str, tuple[int, ...], str]
"""Ids and text before the user's words in a chat, ids and text after them."""


class ChatTurns(NamedTuple):
    """What a chat template writes around the messages of a conversation; all of it is text."""

    gaps: tuple[str, ...]
    """[message]: between the message before and this one; of the first, what begins the conversation."""
    tail: str
    """Behind the last message, up to the model's answer."""
    lead: str
    """Spaces before the answer, which a tokenizer may write together with its first word."""


class Stretch(NamedTuple):
    """A piece of a prompt's text."""

    text: str
    frame: bool = False
    """Whether the chat template wrote it: only there can control tokens stand."""


class Cut(NamedTuple):
    """A text cut into parts with their own tokens."""

    parts: tuple[Encoding, ...]
    apart: int
    """Tokens of the parts that the text as a whole does not have."""


@dataclass(frozen=True)
class Span:
    """Consecutive tokens with one meaning; `offsets[i]` is the half-open character range of token i in `text`."""

    kind: SpanKind
    index: int
    """Number of the demonstration or candidate, from 0; 0 for instruction and query."""
    text: str
    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Prompt:
    """All spans of a case. A full prompt is instruction + demos + query + exactly one of the candidates.

    Every candidate span continues the same prefix. For `yes_no` the answer token follows its last token and
    `answer_ids` holds the ids of (Yes, No); for `next_item` the candidate's own tokens are what is scored.
    """

    family: Family
    instruction: Span
    demos: tuple[Span, ...]
    query: Span
    candidates: tuple[Span, ...]
    answer_ids: tuple[int, int] | None
    cut: tuple[str, ...] = ()
    """What was left out to fit the context, one sentence each, in the order of cutting."""
    notices: tuple[str, ...] = ()
    """What a reader should know (equal titles, instruction-like titles, no chat template), one sentence each."""
    kept_demos: tuple[int, ...] = ()
    """Indices, into the demonstrations asked for, of those still in `demos`."""
    template: str = ""
    """Content hash of the template that was used."""
    prior: tuple[float, ...] = ()
    """What a blend adds to each candidate's score beside the model, in nats, [candidate]; empty where nothing is. No
    token depends on it."""

    @property
    def prefix(self) -> tuple[Span, ...]:
        """The spans shared by all candidates, in order."""
        return (self.instruction, *self.demos, self.query)

    @property
    def length(self) -> int:
        """Tokens of the longest full prompt (prefix plus longest candidate)."""
        longest = max((len(span.token_ids) for span in self.candidates), default=0)
        return sum(len(span.token_ids) for span in self.prefix) + longest


class Encoding(NamedTuple):
    """A text as tokens; `offsets[i]` is the half-open character range of token i in `text`."""

    text: str
    token_ids: tuple[int, ...]
    offsets: Offsets


class Tokenizer(Protocol):
    """What the builder needs of a tokenizer; `core.lm.loading.tokenizer` implements it over transformers.

    Text that is handed in never gives a control token, whatever it contains.
    """

    def encode(self, text: str) -> tuple[tuple[int, ...], Offsets]:
        """Token ids and character offsets of text that follows a line break."""
        ...

    def opening(self, text: str, *, chat: bool) -> Encoding:
        """The first words of a prompt, behind the start of the chat or the ids that begin any text (a BOS token)."""
        ...

    def closing(self, text: str) -> Encoding:
        """The last words of the user in a chat, with what the chat template writes between them and the answer."""
        ...

    def reply(self, text: str, *, chat: bool) -> Encoding:
        """The model's own words: behind a cue and a space, or in the form they have in the chat template."""
        ...

    def unread(self, text: str) -> str:
        """The letters of `text` that its tokens do not hold."""
        ...

    def chat_frame(self) -> ChatFrame | None:
        """What stands before and after the user's words in the chat template; None when the model has none."""
        ...

    def turns(self, conversations: Sequence[Sequence[str]]) -> list[ChatTurns] | None:
        """What the chat template writes around the messages of conversations, given by their roles; None without one.

        Raises `ModelError` for a template that refuses one of them.
        """
        ...

    def cut(self, parts: Sequence[Sequence[Stretch]], *, start: bool) -> Cut:
        """The tokens of a text by its parts; with `start` the ids that begin any text (a BOS token) come first."""
        ...

    def behind(self, before: str, text: str) -> Encoding:
        """The tokens of `text` that continues `before`, whose own tokens stay as they are."""
        ...

"""How text becomes tokens: item text never becomes a control token, the model's own frame does."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from core.errors import ModelError
from core.lm.chat import split_chat

Offsets = tuple[tuple[int, int], ...]


class TextTokenizer:
    """A transformers tokenizer behind the `core.prompt.spans.Tokenizer` protocol, safe to call from several threads.

    Plain text goes through a private copy of the tokenizer without its added tokens (special or not; those that
    are nothing but white space stay), so a title holding `<|im_start|>` or `<think>` is spelled out in pieces.
    Only `chat_frame` and `start` give control tokens. Raises `ModelError` for a tokenizer without tokenizer.json.
    """

    def __init__(self, tokenizer: Any, *, where: str = "tokenizer") -> None:
        self._where = where
        self._lock = threading.Lock()
        self._full = tokenizer
        rust = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(rust, RustTokenizer):
            raise ModelError("no fast tokenizer", expected="a tokenizer.json beside the weights", where=where)
        description = rust.to_str()
        self._plain = _without_added_tokens(description)
        self._control = _control_tokens(rust)
        self._unknown: int | None = tokenizer.unk_token_id
        self._frame: tuple[tuple[int, ...], str, tuple[int, ...], str] | None = None
        self._frame_known = False
        self.hash = hashlib.sha256(description.encode()).hexdigest()[:16]
        """First 16 hex digits of the SHA-256 of the whole tokenizer description."""
        self._anchor = "\n" if self._marks_first_word() else ""

    @property
    def size(self) -> int:
        """One more than the highest token id, added tokens included."""
        return max(self._full.get_vocab().values(), default=-1) + 1

    @property
    def text_size(self) -> int:
        """One more than the highest token id that plain text can give."""
        return max(self._plain.get_vocab().values(), default=-1) + 1

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids of all added tokens that plain text can never produce (the unknown token apart)."""
        return frozenset(self._control)

    @property
    def has_chat(self) -> bool:
        """Whether the model brings a chat template."""
        return isinstance(self._full.chat_template, str)

    def encode(self, text: str) -> tuple[tuple[int, ...], Offsets]:
        """Ids and character ranges of `text` as plain text that continues a line break.

        Ranges start at 0, end at `len(text)` and leave no gap; they overlap only where one character
        takes several tokens (an emoji in a byte-level vocabulary): each of them then covers that character.
        """
        with self._lock:
            pairs = self._pieces(text)
        return tuple(token for token, _, _ in pairs), _covering(pairs, len(text))

    def start(self) -> tuple[int, ...]:
        """Ids the tokenizer puts before any text by default: a BOS token for most models, nothing for some."""
        with self._lock:
            ids = self._full("a", add_special_tokens=True)["input_ids"]
            bare = self._full("a", add_special_tokens=False)["input_ids"]
        return tuple(ids[: _place(bare, ids)])

    def chat_frame(self) -> tuple[tuple[int, ...], str, tuple[int, ...], str] | None:
        """Ids and text before and after the user's words in the chat template; None when the model has none.

        The template is a stranger's program: it is rendered once, in a limited child process.
        Raises `ModelError` when it fails, takes too long, or drops or repeats the user's words.
        """
        if not self.has_chat:
            return None
        if not self._frame_known:
            head, tail = split_chat(self._full.chat_template, self._names(), where=self._where)
            self._frame = (self._with_control(head, ""), head, self._with_control(tail, self._anchor), tail)
            self._frame_known = True
        return self._frame

    def piece(self, token: int) -> str:
        """The text of one token as a reader should see it; raises `ModelError` for an id out of range."""
        if not 0 <= token < self.size:
            raise ModelError(f"token id {token}", expected=f"0 to {self.size - 1}", where=self._where)
        with self._lock:
            return str(self._full.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _names(self) -> dict[str, str]:
        return {name: str(text) for name, text in self._full.special_tokens_map.items() if isinstance(text, str)}

    def _with_control(self, text: str, anchor: str) -> tuple[int, ...]:
        with self._lock:
            coded = self._full(anchor + text, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(coded["input_ids"], coded["offset_mapping"], strict=True)
        return tuple(token for token, (_, end) in pairs if end > len(anchor) or not anchor)

    def _marks_first_word(self) -> bool:
        """Whether the tokenizer marks the start of every text as if a space stood there (SentencePiece)."""
        tokens = self._plain.encode("a", add_special_tokens=False).tokens
        return bool(tokens) and tokens[0].startswith("▁")

    def _pieces(self, text: str) -> list[tuple[int, int, int]]:
        """(id, start, end) of each token; a stretch that spells a control token is encoded in two halves."""
        pairs = self._raw(text)
        forged = next((pair for pair in pairs if self._forges(pair, text)), None)
        if forged is None or len(text) < 2:
            return [pair for pair in pairs if not self._forges(pair, text)]
        split = min(max(forged[1] + 1, 1), len(text) - 1)
        tail = [(token, start + split, end + split) for token, start, end in self._pieces(text[split:])]
        return self._pieces(text[:split]) + tail

    def _raw(self, text: str) -> list[tuple[int, int, int]]:
        coded = self._plain.encode(self._anchor + text, add_special_tokens=False)
        skip = len(self._anchor)
        pairs = [
            (token, start - skip, end - skip) for token, (start, end) in zip(coded.ids, coded.offsets, strict=True)
        ]
        if any(start < 0 < end for _, start, end in pairs):
            coded = self._plain.encode(text, add_special_tokens=False)
            return [(token, start, end) for token, (start, end) in zip(coded.ids, coded.offsets, strict=True)]
        return [pair for pair in pairs if pair[2] > 0 or not skip]

    def _forges(self, pair: tuple[int, int, int], text: str) -> bool:
        token, start, end = pair
        content = self._control.get(token)
        return content is not None and (token != self._unknown or text[start:end].strip() == content)


def _without_added_tokens(description: str) -> RustTokenizer:
    """A copy that knows no added token but runs of white space, adds nothing of its own, and cuts nothing."""
    parts = json.loads(description)
    parts["added_tokens"] = [token for token in parts["added_tokens"] if _is_blank(token["content"])]
    parts["post_processor"] = parts["truncation"] = parts["padding"] = None
    return RustTokenizer.from_str(json.dumps(parts))


def _is_blank(content: str) -> bool:
    return not content.replace("▁", " ").strip()


def _control_tokens(rust: RustTokenizer) -> dict[int, str]:
    added = rust.get_added_tokens_decoder()
    return {token: entry.content for token, entry in added.items() if not _is_blank(entry.content)}


def _covering(pairs: list[tuple[int, int, int]], length: int) -> Offsets:
    ranges: list[tuple[int, int]] = []
    reached = 0
    for place, (_, start, end) in enumerate(pairs):
        end = length if place == len(pairs) - 1 else max(end, start)
        ranges.append((min(start, reached), end))
        reached = max(reached, end)
    return tuple(ranges)


def _place(part: list[int], whole: list[int]) -> int:
    """Where `part` starts inside `whole`; 0 when it does not occur."""
    places = range(len(whole) - len(part) + 1)
    return next((place for place in places if whole[place : place + len(part)] == part), 0)

"""Encodes text as tokens: item text never gives a control token, the model's chat frame does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from core.errors import ModelError
from core.lm.loading.chat import split_chat, split_turns
from core.prompt.spans import ChatFrame, ChatTurns, Cut, Encoding, Offsets, Stretch

Pair = tuple[int, int, int]
"""Token id, and the half-open range of characters it stands for."""
MOST_UNREAD = 10_000
"""Titles whose lost letters are remembered: prompts of one job show the same ones again and again."""
_BRACKETED = re.compile(r"[<\[{|].*[>\]}|]", re.DOTALL)
"""What markup looks like; a template also writes ordinary words, and those are no markup."""


class TextTokenizer:
    """A transformers tokenizer behind the `core.prompt.spans.Tokenizer` protocol, safe to call from several threads.

    What a person or the data wrote goes through a private copy that knows no control token, so a title that holds
    `<|im_start|>` is spelled out in pieces. Control tokens are the special ones and those in brackets that the chat
    template itself writes. Every other added token is vocabulary, such as `<a_3>` or a letter, and is encoded as the
    tokenizer does. Only the chat template and `start` give control tokens. `rows` is how many tokens the model knows:
    added ones beyond them are spelled out, too. Raises `ModelError` for a tokenizer without tokenizer.json.
    """

    def __init__(self, tokenizer: Any, *, where: str = "tokenizer", rows: int | None = None) -> None:
        self._where = where
        self._lock = threading.Lock()
        self._full = tokenizer
        rust = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(rust, RustTokenizer):
            raise ModelError("no fast tokenizer", expected="a tokenizer.json beside the weights", where=where)
        description = rust.to_str()
        self._template = _default_template(tokenizer.chat_template)
        self._copy = _private_copy(description, self._template or "", rows)
        added = self._copy.get_added_tokens_decoder()
        self._added = {token: entry.content for token, entry in added.items()}
        self._control = {token: entry.content for token, entry in added.items() if entry.special}
        self._unknown: int | None = tokenizer.unk_token_id
        self._unread: dict[str, str] = {}
        self._frame: ChatFrame | None = None
        self._lead = ""
        self._frame_rendered = False
        self._turns: dict[tuple[str, ...], ChatTurns] = {}
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
        ordinary = self._added.keys() - self._control.keys()
        return max(*self._copy.get_vocab(with_added_tokens=False).values(), *ordinary, -1) + 1

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids of all added tokens that plain text can never produce (the unknown token apart)."""
        return frozenset(self._control)

    @property
    def has_chat(self) -> bool:
        """Whether the model brings a chat template."""
        return self._template is not None

    def encode(self, text: str) -> tuple[tuple[int, ...], Offsets]:
        """Ids and character ranges of `text` as plain text that continues a line break.

        Ranges start at 0, end at `len(text)` and leave no gap; they overlap only where one character
        takes several tokens (an emoji in a byte-level vocabulary): each of them then covers that character.
        """
        line = self._line(text)
        return line.token_ids, line.offsets

    def opening(self, text: str, *, chat: bool) -> Encoding:
        """The first words of a prompt behind what stands before them: the start of a chat, or the start tokens."""
        frame = self.chat_frame() if chat else None
        if frame is None:
            with self._lock:
                pairs = self._pieces(text, "")
            return _encoding(text, [(token, 0, 0) for token in self.start()] + pairs)
        ids, head, _, _ = frame
        return self._joint("", head, text, "") or _joined(_whole(head, ids), self._line(text))

    def closing(self, text: str) -> Encoding:
        """The last words of a user in a chat, with all that stands before the model's answer; raises without one."""
        _, _, ids, tail = self._needed_frame()
        return self._joint(self._anchor, "", text, tail) or _joined(self._line(text), _whole(tail, ids))

    def reply(self, text: str, *, chat: bool) -> Encoding:
        """The model's own words behind a cue such as `Answer:`, or where the chat template puts an answer."""
        if not chat or self.chat_frame() is None:
            return self._line(" " + text)
        _, _, _, tail = self._needed_frame()
        words = self._lead + text
        return self._joint(self._anchor + tail, "", words, "") or self._line(words)

    def cut(self, parts: Sequence[Sequence[Stretch]], *, start: bool) -> Cut:
        """The tokens of a text by its parts, as the model meets them in the whole text wherever none stands across a
        border; where one does, what lies before and behind that border is encoded on its own.

        With `start` the ids that begin any text (a BOS token) come first. Control tokens stand in frames only.
        """
        texts = ["".join(stretch.text for stretch in part) for part in parts]
        borders = list(accumulate(map(len, texts)))
        stretches = [stretch for part in parts for stretch in part]
        with self._lock:
            whole = self._mixed(stretches, "")
            pairs = self._between(stretches, borders[:-1], "")
        apart = len(set(pairs) - set(whole))
        first = [(token, 0, 0) for token in self.start()] if start else []
        return Cut(tuple(_by_parts(first + pairs, texts, borders)), apart)

    def behind(self, before: str, text: str) -> Encoding:
        """The tokens of `text` that continues `before`, whose own tokens stay as they are."""
        return self._joint(self._anchor + before, "", text, "") or self._line(text)

    def turns(self, conversations: Sequence[Sequence[str]]) -> list[ChatTurns] | None:
        """What the chat template writes around the messages of conversations, given by their roles; None without one.

        Each is rendered once, all together in a limited child process; raises `ModelError` where that fails.
        """
        if self._template is None:
            return None
        keys = [tuple(roles) for roles in conversations]
        if missing := [key for key in dict.fromkeys(keys) if key not in self._turns]:
            rendered = split_turns(self._template, self._names(), missing, where=self._where)
            self._turns |= zip(missing, rendered, strict=True)
        return [self._turns[key] for key in keys]

    def unread(self, text: str) -> str:
        """The letters of `text` that its tokens do not hold: unknown to the tokenizer, or dropped by it."""
        lost = self._unread.get(text)
        if lost is None:
            readable = self._readable_letters(text)
            lost = "".join(dict.fromkeys(letter for letter in text if not _letters(letter) <= readable))
            if len(self._unread) >= MOST_UNREAD:
                self._unread.clear()
            self._unread[text] = lost
        return lost

    def _readable_letters(self, text: str) -> set[str]:
        ids = [token for token in self._line(text).token_ids if token != self._unknown]
        with self._lock:
            # A byte-level decoder reads the letters of an added token as bytes.
            back = self._copy.decode([token for token in ids if token not in self._added], skip_special_tokens=False)
        return _letters(back + "".join(self._added.get(token, "") for token in ids))

    def start(self) -> tuple[int, ...]:
        """Ids the tokenizer puts before any text by default: a BOS token for most models, nothing for some."""
        with self._lock:
            ids = self._full("a", add_special_tokens=True)["input_ids"]
            bare = self._full("a", add_special_tokens=False)["input_ids"]
        return tuple(ids[: _place(bare, ids)])

    def chat_frame(self) -> ChatFrame | None:
        """Ids and text before and after the user's words in the chat template; None when the model has none.

        Spaces before the answer are no part of it: a tokenizer may write them and the answer as one token.
        The template is a stranger's program: it is rendered once, in a limited child process.
        Raises `ModelError` when it fails, takes too long, or drops or repeats the user's words.
        """
        if self._template is not None and not self._frame_rendered:
            head, after = split_chat(self._template, self._names(), where=self._where)
            tail = after.rstrip(" ")
            self._lead = after[len(tail) :]
            self._frame = (self._frame_ids(head, ""), head, self._frame_ids(tail, self._anchor), tail)
            self._frame_rendered = True
        return self._frame

    def piece(self, token: int) -> str:
        """The text of one token as a reader should see it; raises `ModelError` for an id out of range."""
        if not 0 <= token < self.size:
            raise ModelError(f"token id {token}", expected=f"0 to {self.size - 1}", where=self._where)
        with self._lock:
            return str(self._full.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _line(self, text: str) -> Encoding:
        with self._lock:
            return _encoding(text, self._pieces(text, self._anchor))

    def _needed_frame(self) -> ChatFrame:
        frame = self.chat_frame()
        if frame is None:
            raise ModelError("no chat template", expected="a model with one", where=self._where)
        return frame

    def _names(self) -> dict[str, str]:
        return {name: str(text) for name, text in self._full.special_tokens_map.items() if isinstance(text, str)}

    def _frame_ids(self, text: str, anchor: str) -> tuple[int, ...]:
        with self._lock:
            return tuple(token for token, _, _ in self._coded(text, anchor, control=True))

    def _joint(self, before: str, head: str, text: str, tail: str) -> Encoding | None:
        """`head`, `text` and `tail` behind `before`, encoded as one text, as the model meets them.

        Control tokens are those of the frame. None where `text` would add one, or where no token ends with `before`.
        """
        whole = head + text + tail
        with self._lock:
            pairs = self._coded(whole, before, control=True)
            frame = [*self._coded(head, before, control=True), *self._coded(tail, self._anchor, control=True)]
        straddles = any(start < 0 < end for _, start, end in pairs)
        control = [pair[0] for pair in pairs if self._forges(pair, whole)]
        if straddles or control != [token for token, _, _ in frame if token in self._control]:
            return None
        return _encoding(whole, pairs)

    def _between(self, stretches: list[Stretch], borders: list[int], before: str) -> list[Pair]:
        """(id, start, end) of the tokens of `stretches` behind `before`, none of which stands across a border."""
        pairs = self._mixed(stretches, before)
        crossed = sorted({border for border in borders if any(start < border < end for _, start, end in pairs)})
        if not crossed:
            return pairs
        middle = crossed[len(crossed) // 2]
        left, right = _split(stretches, middle)
        first = self._between(left, [border for border in borders if border < middle], before)
        behind = [border - middle for border in borders if border > middle]
        rest = self._between(right, behind, self._anchor)
        return first + [(token, start + middle, end + middle) for token, start, end in rest]

    def _mixed(self, stretches: Sequence[Stretch], before: str) -> list[Pair]:
        """(id, start, end) of the tokens of text that the template and others wrote, encoded as one where it can be."""
        text = "".join(stretch.text for stretch in stretches)
        if not any(stretch.frame for stretch in stretches):
            return self._pieces(text, before)
        pairs = self._coded(text, before, control=True)
        coded = self._apart(stretches, before)
        control = [pair for pair in pairs if self._forges(pair, text)]
        straddles = any(start < 0 < end for _, start, end in pairs)
        return coded if straddles or control != [pair for pair in coded if self._forges(pair, text)] else pairs

    def _apart(self, stretches: Sequence[Stretch], before: str) -> list[Pair]:
        """The same with each stretch encoded on its own."""
        coded: list[Pair] = []
        place = 0
        for stretch in stretches:
            of_frame = stretch.frame and self._coded(stretch.text, before, control=True)
            pairs = of_frame or self._pieces(stretch.text, before)
            coded += [(token, start + place, end + place) for token, start, end in pairs]
            place, before = place + len(stretch.text), self._anchor
        return coded

    def _marks_first_word(self) -> bool:
        """Whether the tokenizer writes the first word of a text otherwise than a word behind a line break."""
        lone, later = self._coded("a", "", control=False), self._coded("a", "\n", control=False)
        return [token for token, _, _ in lone] != [token for token, _, _ in later]

    def _pieces(self, text: str, anchor: str) -> list[Pair]:
        """(id, start, end) of each token; a stretch that spells a control token is encoded in two halves."""
        pairs = self._coded(text, anchor, control=False)
        if any(start < 0 < end for _, start, end in pairs):
            pairs = self._coded(text, "", control=False)
        forged = next((pair for pair in pairs if self._forges(pair, text)), None)
        if forged is None or len(text) < 2:
            return [pair for pair in pairs if not self._forges(pair, text)]
        split = min(max(forged[1] + 1, 1), len(text) - 1)
        tail = [(token, start + split, end + split) for token, start, end in self._pieces(text[split:], self._anchor)]
        return self._pieces(text[:split], anchor) + tail

    def _coded(self, text: str, anchor: str, *, control: bool) -> list[Pair]:
        """(id, start, end) of the tokens of `text` that end behind `anchor`, which stands before it."""
        self._copy.encode_special_tokens = not control
        coded = self._copy.encode(anchor + text, add_special_tokens=False)
        skip, ranges = len(anchor), _single_bytes(anchor + text, coded.offsets)
        pairs = [(token, start - skip, end - skip) for token, (start, end) in zip(coded.ids, ranges, strict=True)]
        return [pair for pair in pairs if pair[2] > 0 or not skip]

    def _forges(self, pair: Pair, text: str) -> bool:
        token, start, end = pair
        content = self._control.get(token)
        return content is not None and (token != self._unknown or text[start:end].strip() == content)


def _default_template(templates: Any) -> str | None:
    """The chat template that counts: the only one, or that named `default` (a dictionary, or a list of rows)."""
    if isinstance(templates, list | tuple):
        rows = [row for row in templates if isinstance(row, dict)]
        templates = {row.get("name"): row.get("template") for row in rows}
    if isinstance(templates, dict):
        templates = templates.get("default")
    return templates if isinstance(templates, str) else None


def _private_copy(description: str, template: str, rows: int | None) -> RustTokenizer:
    """A copy that adds nothing of its own and cuts nothing; its special tokens are the control tokens."""
    parts = json.loads(description)
    for token in parts["added_tokens"]:
        token["special"] = _is_control(token, template, rows)
    parts["post_processor"] = parts["truncation"] = parts["padding"] = None
    return RustTokenizer.from_str(json.dumps(parts))


def _is_control(token: dict[str, Any], template: str, rows: int | None) -> bool:
    content = token["content"]
    if not content.replace("▁", " ").strip():
        return False
    unknown_to_model = rows is not None and token["id"] >= rows
    return token["special"] or unknown_to_model or bool(_BRACKETED.fullmatch(content) and content in template)


def _single_bytes(text: str, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges, with one letter for each token of a run of bytes (Unigram gives them all the range of the run)."""
    if not any(before == after and after[1] - after[0] > 1 for before, after in pairwise(ranges)):
        return ranges
    split: list[tuple[int, int]] = []
    for (start, end), run in groupby(ranges):
        count = len(list(run))
        places = [place for place in range(start, end) for _ in text[place].encode("utf-8", "surrogatepass")]
        single = end - start > 1 and count == len(places)
        split += [(place, place + 1) for place in places] if single else [(start, end)] * count
    return split


def _split(stretches: Sequence[Stretch], place: int) -> tuple[list[Stretch], list[Stretch]]:
    """The stretches before a place of the text, at which one of them begins, and those behind it."""
    ends = list(accumulate(len(stretch.text) for stretch in stretches))
    count = bisect_left(ends, place) + 1
    return list(stretches[:count]), list(stretches[count:])


def _by_parts(pairs: Sequence[Pair], texts: Sequence[str], borders: Sequence[int]) -> list[Encoding]:
    """The tokens of each part, which ends at its border."""
    parts: list[list[Pair]] = [[] for _ in texts]
    for token, start, end in pairs:
        part = bisect_left(borders, end)
        shift = borders[part] - len(texts[part])
        parts[part].append((token, start - shift, end - shift))
    return [_encoding(text, rows) for text, rows in zip(texts, parts, strict=True)]


def _whole(text: str, ids: tuple[int, ...]) -> Encoding:
    """Each of the tokens stands for the whole text."""
    return Encoding(text, ids, ((0, len(text)),) * len(ids))


def _encoding(text: str, pairs: list[Pair]) -> Encoding:
    return Encoding(text, tuple(token for token, _, _ in pairs), _covering(pairs, len(text)))


def _joined(first: Encoding, second: Encoding) -> Encoding:
    shift = len(first.text)
    offsets = first.offsets + tuple((start + shift, end + shift) for start, end in second.offsets)
    return Encoding(first.text + second.text, first.token_ids + second.token_ids, offsets)


def _letters(text: str) -> set[str]:
    """The letters and accents of a text, whatever their case and width; white space does not count."""
    return set("".join(unicodedata.normalize("NFKD", text).casefold().split()))


def _covering(pairs: list[Pair], length: int) -> Offsets:
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

"""Tiny tokenizers of the kinds that models bring: byte-level, SentencePiece (three ways) and WordPiece."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEXTS = (
    "Yes No Yes No The user liked: Alien; Aliens; Heat; The Matrix; Toy Story Answer: Yes Answer: No [INST] [/INST] ",
    "Would the user like the movie Fargo? Answer Yes or No. Predict movies. Next movie: Blade Runner ",
)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>"]

MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""As Mistral-7B-Instruct and Llama 2: plain words as marks, and a space before the answer."""
VICUNA = (
    "{{ bos_token }}A chat. {% for m in messages %}{% if m['role'] == 'user' %}{{ 'USER: ' + m['content'] + '\\n' }}"
    "{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}"
)
"""The header of an answer ends in a space that belongs to the answer."""
ALPACA = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] + '\\n\\n### Response:\\n' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""The user's words come first, and line breaks may join their last token."""
MARKS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""Control tokens as marks; those of Phi 3 swallow the white space behind them."""
TEMPLATES = {"mistral": MISTRAL, "vicuna": VICUNA, "alpaca": ALPACA, "marks": MARKS}


def byte_level() -> Tokenizer:
    """As Llama 3: punctuation takes the line breaks behind it along."""
    tokenizer = Tokenizer(models.BPE())
    split = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((*TEXTS * 8, "Answer:\n\n### Response:\n Yes\nYes\nNo\n" * 8), trainer)
    return _begun(tokenizer)


def prepending() -> Tokenizer:
    """As Llama 2 and Mistral 7B: a space before every stretch between control tokens, unknown bytes have tokens."""
    tokenizer = _sentence_piece()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def metaspace() -> Tokenizer:
    """As Llama 2 without its old habits: a space before the very first word only."""
    tokenizer = _sentence_piece()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def unigram() -> Tokenizer:
    """The likeliest pieces instead of merges, a space before every stretch."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.UnigramTrainer(vocab_size=160, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = [*map(tuple, model["vocab"]), *((word, -1.0) for word in ("▁Yes", "▁No", "Yes", "No"))]
    known = dict(pieces[:3]) | dict.fromkeys(BYTES, 0.0) | dict(pieces[3:])
    return _begun(_decoding(tokenizer, models.Unigram(list(known.items()), 0, byte_fallback=True)))


def word_piece() -> Tokenizer:
    """As BERT: no case, no accents, no line breaks, one token for what is unknown."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator((*TEXTS * 8, "zabcdefghijklmnopqrstuvwxyz"), trainer)
    return _begun(tokenizer)


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte_level": byte_level,
    "prepending": prepending,
    "metaspace": metaspace,
    "unigram": unigram,
    "word_piece": word_piece,
}


def fast(kind: str, *, template: Any = None, added: tuple[AddedToken, ...] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer of that kind with more tokens at its end."""
    tokenizer = KINDS[kind]()
    marks = [AddedToken(mark, special=True, normalized=False, rstrip=kind != "byte_level") for mark in
             ("<|user|>", "<|assistant|>", "<|end|>")]  # fmt: skip
    tokenizer.add_tokens(marks)
    tokenizer.add_tokens(list(added))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=template
    )


def _sentence_piece() -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trained.train_from_iterator(TEXTS * 8, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    words = dict.fromkeys((*SPECIAL, *BYTES, *model["vocab"], "Yes", "No"))
    vocabulary = {word: place for place, word in enumerate(words)}
    merges = [*map(tuple, model["merges"]), ("Y", "es"), ("N", "o")]
    bpe = models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    return _begun(_decoding(Tokenizer(bpe), bpe))


def _decoding(tokenizer: Tokenizer, model: models.Model) -> Tokenizer:
    tokenizer.model = model
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIAL])
    return tokenizer


def _begun(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer

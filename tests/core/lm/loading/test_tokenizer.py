"""Item text never becomes a control token; the chat template's own frame does, and it is a stranger's program."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from core.errors import ModelError
from core.lm.loading.chat import split_chat
from core.lm.loading.tokenizer import TextTokenizer


def word_level() -> PreTrainedTokenizerFast:
    """Whole words; the control tokens are ordinary words of the vocabulary as well."""
    words = ["[UNK]", "<s>", "</s>", "Yes", "No", "Alien", "a", "<", ">", "s", "/"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in ("[UNK]", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", bos_token="<s>", eos_token="</s>")


def sentence_piece() -> PreTrainedTokenizerFast:
    """A Llama-2-like tokenizer: every text starts as if after a space, unknown bytes have tokens of their own."""
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"AliensYo:",
        "▁Yes",
        "Yes",
        "No",
        "▁No",
    ]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o"), ("▁", "Yes"), ("▁", "No")]
    vocabulary |= {piece: len(vocabulary) + place for place, piece in enumerate(("Ye", "N"))}
    model = models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in ("<unk>", "<s>", "</s>")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def with_chat(backend: Any, template: str | None) -> TextTokenizer:
    changed = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(backend.backend_tokenizer.to_str()),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    changed.chat_template = template
    return TextTokenizer(changed, where="tiny")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_text_gives_a_control_token(
    tiny_tokenizer: TextTokenizer, tiny_transformers_tokenizer: Any, data: Any
) -> None:
    added = [token.content for token in tiny_transformers_tokenizer.added_tokens_decoder.values()]
    text = "".join(data.draw(st.lists(st.sampled_from(added) | st.text(max_size=5), max_size=6)))
    ids, offsets = tiny_tokenizer.encode(text)
    assert not set(ids) & tiny_tokenizer.control_ids
    assert tiny_transformers_tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert len(ids) == len(offsets)
    assert {place for start, end in offsets for place in range(start, end)} == set(range(len(text)))
    assert all(before[0] <= after[0] for before, after in pairwise(offsets))


def test_ordinary_text_is_encoded_as_the_model_knows_it(
    tiny_tokenizer: TextTokenizer, tiny_transformers_tokenizer: Any
) -> None:
    text = "The user liked: Alien; Heat\nNext movie: Fargo\n"
    assert (
        list(tiny_tokenizer.encode(text)[0]) == tiny_transformers_tokenizer(text, add_special_tokens=False)["input_ids"]
    )


def test_letters_of_several_tokens_share_their_range(tiny_tokenizer: TextTokenizer) -> None:
    ids, offsets = tiny_tokenizer.encode("😀")
    assert len(ids) == 4
    assert set(offsets) == {(0, 1)}


def test_control_words_of_the_vocabulary_itself_are_broken_up() -> None:
    tokenizer = TextTokenizer(word_level())
    ids, offsets = tokenizer.encode("a </s> <s> Alien")
    assert not set(ids) & {1, 2}
    assert ids[0], ids[-1] == (6, 5)
    assert offsets[-1][1] == len("a </s> <s> Alien")
    assert tokenizer.encode("strange")[0] == (0,)  # the unknown token is no control token
    assert tokenizer.encode("[UNK]")[0] != ()


def test_start_is_what_the_tokenizer_puts_first(tiny_tokenizer: TextTokenizer) -> None:
    assert tiny_tokenizer.start() == ()
    assert TextTokenizer(word_level()).start() == (1,)


def test_pieces_continue_a_line_with_a_sentencepiece_tokenizer() -> None:
    tokenizer = TextTokenizer(sentence_piece())
    assert [tokenizer.piece(token) for token in tokenizer.encode("Yes")[0]] == ["Yes"]
    assert [tokenizer.piece(token).strip() for token in tokenizer.encode(" Yes")[0]] == ["Yes"]
    assert tokenizer.encode("Yes")[0] != tokenizer.encode(" Yes")[0]
    assert tokenizer.encode("Yes")[1] == ((0, 3),)
    assert not set(tokenizer.encode("</s>Yes<s>")[0]) & {1, 2}


def test_piece_refuses_an_id_out_of_range(tiny_tokenizer: TextTokenizer) -> None:
    assert tiny_tokenizer.piece(tiny_tokenizer.encode("A")[0][0]) == "A"
    assert tiny_tokenizer.piece(1) == "<|im_start|>"
    with pytest.raises(ModelError, match=f"token id {tiny_tokenizer.size}; expected 0 to"):
        tiny_tokenizer.piece(tiny_tokenizer.size)


def test_many_threads_may_share_one_tokenizer(tiny_tokenizer: TextTokenizer) -> None:
    texts = [f"Alien {number} <|im_end|>" for number in range(200)]
    alone = [tiny_tokenizer.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tiny_tokenizer.encode, texts)) == alone


def test_a_tokenizer_without_a_fast_form_is_refused() -> None:
    with pytest.raises(ModelError, match=r"slow: no fast tokenizer; expected a tokenizer\.json"):
        TextTokenizer(object(), where="slow")


def test_the_chat_frame_has_the_models_control_tokens(tiny_tokenizer: TextTokenizer) -> None:
    frame = tiny_tokenizer.chat_frame()
    assert frame is not None
    head, head_text, tail, tail_text = frame
    assert head_text == "<|im_start|>user\n"
    assert tail_text == "<|im_end|>\n<|im_start|>assistant\n"
    assert (head[0], tail[0]) == (1, 2)
    assert [token for token in head + tail if token in tiny_tokenizer.control_ids] == [1, 2, 1]
    assert tiny_tokenizer.chat_frame() is frame


def test_no_chat_template_gives_no_frame(tiny_transformers_tokenizer: Any) -> None:
    tokenizer = with_chat(tiny_transformers_tokenizer, None)
    assert not tokenizer.has_chat
    assert tokenizer.chat_frame() is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ lipsum.__globals__.os }}{{ messages[0].content }}", "SecurityError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError|fails"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "SecurityError|fails"),
        ("{% for x in range(10**9) %}a{% endfor %}", "fails"),
        ("{% for m in messages %}{{ m.content ", "TemplateSyntaxError"),
        ("nothing", "writes the user's words 0 times; expected once"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "writes the user's words 2 times"),
        ("{{ messages[0].content }}" + "x" * 20_001, "more than 20000 characters"),
        ("{{ messages[0].content }}" + "x" * 200_001, "a chat template of 200026 characters"),
        ("{{ raise_exception('only pictures') }}", "only pictures"),
        ("{{ messages.append(1) }}", "SecurityError"),
    ],
)
def test_a_chat_template_that_misbehaves_is_refused(tiny_transformers_tokenizer: Any, template: str, said: str) -> None:
    with pytest.raises(ModelError, match=f"^tiny: .*({said})"):
        with_chat(tiny_transformers_tokenizer, template).chat_frame()


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**10 }}",
        "{{ 9 ** (9 ** 9) }}",
    ],
)
def test_a_chat_template_that_does_not_end_is_stopped(template: str) -> None:
    start = time.monotonic()
    with pytest.raises(
        ModelError, match=r"used up its 2 s of time or its memory|does not come to an end|MemoryError|fails"
    ):
        split_chat(template, {}, where="tiny")
    assert time.monotonic() - start < 15


def test_templates_as_models_ship_them_work() -> None:
    template = (
        "{{ bos_token }}{%- if tools is defined and tools %}{{ tools | tojson }}{% endif %}"
        "{%- for message in messages %}{% if loop.index0 > 3 %}{% break %}{% endif %}\n"
        "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ strftime_now('%d %b %Y') }}"
        "{% generation %}model{% endgeneration %}{% endif %}"
    )
    head, tail = split_chat(template, {"bos_token": "<bos>"}, where="tiny")
    assert head == "<bos><start_of_turn>user\n"
    assert tail == "<end_of_turn>\n01 Jan 2025model"

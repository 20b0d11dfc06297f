"""Tiny networks and a tiny tokenizer, built in memory: two or three layers, shared keys, random weights."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The chat template of the tiny tokenizer."""
TEXTS = (
    " Yes No Yes No\nYes\nNo\nAnswer: Yes\nAnswer: No\n",
    "The user liked: Alien; Aliens; Heat; The Matrix; Toy Story\nNext movie: Blade Runner\n",
    "Would the user like the movie Fargo? Answer Yes or No.\n",
)


def tiny_backend(vocabulary: int = 384) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about `vocabulary` tokens with ChatML control tokens and a plain added token `<think>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 8, trainer)
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )


def tiny_network(config: Any, kind: type[PreTrainedModel], seed: int = 7) -> PreTrainedModel:
    """A network of that configuration with random float32 weights, norms included, so that no term is trivial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kind(config)
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.data.add_(0.3 * torch.randn_like(parameter))
    return network.eval().requires_grad_(False)


def shape(vocabulary: int, **more: Any) -> dict[str, Any]:
    """The sizes all tiny networks share: 4 heads over 2 key-value heads, width 32."""
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "initializer_range": 0.25,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    return sizes | more

"""A tiny model with random weights as a folder, and the same network untouched: what servers are measured with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEXTS = (
    " Yes No Yes No\nYes\nNo\nAnswer: Yes\nAnswer: No\n",
    "The user liked: Alien (1979); Heat (1995); The Matrix (1999)\nNext movie: Blade Runner (1982)\n",
)
VOCABULARY, CONTEXT = 384, 4096


def write_tiny_model(folder: Path, *, seed: int = 7) -> None:
    """A Llama of three layers in single precision with a byte-level tokenizer, as `save_pretrained` writes them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=CONTEXT,
        initializer_range=0.25,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def untouched(folder: Path) -> tuple[Any, Any]:
    """The network of a folder with the attention of its own family, and its tokenizer, as the library opens them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return network.eval(), AutoTokenizer.from_pretrained(folder, use_fast=True)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 8, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>")

"""Fixtures of every suite: tiny networks and their tokenizer, built once a session."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from adapters import saved_model
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from tiny_networks import shape, tiny_backend, tiny_network
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from core.lm.loading.tokenizer import TextTokenizer

hypothesis_settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("shared machine")
"""How long an example takes says nothing where other work runs beside the tests."""
torch.set_num_threads(1)
"""Tiny networks are faster on one thread, and two suites on two cores do not spin against each other."""
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # Of a shell's background job, and then of all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_transformers_tokenizer() -> PreTrainedTokenizerFast:
    return tiny_backend()


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_transformers_tokenizer: PreTrainedTokenizerFast) -> TextTokenizer:
    return TextTokenizer(tiny_transformers_tokenizer)


@pytest.fixture(scope="session")
def tiny_llama(tiny_transformers_tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return tiny_network(LlamaConfig(**shape(len(tiny_transformers_tokenizer), num_hidden_layers=3)), LlamaForCausalLM)


@pytest.fixture(scope="session")
def llama_folder(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_llama: PreTrainedModel,
    tiny_transformers_tokenizer: PreTrainedTokenizerFast,
) -> Path:
    """The tiny Llama and its tokenizer on disk."""
    return saved_model(tiny_llama, tiny_transformers_tokenizer, tmp_path_factory.mktemp("model") / "llama")


@pytest.fixture(scope="session")
def tiny_qwen3(tiny_transformers_tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return tiny_network(Qwen3Config(**shape(len(tiny_transformers_tokenizer))), Qwen3ForCausalLM)


@pytest.fixture(scope="session")
def tiny_gemma2(tiny_transformers_tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    sizes = shape(
        len(tiny_transformers_tokenizer),
        sliding_window=8,
        query_pre_attn_scalar=8,
        attn_logit_softcapping=5.0,
        final_logit_softcapping=10.0,
        layer_types=["sliding_attention", "full_attention"],
    )
    return tiny_network(Gemma2Config(**sizes), Gemma2ForCausalLM)


@pytest.fixture(scope="session")
def tiny_gemma3(tiny_transformers_tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    sizes = shape(
        len(tiny_transformers_tokenizer),
        sliding_window=16,
        query_pre_attn_scalar=8,
        num_hidden_layers=3,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )
    return tiny_network(Gemma3TextConfig(**sizes), Gemma3ForCausalLM)

"""Every causal family of transformers that can be built small is read exactly or refused; none is read wrongly."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from families import small_network
from references import language_model, random_prompt
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from core.errors import ModelError
from core.lm.loading.self_check import proven
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.score import Scorer
from core.prompt.spans import Prompt

EXACT = (
    *("afmoe", "apertus", "arcee", "aria_text", "axk1", "beam", "biogpt", "bitnet", "cohere", "cohere2"),
    *("cohere2_moe", "cohere_compass_text", "ctrl", "cwm", "dbrx", "deepseek_v2", "deepseek_v3", "dots1", "emu3"),
    *("ernie4_5", "ernie4_5_moe", "exaone4", "exaone_moe", "flex_olmo", "flint", "fuyu", "gemma", "gemma2", "gemma3"),
    *("gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_text", "gemma4_unified"),
    *("gemma4_unified_assistant", "gemma4_unified_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "got_ocr2"),
    *("gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_oss", "granite", "granite_swa", "granitemoe"),
    *("granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe"),
    *("hy_v3", "hyperclovax", "internlm3", "iquestcoder", "jais2", "jetmoe", "kolibri1", "laguna", "llama"),
    *("longcat_flash", "mellum", "mimo_v2_flash", "minicpm3", "minimax_m2", "minimax_m3_vl_text", "ministral"),
    *("ministral3", "mistral", "mixtral", "mllama", "modernbert-decoder", "moshi", "moss_transcribe_diarize"),
    *("nanochat", "nemotron", "olmo", "olmo2", "olmo3", "olmoe", "opt", "persimmon", "phi", "phi3", "phimoe"),
    *("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2"),
    *("vaultgemma", "youtu"),
)
"""Families whose scores must equal plain passes: a check that refuses one of them is wrong."""
REFUSED = (
    *("axk2", "bailing_hybrid", "bamba", "bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus"),
    *("blenderbot", "blenderbot-small", "bloom", "camembert", "codegen", "cpmant", "data2vec-text", "deepseek_v32"),
    *("deepseek_v4", "diffllama", "doge", "electra", "ernie", "falcon", "falcon_h1", "falcon_mamba", "glm_moe_dsa"),
    *("gpt_neo", "gpt_neox_japanese", "gptj", "hrm_text", "hy_v4", "inkling2_text", "inkling_text", "jamba"),
    *("kimi_linear", "lfm2", "lfm2_moe", "lfm3", "llama4", "llama4_text", "mamba", "mamba2", "marian", "mbart"),
    *("megatron-bert", "minimax", "mpt", "mvp", "nemotron_h", "olmo_hybrid", "openai-gpt", "pegasus", "plbart"),
    *("prophetnet", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "recurrent_gemma"),
    *("reformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "rwkv", "trocr", "whisper"),
    *("xglm", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xlstm", "xmod", "zamba", "zamba2", "zaya"),
)
"""Families that read more than earlier keys and values, or attend in a way of their own: refused by name."""
NOT_BUILT = {
    "blt": "reads bytes in patches, with a hash table of 3 million rows",
    "dots3_note": "widths of its layers stay large whatever the configuration says",
    "dots3_note_text": "widths of its layers stay large whatever the configuration says",
    "gemma4_assistant": "drafts from the hidden states of another model",
    "git": "takes pictures: its vision model stays large",
    "musicgen": "sound: three models in one",
    "musicgen_melody": "sound: three models in one",
    "phi4_multimodal": "takes pictures and sound: those models stay large",
    "qwen4_exp": "transformers cannot build it from its own default configuration",
    "qwen4_exp_text": "transformers cannot build it from its own default configuration",
}
"""Families that cannot be built small, and why."""


def test_every_family_stands_in_one_row() -> None:
    rows = [*EXACT, *REFUSED, *NOT_BUILT]
    assert sorted(rows) == sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


@pytest.mark.parametrize("kind", EXACT)
def test_scores_equal_plain_passes(kind: str) -> None:
    check(small_network(kind))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("nemotron_h", {"layers_block_type": ["moe", "full_attention"] * 2}),  # layers without attention
        ("lfm2", {"layer_types": ["full_attention"] * 4}),
        ("llama4_text", {"layer_types": ["full_attention"] * 4, "no_rope_layers": [1] * 4}),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 2, "sliding_window": 6}),
    ],
)
def test_scores_of_special_settings_equal_plain_passes(kind: str, options: dict[str, Any]) -> None:
    check(small_network(kind, **options))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_exact_is_refused_in_one_sentence(kind: str) -> None:
    assert_refused(kind)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("granitemoehybrid", {"layer_types": ["mamba", "attention"] * 2}),
        ("jamba", {"attn_layer_period": 2, "attn_layer_offset": 1}),
        ("llama4_text", {"attention_chunk_size": 8192, "no_rope_layers": [1] * 4}),  # not crossed by a short prompt
        ("llama4_text", {"layer_types": ["full_attention"] * 4}),  # scales by row from 8,192 tokens on
    ],
)
def test_special_settings_that_are_not_exact_are_refused(kind: str, options: dict[str, Any]) -> None:
    assert_refused(kind, **options)


def assert_refused(kind: str, **options: Any) -> None:
    with pytest.raises(ModelError) as refused:
        proven(small_network(kind, **options), where="here")
    assert str(refused.value).startswith("here: ")
    assert "\n" not in str(refused.value)


def check(network: Any) -> None:
    """The proof of `network`, and its scores with all demonstrations and with some against plain passes."""
    plain = copy.deepcopy(network)
    proof = proven(network, where="here")
    assert max(proof.packed, proof.remembered, proof.gate_one, proof.gate_zero) < 2e-5
    prompt = random_prompt("next_item", demos=2, candidates=3)
    masks = np.array([[True, True], [False, True], [True, False]])
    expected = [plain_scores(plain, prompt, mask) for mask in masks]
    ids = torch.tensor([[token for span in prompt.prefix for token in span.token_ids]])
    logits = [one(ids, use_cache=False).logits for one in (network, plain)]
    torch.testing.assert_close(*logits, atol=1e-3, rtol=1e-3)  # calls without a forest, as tuning makes them
    scorer = Scorer(language_model(network), prompt)
    np.testing.assert_allclose(scorer.full(), expected[0], atol=2e-3)
    np.testing.assert_allclose(scorer.subsets(masks), expected, atol=2e-3)
    np.testing.assert_allclose(ManyScorer(scorer.model).scores([prompt])[0], expected[0], atol=2e-3)


def plain_scores(network: Any, prompt: Prompt, mask: Any) -> list[float]:
    """Log-probability of every title, each by one plain pass over its whole sequence of tokens."""
    kept = [True, *mask, True]
    start = [token for span, bit in zip(prompt.prefix, kept, strict=True) if bit for token in span.token_ids]
    scores = []
    for candidate in prompt.candidates:
        ids = torch.tensor([[*start, *candidate.token_ids]])
        with torch.no_grad():
            logits = network(ids, use_cache=False).logits[0].double()
        title = torch.tensor(candidate.token_ids)
        before = logits[len(start) - 1 : -1].log_softmax(-1)
        scores.append(float(before[torch.arange(len(title)), title].sum()))
    return scores

"""A tiny random network of any causal family that transformers has."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

VOCABULARY = 384
MOST_WEIGHTS = 3_000_000
"""A configuration that asks for more is not small: nothing is built from it."""
_WIDTHS = dict.fromkeys(("hidden_size", "d_model", "n_embd", "n_embed", "emb_dim"), 32)
_INNER = dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim"), 48)
_DEPTHS = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 4)
_HEADS = dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4)
_LENGTHS = dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 1024)
_EXPERTS = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4)
SIZES: dict[str, Any] = {
    **_WIDTHS,
    **_INNER,
    **_DEPTHS,
    **_HEADS,
    **_LENGTHS,
    **_EXPERTS,
    "vocab_size": VOCABULARY,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "encoder_layers": 1,
    "encoder_attention_heads": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "sliding_window": 6,
    "attention_chunk_size": 6,
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    "initializer_range": 0.25,
    "init_std": 0.25,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
"""What configurations call their sizes; each family takes those that it knows."""


MORE: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "attn_layer_indices": [1, 3]},
    "bailing_hybrid": {"num_hidden_layers": 8},
    "codegen": {"rotary_dim": 8},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "default", "rope_theta": 1e5},
        },
    },
    "cpmant": {"dim_ff": 48, "dim_head": 8},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "dots1": {"n_shared_experts": 1},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    "gemma3n_text": {
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "num_hidden_layers": 6,
        "num_kv_shared_layers": 2,
        "laurel_rank": 8,
        "altup_num_inputs": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
        "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0, 0.0, 0.0],
    },
    "gemma4": {"vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8},
    "gemma4_text": {
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "num_hidden_layers": 6,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 4},
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": {"mamba_n_heads": 8, "mamba_d_head": 8, "layer_types": ["attention"] * 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 0},
    "kimi_linear": {"linear_num_heads": 4, "linear_head_dim": 8},
    "lfm2": {"layer_types": ["full_attention", "conv"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {"head_dim": 8},
    "mamba2": {"num_heads": 8},
    "reformer": {
        "is_decoder": True,
        "axial_pos_embds": False,
        "attention_head_size": 8,
        "feed_forward_size": 48,
        "attn_layers": ["local", "local"],
    },
    "roc_bert": {
        "shape_embed_dim": 8,
        "pronunciation_embed_dim": 8,
        "shape_vocab_size": 50,
        "pronunciation_vocab_size": 50,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 6,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "n_mamba_heads": 1,
    },
    "zamba2": {
        "layers_block_type": ["mamba", "hybrid"] * 2,
        "mamba_d_state": 8,
        "mamba_ngroups": 1,
        "n_mamba_heads": 8,
        "mamba_headdim": 8,
    },
    "zaya": {"num_experts_per_tok": 1},
}
"""What else a family needs to be small."""
MORE["gemma3n"] = MORE["gemma3n_text"]
WRAPPED = ("fuyu", "gemma4", "gemma4_unified")
"""Families whose network takes the text model's configuration inside another."""


def small_config(kind: str, **more: Any) -> Any:
    """A configuration of the text model of a family, with as many sizes made small as it names."""
    default = CONFIG_MAPPING[kind]().get_text_config()
    names = {*default.to_dict(), *default.attribute_map}
    sizes = {name: size for name, size in SIZES.items() if name in names}
    if "layer_types" not in names and getattr(default, "sliding_window", None) is None:
        sizes.pop("sliding_window", None)
    if "kv_lora_rank" in names:
        sizes.pop("head_dim", None)
        sizes["num_key_value_heads"] = 4
    text = type(default)(**(sizes | MORE.get(kind, {}) | more))
    return CONFIG_MAPPING[kind](text_config=text, hidden_size=32) if kind in WRAPPED else text


def small_network(kind: str, seed: int = 0, **more: Any) -> PreTrainedModel:
    """A network of a family with random float32 weights; raises `ValueError` where its sizes stay large."""
    config = small_config(kind, **more)
    mapping = MODEL_FOR_CAUSAL_LM_MAPPING
    family = mapping[type(config) if type(config) in mapping else CONFIG_MAPPING[kind]]
    with torch.device("meta"):
        weights = sum(parameter.numel() for parameter in family(copy.deepcopy(config)).parameters())
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights} weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: PreTrainedModel = family(config)
        for name, parameter in network.named_parameters():
            if "norm" in name or not parameter.any():
                parameter.data.add_(0.3 * torch.randn_like(parameter))
    return network.eval().requires_grad_(False)

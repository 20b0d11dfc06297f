"""Every key and every tensor of a GGUF file is taken over, known to change nothing, or refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from tiny_networks import shape, tiny_network

from core.errors import ModelError
from core.lm.loading.gguf_child import alone, convert, save_tokenizer
from core.lm.loading.gguf_config import config_of, weights_of, writes_space
from core.lm.loading.gguf_header import GgufHead, checked_head

IDS = torch.tensor([[1, 50, 7, 300, 9, 33, 120, 4, 77, 8, 51, 90, 12, 14, 200, 61, 18, 5, 6, 7, 8, 9]])
CONTEXT = 1024
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
LOUD = {"initializer_range": 0.25}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"head_dim": 8}),
    "llama3": ("Llama", {"head_dim": 16, "rope_parameters": {"rope_theta": 500_000.0, **LLAMA3}}),
    "biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "wide": ("Llama", {"head_dim": 16}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 20_000.0}}),
    "yarn": ("Qwen2", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6,
                                           "original_max_position_embeddings": 64}}),
    "qwen3": ("Qwen3", {"head_dim": 16, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "phi3": ("Phi3", {"sliding_window": 6}),
    "longrope": ("Phi3", {"original_max_position_embeddings": 16, "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0, "attention_factor": 1.19,
        "original_max_position_embeddings": 16, "short_factor": [1.0, 1.1, 1.2, 1.5],
        "long_factor": [1.0, 2.0, 4.0, 8.5]}}),
    "partial": ("Phi3", {"rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 3 / 4}}),
    "gemma2": ("Gemma2", {"query_pre_attn_scalar": 16, "head_dim": 16, "attn_logit_softcapping": 5.0,
                          "final_logit_softcapping": 10.0, "sliding_window": 6}),
    "gemma3": ("Gemma3", {"query_pre_attn_scalar": 16, "head_dim": 16, "sliding_window": 6, "num_hidden_layers": 6,
                          "rope_parameters": {
                              "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                              "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}}}),
    "stablelm": ("StableLm", {"use_qkv_bias": True, "rope_parameters": {
        "rope_type": "default", "rope_theta": 50_000.0, "partial_rotary_factor": 0.5}}),
    "starcoder2": ("Starcoder2", {"sliding_window": 6,
                                  "rope_parameters": {"rope_type": "default", "rope_theta": 999_999.0}}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))


def network_of(name: str, tokenizer: Any) -> Any:
    family, options = FAMILIES[name]
    sizes = shape(len(tokenizer)) | {"max_position_embeddings": CONTEXT} | options
    text = "Text" if family == "Gemma3" else ""
    if family in ("Phi3", "Starcoder2", "StableLm", "Qwen2"):
        sizes.pop("head_dim")
    config = getattr(transformers, f"{family}{text}Config")(**sizes)
    return tiny_network(config, getattr(transformers, f"{family}ForCausalLM"))


def architecture(network: Any) -> str:
    return str(network.config.model_type).removesuffix("_text")


def written(file: Path, network: Any, tokenizer: Any, keys: dict[str, Any], tensors: dict[str, Any]) -> Path:
    """The network as llama.cpp's own converter writes it, with more keys (None leaves one out) and tensors."""
    arch, config = architecture(network), network.config
    writer = gguf.GGUFWriter(file, arch)
    for key, value in (settings_of(network) | keys).items():
        put = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        if isinstance(value, list):
            writer.add_array(f"{arch}.{key}", value)
        elif value is not None:
            put[type(value)](key if key.startswith(("general.", "tokenizer.")) else f"{arch}.{key}", value)
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3 if number in tokenizer.all_special_ids else 1 for number in range(len(words))])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
    state = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name != "lm_head.weight" or not config.tie_word_embeddings
    }
    for name, tensor in state.items():
        stem, end = name.rsplit(".", 1)
        writer.add_tensor(
            f"{names.get_name(stem)}.{end}", in_order(arch, name, tensor, config).numpy().astype(np.float32)
        )
    for name, values in tensors.items():
        writer.add_tensor(name, np.asarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def settings_of(network: Any) -> dict[str, Any]:
    config = network.config
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    keys: dict[str, Any] = {
        "block_count": config.num_hidden_layers, "context_length": CONTEXT, "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size, "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads, "rope.freq_base": rope["rope_theta"],
        "rope.dimension_count": int(width * rope.get("partial_rotary_factor", 1.0)),
        "attention.key_length": width, "attention.value_length": width, "tokenizer.ggml.pre": "smollm",
    }  # fmt: skip
    if hasattr(config, "rms_norm_eps"):
        keys["attention.layer_norm_rms_epsilon"] = config.rms_norm_eps
    else:
        keys["attention.layer_norm_epsilon"] = getattr(config, "norm_epsilon", 1e-5)
    if getattr(config, "sliding_window", None):
        keys["attention.sliding_window"] = config.sliding_window
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        if getattr(config, name, None):
            keys[name] = getattr(config, name)
    if rope["rope_type"] in ("linear", "yarn"):
        keys |= {"rope.scaling.type": rope["rope_type"], "rope.scaling.factor": rope["factor"]}
    if "original_max_position_embeddings" in rope and rope["rope_type"] != "llama3":
        keys["rope.scaling.original_context_length"] = rope["original_max_position_embeddings"]
    if rope["rope_type"] == "longrope":
        keys["rope.scaling.attn_factor"] = rope["attention_factor"]
    return keys


def tensors_of(network: Any) -> dict[str, Any]:
    config = network.config
    rope = config.rope_parameters
    if rope.get("rope_type") == "longrope":
        return {f"rope_factors_{name}.weight": rope[f"{name}_factor"] for name in ("short", "long")}
    if rope.get("rope_type") == "llama3":
        return {
            "rope_freqs.weight": [llama3_factor(pair, config.head_dim, rope) for pair in range(config.head_dim // 2)]
        }
    return {}


def llama3_factor(pair: int, width: int, rope: dict[str, Any]) -> float:
    """As `generate_extra_tensors` of llama.cpp's converter computes it."""
    wave = 2 * math.pi * rope["rope_theta"] ** (2 * pair / width)
    old, low, high, factor = (rope[key] for key in ("original_max_position_embeddings", "low_freq_factor",
                                                    "high_freq_factor", "factor"))  # fmt: skip
    if wave < old / high:
        return 1.0
    if wave > old / low:
        return float(factor)
    smooth = (old / wave - low) / (high - low)
    return float(1 / ((1 - smooth) / factor + smooth))


def in_order(arch: str, name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """Llama's rotary halves are interleaved, Gemma's norms are stored as they multiply."""
    if arch == "llama" and ("q_proj" in name or "k_proj" in name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        return tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(tensor.shape)
    return tensor + 1 if arch.startswith("gemma") and name.endswith("norm.weight") else tensor


def converted(file: Path, folder: Path) -> Any:
    head = checked_head(file, where="tiny")
    (folder / "from").mkdir(parents=True)
    alone(file, folder / "from")
    convert(folder / "from", folder / "to", config_of(head, where="tiny"))
    made = transformers.AutoModelForCausalLM.from_pretrained(folder / "to", dtype=torch.float32).eval()
    assert weights_of(head) == sum(weight.numel() for weight in made.parameters())
    return made


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = network(IDS, use_cache=False).logits
    return result


@pytest.mark.parametrize("name", FAMILIES)
def test_a_converted_file_computes_what_the_network_computed(
    name: str, tiny_transformers_tokenizer: Any, tmp_path: Path
) -> None:
    network = network_of(name, tiny_transformers_tokenizer)
    file = written(tmp_path / "m.gguf", network, tiny_transformers_tokenizer, {}, tensors_of(network))
    made = converted(file, tmp_path / "made")
    torch.testing.assert_close(logits(made), logits(network), atol=2e-5, rtol=1e-5)


def test_a_llama_that_is_named_mistral_is_a_llama(llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path) -> None:
    keys = {"general.name": "mistral"}
    made = converted(written(tmp_path / "m.gguf", llama, tiny_transformers_tokenizer, keys, {}), tmp_path / "made")
    assert made.config.model_type == "llama"
    torch.testing.assert_close(logits(made), logits(llama), atol=2e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def llama(tiny_transformers_tokenizer: Any) -> Any:
    return network_of("wide", tiny_transformers_tokenizer)


def rotation(network: Any) -> tuple[torch.Tensor, float]:
    turning = network.model.rotary_emb
    return turning.inv_freq, turning.attention_scaling


@pytest.mark.parametrize(("keys", "factors", "divisor", "louder"), [
    ({}, None, [1.0] * 8, 1.0),
    ({"rope.scaling.type": "linear", "rope.scaling.factor": 3.0}, None, [3.0] * 8, 1.0),
    ({"rope.scaling.factor": 3.0}, None, [3.0] * 8, 1.0),
    ({"rope.scale_linear": 2.5}, None, [2.5] * 8, 1.0),
    ({"rope.scaling.type": "none", "rope.scaling.factor": 3.0}, None, [1.0] * 8, 1.0),
    ({}, [1.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 8.0], [1.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 8.0], 1.0),
    ({"rope.scaling.attn_factor": 1.25}, [1.0] * 7 + [4.0], [1.0] * 7 + [4.0], 1.25),
    ({}, [1.0] * 8, [1.0] * 8, 1.0),
])  # fmt: skip
def test_frequencies_are_those_of_the_formula(
    keys: dict[str, Any], factors: list[float] | None, divisor: list[float], louder: float,
    llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path,
) -> None:  # fmt: skip
    tensors = {} if factors is None else {"rope_freqs.weight": factors}
    made = converted(written(tmp_path / "m.gguf", llama, tiny_transformers_tokenizer, keys, tensors), tmp_path / "made")
    expected = torch.tensor([10_000.0 ** (-2 * pair / 16) / by for pair, by in enumerate(divisor)])
    torch.testing.assert_close(rotation(made)[0], expected, rtol=1e-6, atol=0)
    assert rotation(made)[1] == pytest.approx(louder)


def test_yarn_is_that_of_llama_cpp(llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path) -> None:
    keys = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 256,
            "rope.scaling.yarn_beta_fast": 16.0, "rope.scaling.attn_factor": 0.9}  # fmt: skip
    made = converted(written(tmp_path / "m.gguf", llama, tiny_transformers_tokenizer, keys, {}), tmp_path / "made")
    width, base = 16, 10_000.0

    def place(turns: float) -> float:
        return width * math.log(256 / (turns * 2 * math.pi)) / (2 * math.log(base))

    start, end = max(0, math.floor(place(16.0))), min(width - 1, math.ceil(place(1.0)))
    expected = []
    for pair in range(width // 2):
        ramp = 1 - min(1.0, max(0.0, (pair - start) / max(0.001, end - start)))
        plain = base ** (-2 * pair / width)
        expected.append(plain / 4 * (1 - ramp) + plain * ramp)
    torch.testing.assert_close(rotation(made)[0], torch.tensor(expected), rtol=1e-6, atol=0)
    assert rotation(made)[1] == pytest.approx(0.9 * (1 + 0.1 * math.log(4)))


def test_llama_3_factors_become_its_rule(tiny_transformers_tokenizer: Any, tmp_path: Path) -> None:
    network = network_of("llama3", tiny_transformers_tokenizer)
    file = written(tmp_path / "m.gguf", network, tiny_transformers_tokenizer, {}, tensors_of(network))
    found = config_of(checked_head(file, where="tiny"), where="tiny")["rope_parameters"]
    assert found == {"rope_theta": 500_000.0} | LLAMA3
    made = converted(file, tmp_path / "made")
    torch.testing.assert_close(rotation(made)[0], rotation(network)[0], rtol=0, atol=0)


@pytest.mark.parametrize(("name", "keys", "tensors", "said"), [
    ("wide", {"rope.scaling.type": "ntk"}, {}, "scaled by the rule ntk; expected linear, yarn or none"),
    ("wide", {"rope.scaling.type": "longrope"}, {}, "scaled by the rule longrope"),
    ("wide", {"rope.scaling.alpha": 2.0}, {}, r"the setting llama\.rope\.scaling\.alpha is 2\.0"),
    ("wide", {"rope.dimension_sections": [1, 2, 3, 0]}, {}, r"the setting llama\.rope\.dimension_sections is a list"),
    ("wide", {"rope.new": 1}, {}, r"the setting llama\.rope\.new is 1; expected settings that can be taken over"),
    ("wide", {"attention.scale": 0.3}, {}, r"the setting llama\.attention\.scale is 0\.3"),
    ("wide", {"attention.sliding_window": 6}, {}, r"the setting llama\.attention\.sliding_window is 6"),
    ("wide", {"expert_count": 8}, {}, r"the setting llama\.expert_count is 8"),
    ("wide", {"attention.head_count_kv": [2, 2]}, {}, r"the setting llama\.attention\.head_count_kv is a list"),
    ("wide", {"attention.head_count_kv": None}, {}, r"no llama\.attention\.head_count_kv"),
    ("wide", {"rope.dimension_count": 8}, {}, r"llama\.rope\.dimension_count is 8; expected 16"),
    ("wide", {"attention.value_length": 8}, {}, "keys of 16 and values of 8 numbers"),
    ("wide", {"rope.scaling.attn_factor": 1.2}, {}, r"multiplied by 1\.2"),
    ("wide", {"rope.scaling.type": "yarn", "rope.scaling.factor": 2.0}, {"rope_freqs.weight": [2.0] * 8},
     r"the scaling yarn by 2 beside rope_freqs\.weight"),
    ("wide", {}, {"rope_freqs.weight": [2.0] * 7}, "7 factors of the rotation; expected 8"),
    ("wide", {}, {"rope_freqs.weight": [2.0] * 7 + [0.0]}, r"rope_freqs\.weight holds a number that is not"),
    ("wide", {}, {"rope_factors_long.weight": [2.0] * 8}, r"only rope_factors_long\.weight; expected all"),
    ("wide", {}, {"blk.0.attn_q_norm.weight": [1.0] * 16}, r"the tensor blk\.0\.attn_q_norm\.weight; expected"),
    ("wide", {}, {"blk.1.attn_sinks.weight": [1.0] * 4}, r"the tensor blk\.1\.attn_sinks\.weight"),
    ("wide", {}, {"mystery": [1.0] * 4}, "the tensor mystery; expected a tensor of the llama models"),
    ("wide", {"general.type": "adapter"}, {}, r"general\.type is adapter; expected a whole model"),
    ("wide", {"tokenizer.ggml.pre": "stablelm2"}, {}, r"tokenizer\.ggml\.pre is stablelm2"),
    ("phi3", {"rope.scaling.factor": 2.0}, {}, r"the rotation of phi3 is scaled \(linear\); expected factors"),
    ("gemma3", {"attention.sliding_window": None}, {}, r"no gemma3\.attention\.sliding_window"),
])  # fmt: skip
def test_what_cannot_be_taken_over_is_refused_by_name(
    name: str, keys: dict[str, Any], tensors: dict[str, Any], said: str,
    tiny_transformers_tokenizer: Any, tmp_path: Path,
) -> None:  # fmt: skip
    network = network_of(name, tiny_transformers_tokenizer)
    file = written(tmp_path / "m.gguf", network, tiny_transformers_tokenizer, keys, tensors)
    with pytest.raises(ModelError, match=said):
        config_of(checked_head(file, where="tiny"), where="tiny")


def test_a_weight_that_is_not_there_is_never_made_up(
    llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path
) -> None:
    file = written(tmp_path / "m.gguf", llama, tiny_transformers_tokenizer, {}, {"blk.0.attn_q.bias": [0.0] * 64})
    settings = config_of(checked_head(file, where="tiny"), where="tiny")
    (tmp_path / "from").mkdir()
    alone(file, tmp_path / "from")
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.k_proj\.bias is missing"):
        convert(tmp_path / "from", tmp_path / "to", settings)


@pytest.mark.parametrize("arch", ["llama", "phi3"])
@pytest.mark.parametrize("space", [None, True, False])
def test_a_space_before_a_text_is_written_where_the_file_says_so(arch: str, space: bool | None, tmp_path: Path) -> None:
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "N", "o", "No", "▁No"]
    (tmp_path / "from").mkdir()
    writer = gguf.GGUFWriter(tmp_path / "from" / "model.gguf", arch)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(place) for place in range(len(words))])
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * 5])
    writer.add_block_count(1)
    writer.add_embedding_length(32)
    if space is not None:
        writer.add_add_space_prefix(space)
    for name in ("token_embd.weight", "blk.0.ffn_down.weight"):
        writer.add_tensor(name, np.zeros((4, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "from", gguf_file="model.gguf")
    head = GgufHead(arch, gguf_scalars(tmp_path / "from" / "model.gguf"), {})
    save_tokenizer(tokenizer, tmp_path / "to", writes_space(head))
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "to")
    assert read.tokenize("No") == (["No"] if space is False else ["▁No"])
    assert read.tokenize("No No") == (["No", "▁No"] if space is False else ["▁No", "▁No"])


def gguf_scalars(file: Path) -> dict[str, Any]:
    fields = gguf.GGUFReader(file).fields
    return {name: entry.contents() for name, entry in fields.items() if len(entry.data) == 1}

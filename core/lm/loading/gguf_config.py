"""Translates the settings of a GGUF file that the library drops into its configuration.

The library reads the sizes and little else, and takes its defaults for the rest without a word. Here every key of the
file's architecture and every tensor is taken over, known to change nothing, or refused by name.
What they mean: https://github.com/ggml-org/llama.cpp, `llama-model.cpp`, `ggml_rope_ext`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ModelError
from core.lm.loading.gguf_header import GgufHead

_GATED = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
_PLAIN = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_up", "ffn_down")
_GEMMA = (*_GATED, "post_attention_norm", "post_ffw_norm")


@dataclass(frozen=True)
class _Family:
    """What a file of an architecture may hold."""

    weights: tuple[str, ...] = _GATED
    """Tensors of a layer, each a `.weight`."""
    biases: tuple[str, ...] = ()
    """Those that may have a `.bias`, too."""
    keys: Mapping[str, str] | None = None
    """Further keys that are taken over -> the library's name; a 0 there means none."""
    head_width: bool = True
    """Whether the width of a head may differ from the model's width shared by the heads."""
    partial: bool = False
    """Whether rotation may be for a part of each head only."""
    scalings: tuple[str, ...] = ("linear", "yarn", "factors")
    """Ways of rotating that the library can compute for it."""


_CAPS = {"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping",
         "attention.sliding_window": "sliding_window"}  # fmt: skip
_WINDOW = {"attention.sliding_window": "sliding_window"}
_FAMILIES = {
    "llama": _Family(biases=_GATED[1:5] + _GATED[6:]),
    "qwen2": _Family(biases=("attn_q", "attn_k", "attn_v"), head_width=False),
    "qwen3": _Family(weights=(*_GATED, "attn_q_norm", "attn_k_norm")),
    "phi3": _Family(("attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"), keys=_WINDOW,
                    head_width=False, partial=True, scalings=("factors",)),
    "gemma2": _Family(_GEMMA, keys=_CAPS),
    "gemma3": _Family((*_GEMMA, "attn_q_norm", "attn_k_norm"), keys=_CAPS, scalings=("linear",)),
    "starcoder2": _Family(_PLAIN, _PLAIN, keys=_WINDOW, head_width=False),
    "stablelm": _Family(biases=("attn_norm", "attn_q", "attn_k", "attn_v", "ffn_norm"), head_width=False, partial=True),
}  # fmt: skip
_SIZES = frozenset((
    *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"),
    *("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"),
    *("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "rope.dimension_count", "rope.freq_base"),
))  # fmt: skip
_SCALING = frozenset((
    *("rope.scale_linear", "rope.scaling.type", "rope.scaling.factor", "rope.scaling.attn_factor"),
    *("rope.scaling.original_context_length", "rope.scaling.yarn_attn_factor"),
    *("rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"),
))  # fmt: skip
_NO_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "rope.scaling.finetuned": (True, False), "rope.scaling.yarn_ext_factor": (1.0, -1.0),
    "rope.scaling.yarn_log_multiplier": (0.0,), "rope.scaling.alpha": (0.0,), "attention.causal": (True,),
    "expert_count": (0,), "expert_used_count": (0,), "attention.max_alibi_bias": (0.0,), "attention.clamp_kqv": (0.0,),
    "attention.scale": (0.0,), "logit_scale": (0.0, 1.0), "residual_scale": (0.0, 1.0), "embedding_scale": (0.0, 1.0),
    "attn_logit_softcapping": (0.0,), "final_logit_softcapping": (0.0,), "attention.sliding_window": (0,),
    "tensor_data_layout": ("Meta AI original pth",), "use_parallel_residual": (True, False),
}  # fmt: skip
"""Keys that are no settings of their own, with the values that change nothing."""
_PRE = frozenset((
    *("default", "gpt-2", "smollm", "starcoder", "refact", "codeshell", "minerva-7b", "mpt", "olmo", "jais"),
    *("llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "midm-2.0", "dbrx", "smaug-bpe", "tekken", "qwen2"),
    *("deepseek-r1-qwen", "kormo", "megrez", "qwen35", "gpt-4o", "llama4", "kanana2"),
))  # fmt: skip
"""How text is split into words, for byte-level vocabularies: the ways that the library knows."""
_LLAMA3 = ((1.0, 4.0, 8192),)
"""Low and high frequency factor and original context of the models that were stretched this way."""


def config_of(head: GgufHead, *, where: str) -> dict[str, Any]:
    """What the library's configuration must hold for this file, beside what it reads itself.

    Raises `ModelError` naming the first key or tensor that can be neither taken over nor left out.
    """
    return _SettingsReader(head, _FAMILIES[head.architecture], where).config()


def writes_space(head: GgufHead) -> bool:
    """Whether the tokenizer is to write a space before a text where the library makes it do so."""
    pieces = head.scalars.get("tokenizer.ggml.model") == "llama" and not head.architecture.startswith("gemma")
    return not pieces or bool(head.scalars.get("tokenizer.ggml.add_space_prefix", True))


def weights_of(head: GgufHead) -> int:
    """How many of the file's numbers are weights of the network: all but factors of the rotation."""
    return head.numbers - sum(len(factors) for factors in head.factors.values())


@dataclass(frozen=True)
class _SettingsReader:
    """Reads the settings of one file."""

    head: GgufHead
    family: _Family
    where: str

    def config(self) -> dict[str, Any]:
        self.check_keys()
        self.check_tensors()
        config: dict[str, Any] = {"vocab_size": self.head.shapes["token_embd.weight"][1]}
        if self.family.head_width:
            config["head_dim"] = self.width
        taken = {ours: self.number(key) or None for key, ours in (self.family.keys or {}).items() if key in self}
        return config | taken | self.rotation() | getattr(self, f"of_{self.head.architecture}", dict)()

    def of_llama(self) -> dict[str, Any]:
        return {
            "attention_bias": "blk.0.attn_q.bias" in self.head.shapes,
            "mlp_bias": "blk.0.ffn_up.bias" in self.head.shapes,
        }

    def of_phi3(self) -> dict[str, Any]:
        return {"original_max_position_embeddings": self.original, "pad_token_id": self.padding}

    def of_gemma2(self) -> dict[str, Any]:
        return {"query_pre_attn_scalar": self.share if self.layers == 46 else self.width}

    def of_gemma3(self) -> dict[str, Any]:
        if "attention.sliding_window" not in self:
            raise self.refused("no gemma3.attention.sliding_window", "the window of its layers")
        period = int(self.number("attention.sliding_window_pattern", 6))
        kinds = ["full_attention" if (layer + 1) % period == 0 else "sliding_attention" for layer in range(self.layers)]
        return {"query_pre_attn_scalar": self.share if self.layers == 62 else self.width, "layer_types": kinds}

    def check_keys(self) -> None:
        head = self.head
        readable = set(self.family.keys or ()) | _SIZES | _SCALING
        if head.architecture == "gemma3":
            readable |= {"attention.sliding_window_pattern", "rope.freq_base_swa"}
        for key in sorted((*head.scalars, *head.arrays)):
            name = key.removeprefix(f"{head.architecture}.")
            if name == key or (name in readable and key not in head.arrays):
                continue
            value = "a list" if key in head.arrays else head.scalars[key]
            whole = name == "attention.sliding_window" and type(value) is int and value >= self.context
            if not whole and value not in _NO_EFFECT.get(name, ()):
                raise self.refused(f"the setting {key[:80]} is {str(value)[:40]}", "settings that can be taken over")
        for key, values in (("general.type", ("model",)), ("split.count", (0, 1))):
            if head.scalars.get(key, values[-1]) not in values:
                raise self.refused(f"{key} is {str(head.scalars[key])[:40]}", "a whole model in one file")
        words = head.scalars.get("tokenizer.ggml.pre", "default")
        if head.scalars.get("tokenizer.ggml.model") == "gpt2" and words not in _PRE:
            raise self.refused(f"tokenizer.ggml.pre is {str(words)[:40]}", f"one of {', '.join(sorted(_PRE))}")
        if "attention.head_count_kv" not in self:
            raise self.refused(f"no {head.architecture}.attention.head_count_kv", "the number of its key heads")

    def check_tensors(self) -> None:
        layer = {f"{name}.weight" for name in self.family.weights} | {f"{name}.bias" for name in self.family.biases}
        ends = {"token_embd.weight", "output.weight", "output_norm.weight", *self.head.factors}
        if "attn_norm" in self.family.biases:
            ends.add("output_norm.bias")
        for name in self.head.shapes:
            if name not in ends and not (name.startswith("blk.") and name.split(".", 2)[-1] in layer):
                raise self.refused(
                    f"the tensor {name[:80]}", f"a tensor of the {self.head.architecture} models that can be opened"
                )

    def rotation(self) -> dict[str, Any]:
        scaled = self.scaled()
        if self.family.partial:
            scaled["partial_rotary_factor"] = self.turned / self.width
        elif self.turned != self.width:
            problem = f"{self.head.architecture}.rope.dimension_count is {self.turned}"
            raise self.refused(problem, f"{self.width}, the width of a head")
        if self.head.architecture != "gemma3":
            return {"rope_parameters": scaled}
        local = {"rope_type": "default", "rope_theta": float(self.number("rope.freq_base_swa", 10_000.0))}
        return {"rope_parameters": {"full_attention": scaled, "sliding_attention": local}}

    def scaled(self) -> dict[str, Any]:
        """The library's `rope_parameters` for the file's way of rotating."""
        base = {"rope_theta": float(self.number("rope.freq_base", 10_000.0))}
        factor = float(self.number("rope.scaling.factor", 0) or self.number("rope.scale_linear", 0) or 1.0)
        kind = self.head.scalars.get(f"{self.head.architecture}.rope.scaling.type", "linear")
        louder = float(self.number("rope.scaling.attn_factor", 1.0) * self.number("rope.scaling.yarn_attn_factor", 1.0))
        if self.head.factors:
            if kind not in ("linear", "none", "longrope") or (factor != 1.0 and kind != "none"):
                problem = f"the scaling {str(kind)[:40]} by {factor:g} beside {next(iter(self.head.factors))}"
                raise self.refused(problem, "one or the other")
            return base | self.allowed("factors", self.by_factors(float(base["rope_theta"]), louder))
        if kind == "yarn":
            return base | self.allowed("yarn", self.yarn(factor, louder))
        if kind not in ("linear", "none"):
            raise self.refused(f"the rotation is scaled by the rule {str(kind)[:40]}", "linear, yarn or none")
        if louder != 1.0:
            raise self.refused(f"the rotation is multiplied by {louder:g}", "a scaling that the library knows")
        if factor == 1.0 or kind == "none":
            return base | {"rope_type": "default"}
        return base | self.allowed("linear", {"rope_type": "linear", "factor": factor})

    def allowed(self, way: str, scaled: dict[str, Any]) -> dict[str, Any]:
        if way in self.family.scalings or scaled["rope_type"] == "default":
            return scaled
        problem = f"the rotation of {self.head.architecture} is scaled ({scaled['rope_type']})"
        raise self.refused(problem, f"{' or '.join(self.family.scalings)} for it")

    def yarn(self, factor: float, louder: float) -> dict[str, Any]:
        """arXiv 2309.00071; llama.cpp multiplies its root of the temperature by the file's own factor."""
        return {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": self.original,
            "attention_factor": louder * (1.0 + 0.1 * math.log(factor) if factor > 1.0 else 1.0),
            "beta_fast": float(self.number("rope.scaling.yarn_beta_fast", 32.0)),
            "beta_slow": float(self.number("rope.scaling.yarn_beta_slow", 1.0)),
        }

    def by_factors(self, base: float, louder: float) -> dict[str, Any]:
        """Each frequency is divided by its own number: one list for all lengths, or one for short and one for long."""
        lists = [self.head.factors.get(f"rope_{name}.weight") for name in ("freqs", "factors_short", "factors_long")]
        same, short, long = (None if values is None else list(values) for values in lists)
        if (same is None) == (short is None) or (short is None) != (long is None):
            raise self.refused(f"of the rotation's factors only {', '.join(sorted(self.head.factors))}", "all of them")
        short, long = short or same, long or same
        wrong = next((len(values) for values in (short, long) if values and len(values) * 2 != self.turned), None)
        if wrong is not None:
            raise self.refused(f"{wrong} factors of the rotation", f"{self.turned // 2}, half the width that turns")
        if same is not None and louder == 1.0:
            if set(same) == {1.0}:
                return {"rope_type": "default"}
            llama3 = _llama3(same, base, self.turned)
            if llama3 is not None:
                return llama3
        original = self.context if same is not None else self.original
        return {"rope_type": "longrope", "short_factor": short, "long_factor": long, "attention_factor": louder,
                "original_max_position_embeddings": original}  # fmt: skip

    def __contains__(self, name: str) -> bool:
        return f"{self.head.architecture}.{name}" in self.head.scalars

    def number(self, name: str, default: float | None = None) -> float:
        value = self.head.scalars.get(f"{self.head.architecture}.{name}", default)
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise self.refused(f"{self.head.architecture}.{name} is {str(value)[:40]}", "a number")
        return float(value) if isinstance(value, float) else int(value)

    @property
    def layers(self) -> int:
        return int(self.number("block_count"))

    @property
    def context(self) -> int:
        return int(self.number("context_length"))

    @property
    def original(self) -> int:
        """Longest prompt before the rotation was stretched."""
        return int(self.number("rope.scaling.original_context_length", self.context))

    @property
    def padding(self) -> int | None:
        value = self.head.scalars.get("tokenizer.ggml.padding_token_id")
        return value if type(value) is int and value < self.head.shapes["token_embd.weight"][1] else None

    @property
    def share(self) -> int:
        """The model's width shared by its heads."""
        return int(self.number("embedding_length")) // int(self.number("attention.head_count"))

    @property
    def width(self) -> int:
        """Width of a head's query and key; that of its value must be the same."""
        width = int(self.number("attention.key_length", self.share))
        values = int(self.number("attention.value_length", width))
        if values != width or (width != self.share and not self.family.head_width):
            problem = f"heads with keys of {width} and values of {values} numbers"
            raise self.refused(problem, f"{width if values != width else self.share} for both")
        return width

    @property
    def turned(self) -> int:
        """How many numbers of a query and key the rotation turns."""
        return int(self.number("rope.dimension_count", self.width))

    def refused(self, problem: str, expected: str) -> ModelError:
        return ModelError(problem, expected=expected, where=self.where)


def _llama3(factors: list[float], base: float, turned: int) -> dict[str, Any] | None:
    """The rule of Llama 3.1 where it gives these very factors (up to their last bits); None elsewhere."""
    factor = max(factors)
    for low, high, original in _LLAMA3:
        expected = [
            _llama3_factor(base ** (-2 * pair / turned), factor, low, high, original) for pair in range(turned // 2)
        ]
        if all(math.isclose(have, want, rel_tol=2e-6) for have, want in zip(factors, expected, strict=True)):
            return {"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                    "original_max_position_embeddings": original}  # fmt: skip
    return None


def _llama3_factor(frequency: float, factor: float, low: float, high: float, original: int) -> float:
    wave = 2 * math.pi / frequency
    if wave < original / high:
        return 1.0
    if wave > original / low:
        return factor
    smooth = (original / wave - low) / (high - low)
    return 1.0 / ((1.0 - smooth) / factor + smooth)

"""Checks that a folder is a causal language model that runs no code of its own when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from core.errors import ModelError
from core.lm.loading.code_table import CODES, codes_beside
from core.lm.loading.json_files import check_sizes, read_object, refuse_code
from core.lm.loading.weights import Weights, weights_in
from core.prompt.codes import Codes

LONGEST_CONFIG = 4_000_000
"""Bytes; the configurations in use have some thousands."""
_SIZES = {
    "num_hidden_layers": 1_000,
    "hidden_size": 1_000_000,
    "intermediate_size": 10_000_000,
    "num_attention_heads": 10_000,
    "num_key_value_heads": 10_000,
    "head_dim": 100_000,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 1_000_000_000,
}
"""Largest value of each size in a configuration; far above any model, far below what would stall us."""
_ENCODERS = frozenset(
    (
        *("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert"),
        *("rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm", "xlm-roberta"),
        *("xlm-roberta-xl", "xmod"),
    )
)
"""Families that look both ways, though the library lists them as causal too."""
_SEVERAL_PARTS = ("vision_config", "audio_config", "encoder", "text_encoder")
_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_CODE_CARRIERS = ("config.json", "tokenizer_config.json", "generation_config.json")


@dataclass(frozen=True)
class ModelFolder:
    """A folder that passed every check that does not open the model."""

    path: Path
    config: Mapping[str, Any]
    weights: Weights
    codes: Codes | None = None
    """What its prompts say about users and items, if anything."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The configuration, the weights and the codes, if any: what makes a model the one it is."""
        files = (self.path / "config.json", *self.weights.files)
        return files if self.codes is None else (*files, self.path / CODES)


def checked_folder(path: Path, *, where: str) -> ModelFolder:
    """The folder's configuration and weight headers, after the checks that they are safe to open.

    Raises `ModelError` naming what is missing (config.json, weights, tokenizer files) or refused: code that comes
    with the model, pickle weights, a model that is not a causal language model, quantised or damaged weights.
    """
    if not path.is_dir():
        raise ModelError("not a folder" if path.exists() else "no such folder", expected="a model folder", where=where)
    names = _names(path, where)
    _refuse_code_files(path, names, where)
    config = read_object(path / "config.json", longest=LONGEST_CONFIG, where=where)
    _check_kind(config, where)
    check_sizes(config, _SIZES, where=f"{where}, config.json")
    if not any(set(files) <= names for files in _TOKENIZER_FILES):
        raise ModelError("no tokenizer.json", expected="the tokenizer's files beside the weights", where=where)
    return ModelFolder(path, config, weights_in(path, where=where), codes_beside(path, where=where))


def _names(path: Path, where: str) -> set[str]:
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ModelError(f"the folder cannot be read ({reason})", expected="a readable folder", where=where) from None
    if not names:
        raise ModelError("the folder is empty", expected="config.json, safetensors and tokenizer files", where=where)
    if "config.json" not in names:
        raise ModelError("no config.json", expected="a model folder", where=where)
    return names


def _refuse_code_files(path: Path, names: set[str], where: str) -> None:
    code = sorted(name for name in names if name.lower().endswith((".py", ".pyc", ".so", ".pyd", ".dll")))
    if code:
        expected = "a model that needs no code of its own"
        raise ModelError(f"the folder holds program code ({code[0][:80]})", expected=expected, where=where)
    for name in _CODE_CARRIERS:
        if name in names:
            settings = read_object(path / name, longest=LONGEST_CONFIG, where=where)
            refuse_code(settings, where=f"{where}, {name}")


def _check_kind(config: Mapping[str, Any], where: str) -> None:
    kind, architectures = config.get("model_type"), config.get("architectures")
    causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind) if isinstance(kind, str) else None
    classes = set() if causal is None or kind in _ENCODERS else {causal}
    named = architectures if isinstance(architectures, list) and architectures else ["no architecture"]
    several = [key for key in _SEVERAL_PARTS if config.get(key)]
    if named[0] not in classes or config.get("is_encoder_decoder") or several:
        problem = f"not a causal language model: model_type {str(kind)[:60]}, {str(named[0])[:80]}"
        raise ModelError(problem, expected="one such as LlamaForCausalLM", where=f"{where}, config.json")
    if config.get("quantization_config"):
        problem = "the weights are quantised"
        raise ModelError(problem, expected="float32, bfloat16 or float16 weights", where=f"{where}, config.json")

"""What is found of a model before it is loaded and when it is: rows for a person, and why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ModelError
from core.lm.loading.adapter import checked_adapter
from core.lm.loading.device import device_for, dtype_for, free_bytes
from core.lm.loading.json_files import read_object
from core.lm.loading.load import LanguageModel, check_room, needed_bytes, size_words, source_of
from core.lm.loading.model_folder import LONGEST_CONFIG, ModelFolder, checked_folder
from core.lm.loading.places import place_of
from core.lm.server.address import address_of
from core.words import counted, power

KINDS = {
    "sample": "the sample model",
    "folder": "a model folder",
    "gguf": "a GGUF file, converted once",
    "hub": "a model of the hub",
    "server": "a server",
}


class FactRow(NamedTuple):
    """One thing that was found."""

    label: str
    text: str


@dataclass(frozen=True)
class ModelFacts:
    """What was found of a model, as far as it got."""

    rows: tuple[FactRow, ...]
    refusal: str | None
    """Why the model cannot be used, in one sentence; None where nothing speaks against it so far."""


def facts_of(name: str, *, adapter: str | None = None, device: str = "auto", dtype: str = "auto") -> ModelFacts:
    """What the files of a model and of an adapter say, and what it needs; no weights are read.

    Of the owner's server nothing but its address is found without asking it. Raises `MaterialError` where the sample
    model cannot be fetched; every `ModelError` is the refusal.
    """
    return _collected(_found(name, adapter, device, dtype))


def loaded_facts(model: LanguageModel) -> ModelFacts:
    """What was found while a model was loaded: the self-check, or what a server can do, and what a reader must know."""
    return _collected(_of_loaded(model))


def _collected(found: Iterator[FactRow]) -> ModelFacts:
    rows: list[FactRow] = []
    try:
        for row in found:
            rows.append(row)
    except ModelError as error:
        return ModelFacts(tuple(rows), str(error))
    return ModelFacts(tuple(rows), None)


def _found(name: str, adapter: str | None, device: str, dtype: str) -> Iterator[FactRow]:
    kind = place_of(name).kind
    yield FactRow("Source", KINDS[kind])
    if kind == "server":
        yield FactRow("Address", address_of(name).name)
        return
    path, where = source_of(name)
    folder = checked_folder(path, where=where)
    yield FactRow("Name", where)
    yield from (FactRow(label, text) for label, say in _OF_FOLDER.items() if (text := say(folder)) is not None)
    if adapter is not None:
        yield from _of_adapter(adapter)
    device = device_for(device)
    used, notices = dtype_for(device, dtype)
    yield FactRow("Runs on", f"{device} in {used}")
    needed, free = needed_bytes(folder, used), free_bytes(device)
    yield FactRow("Memory", f"about {size_words(needed)} needed, {size_words(free)} free")
    yield from (FactRow("Note", notice) for notice in notices)
    check_room(folder, device, used, where)


def _of_adapter(name: str) -> Iterator[FactRow]:
    files = checked_adapter(name)
    base = f", trained on {files.base}" if files.base else ""
    yield FactRow("Adapter", f"{name}: LoRA of {counted(len(files.layers), 'layer')}{base}")


def _of_loaded(model: LanguageModel) -> Iterator[FactRow]:
    if model.server is not None:
        facts = model.server.facts
        yield FactRow("Model", f"{facts.model} ({facts.software})")
        yield FactRow("Titles", facts.titles or "cannot be scored by this server")
        yield FactRow("Labels", facts.labels or "cannot be scored by this server")
        yield FactRow("Context", f"{facts.context} tokens")
        yield FactRow("Tokenizer", f"{model.tokenizer_name}, content {model.tokenizer.hash}")
    if model.proof is not None:
        most = max(astuple(model.proof)[:4])
        limit = power(model.proof.limit)
        words = f"shared and gated passes differ from plain ones by {power(most)} of the logits' spread at most"
        yield FactRow("Self-check", f"{words}; up to {limit} is rounding")
    yield FactRow("Content", model.model_id)
    yield from (FactRow("Note", notice) for notice in model.notices)


# ---- what a folder says


def _family(folder: ModelFolder) -> str:
    return f"{folder.config.get('model_type')} ({', '.join(map(str, folder.config.get('architectures') or ()))})"


def _layers(folder: ModelFolder) -> str:
    config = folder.config
    heads, shared = config.get("num_attention_heads"), config.get("num_key_value_heads")
    grouped = f", {shared} of keys and values" if shared not in (None, heads) else ""
    return f"{config.get('num_hidden_layers')} of {heads} heads{grouped}"


def _tokens(key: str) -> Callable[[ModelFolder], str | None]:
    def say(folder: ModelFolder) -> str | None:
        return None if folder.config.get(key) is None else f"{folder.config[key]} tokens"

    return say


def _template(folder: ModelFolder) -> str:
    """Whether a chat template lies there; it is not rendered here."""
    beside = any((folder.path / name).is_file() for name in ("chat_template.jinja", "chat_template.json"))
    return "yes" if beside or _settings(folder.path).get("chat_template") else "none"


def _settings(path: Path) -> Mapping[str, Any]:
    file = path / "tokenizer_config.json"
    return read_object(file, longest=LONGEST_CONFIG, where=path.name) if file.is_file() else {}


_OF_FOLDER: Mapping[str, Callable[[ModelFolder], str | None]] = {
    "Family": _family,
    "Layers": _layers,
    "Context": _tokens("max_position_embeddings"),
    "Vocabulary": _tokens("vocab_size"),
    "Weights": lambda folder: f"{folder.weights.numbers:,} numbers",
    "Chat template": _template,
    "Codes": lambda folder: None if folder.codes is None else "of users and items",
}
"""By label: what a checked folder says, or None where it says nothing of it."""

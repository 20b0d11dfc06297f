"""What is found of a model before it is loaded and when it is: rows for a person, and why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.lm.loading.adapter import checked_adapter
from core.lm.loading.device import device_for, dtype_for, free_bytes
from core.lm.loading.facts import FactRow, ModelFacts
from core.lm.loading.gguf_convert import is_converted
from core.lm.loading.hub import hub_download
from core.lm.loading.json_files import read_object
from core.lm.loading.load import LanguageModel, check_room, needed_bytes, size_words, source_of
from core.lm.loading.model_folder import LONGEST_CONFIG, ModelFolder, checked_folder
from core.lm.loading.places import Place, place_of
from core.lm.loading.sample_model import sample_model_is_here
from core.lm.server.address import address_of
from core.prompt.families import ANSWERS, FAMILIES, PromptFamily
from core.words import counted, power

TITLE = "The Matrix (1999)"
"""A title with letters, digits, a space and brackets, as candidates have."""
PROOF_LABELS = {
    "packed": "Two packed branches",
    "remembered": "A remembered prefix",
    "gate_one": "Demonstration at rate 1",
    "gate_zero": "Demonstration at rate 0",
}
"""By part of the self-check: what it is called. A rate is a demonstration's learning rate."""
PROMPT_LABELS = {"answer": "Prompts for an answer", "title": "Prompts for a title"}
"""By what a prompt family scores: what its row is called."""
KINDS = {
    "sample": "the sample model",
    "folder": "a model folder",
    "gguf": "a GGUF file, converted once",
    "hub": "a model of the hub",
    "server": "a server",
}


def facts_of(
    name: str, *, adapter: str | None = None, device: str = "auto", dtype: str = "auto", fetch: bool = True
) -> ModelFacts:
    """What the files of a model and of an adapter say, and what it needs; no weights are read.

    Of the owner's server nothing but its address is found without asking it. With `fetch` a model that must be fetched
    or converted first is; without, that it must be is all that is said. Raises `MaterialError` where the sample model
    cannot be fetched; every `ModelError` is the refusal.
    """
    return _collected(_found(name, adapter, device, dtype, fetch=fetch))


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


def _found(name: str, adapter: str | None, device: str, dtype: str, *, fetch: bool) -> Iterator[FactRow]:
    place = place_of(name)
    yield FactRow("Source", KINDS[place.kind])
    if place.kind == "server":
        yield FactRow("Address", address_of(name).name)
        return
    if not fetch and (first := _before_loading(place, name)):
        yield FactRow("Not here yet", first)
        return
    path, where = source_of(name, fetch=fetch)
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


def _before_loading(place: Place, name: str) -> str:
    """What must be done before the files can be looked at; empty where they lie here."""
    if place.kind == "sample" and not sample_model_is_here():
        return "fetched (93 MB) and converted when it is loaded, the first time only"
    if place.kind == "gguf" and not is_converted(place.path, where=name):
        return "converted when it is loaded, the first time only"
    if place.kind == "hub" and (plan := hub_download(place.repo, place.revision)) is not None:
        return f"{size_words(plan.bytes)} are fetched from the hub when it is loaded, at commit {plan.commit[:12]}"
    return ""


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
    yield from _of_proof(model)
    yield from (FactRow(PROMPT_LABELS[row.scores], _reads(row, model)) for row in FAMILIES.values())
    yield FactRow("Content", model.model_id)
    yield from (FactRow("Note", notice) for notice in model.notices)


def _of_proof(model: LanguageModel) -> Iterator[FactRow]:
    """The self-check, part by part."""
    if (proof := model.proof) is None:
        return
    limit = power(proof.limit)
    yield FactRow("Self-check", f"passed: apart from plain passes by at most {limit} of the logits' spread")
    for name, label in PROOF_LABELS.items():
        yield FactRow(label, f"{power(getattr(proof, name))} apart")


def _reads(row: PromptFamily, model: LanguageModel) -> str:
    """Whether the tokenizer reads what prompts of a family are answered with; a sentence where it does not."""
    words = ANSWERS if row.scores == "answer" else (TITLE,)
    replies = [model.tokenizer.reply(word, chat=False) for word in words]
    if row.scores == "answer":
        split = next((word for word, reply in zip(words, replies, strict=True) if len(reply.token_ids) != 1), None)
        if split is not None:
            return f"cannot be asked: the tokenizer splits {split!r}, which must be one token"
        if len({reply.token_ids for reply in replies}) < len(words):
            return f"cannot be asked: the tokenizer gives {' and '.join(words)} the same token"
        return f"{' and '.join(words)} are one token each, and two different ones"
    if unread := model.tokenizer.unread(TITLE):
        return f"the tokenizer has no token for {unread!r}"
    return f"a title such as {TITLE!r} is read whole, as {counted(len(replies[0].token_ids), 'token')}"


# ---- what a folder says


def _family(folder: ModelFolder) -> str:
    return f"{folder.config.get('model_type')} ({', '.join(map(str, folder.config.get('architectures') or ()))})"


def _heads(folder: ModelFolder) -> str:
    heads, shared = folder.config.get("num_attention_heads"), folder.config.get("num_key_value_heads")
    grouped = f", and {shared} of keys and values" if shared not in (None, heads) else ""
    return f"{heads} in each layer{grouped}"


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
    "Layers": lambda folder: str(folder.config.get("num_hidden_layers")),
    "Heads": _heads,
    "Context": _tokens("max_position_embeddings"),
    "Vocabulary": _tokens("vocab_size"),
    "Weights": lambda folder: f"{folder.weights.numbers:,} numbers",
    "Chat template": _template,
    "Codes": lambda folder: None if folder.codes is None else "of users and items",
}
"""By label: what a checked folder says, or None where it says nothing of it."""

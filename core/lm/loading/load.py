"""Open a language model safely: check first, load without foreign code, hand out a frozen record."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from core.errors import ModelError, short_of_memory, too_large
from core.lm.loading.adapter import checked_adapter
from core.lm.loading.beside import attached
from core.lm.loading.device import BYTES, device_for, dtype_for, free_bytes
from core.lm.loading.gguf_convert import converted
from core.lm.loading.hashes import model_id_of
from core.lm.loading.hub import hub_folder
from core.lm.loading.model_folder import ModelFolder, checked_folder
from core.lm.loading.places import place_of
from core.lm.loading.sample_model import sample_model_folder
from core.lm.loading.self_check import Proof, proven
from core.lm.loading.tokenizer import TextTokenizer
from core.lm.loading.tokenizer_alone import known_rows, tokenizer_folder
from core.lm.server.address import address_of
from core.lm.server.model_server import ModelServer, connected
from core.lm.server.tree_scores import SCORES_ONLY
from core.prompt.codes import Codes

ROOM = 1.1
"""Free memory needed, as a multiple of the weights' own size."""
NOT_HERE = "server"
"""Device and number type of a model that a server holds; it has no layers and heads to be looked at."""
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model with its tokenizer; nothing in it changes after loading."""

    network: Any = field(repr=False)
    """The transformers model, in eval mode, without gradients, with our attention; of a model that a server holds
    something that refuses every use."""
    tokenizer: TextTokenizer
    model_id: str
    """16 hex digits from the contents of configuration, weights and adapter: equal ids are equal models."""
    name: str
    """The name it was loaded by; a hub name with the commit it is pinned to."""
    folder: Path
    device: str
    dtype: str
    layers: int
    heads: int
    context: int
    """Most tokens of a prompt."""
    adapter: str | None
    notices: tuple[str, ...]
    """What a reader should know, one sentence each: a number format replaced, layers that see only part."""
    base: LanguageModel | None = field(default=None, repr=False)
    """The same model without its adapter, from the same weights in memory; None where there is no adapter."""
    codes: Codes | None = field(default=None, repr=False)
    """Codes of users and items that the model or its adapter was tuned to read; None where it knows none."""
    proof: Proof | None = None
    """How well forests of segments agree with plain passes of this network, measured when it was loaded."""
    server: ModelServer | None = None
    """What gives the scores in place of weights; None for a model that is loaded here."""
    tokenizer_name: str | None = None
    """Where the tokenizer comes from, where a server holds the weights."""

    def codes_for(self, dataset_id: str) -> Codes | None:
        """What a prompt of that data must say about users and items; None where the model knows no codes."""
        return None if self.codes is None else self.codes.of(dataset_id)

    def with_adapter(self, adapter: str | None) -> LanguageModel:
        """This model with that adapter instead of the one it may have, or without any; the weights are shared.

        `adapter` is `recicl` or `tallrec`, which come with DemoLens for the sample model, or the folder of a LoRA
        adapter. Both records can be used in any order, neither changes the other; this very record comes back where it
        has that adapter already, as its files are now. Raises `ModelError` with one sentence.
        """
        plain = self.base or self
        if adapter is None:
            return plain
        if self.server is not None:
            raise ModelError(
                "an adapter on a server's model", expected="no adapter, or a model folder", where=self.name
            )
        lora = checked_adapter(adapter)
        model_id = model_id_of(lora.files, where=adapter, base=plain.model_id)
        if (adapter, model_id) == (self.adapter, self.model_id):
            return self
        network, codes = attached(plain.network, lora), lora.codes or plain.codes
        _check_unchanged(model_id_of(lora.files, where=adapter, base=plain.model_id), model_id, adapter)
        return replace(plain, network=network, model_id=model_id, adapter=adapter, base=plain, codes=codes)


def load(name: str, *, adapter: str | None = None, device: str = "auto", dtype: str = "auto") -> LanguageModel:
    """The model of that name: `sample`, a folder, a `.gguf` file, a hub name `org/model[@revision]`, or the owner's
    server, by its address or as `server`.

    `adapter` is a shipped one, `recicl` or `tallrec`, or the folder of a LoRA adapter; see `with_adapter`. Everything
    is checked before a library opens it; no pickle file and no foreign code is ever used. Raises `ModelError` with one
    sentence.
    """
    if place_of(name).kind == "server":
        return _served(name).with_adapter(adapter)
    source, where = source_of(name)
    folder = checked_folder(source, where=where)
    if adapter is not None:
        checked_adapter(adapter)  # A wrong adapter is refused before the weights are read.
    device = device_for(device)
    dtype, notices = dtype_for(device, dtype)
    check_room(folder, device, dtype, where)
    model_id = model_id_of(folder.files, where=where)
    tokenizer = _tokenizer(folder, where)
    network = _network(folder, device, dtype, where)
    notices += _check_vocabulary(network, tokenizer, where)
    _check_unchanged(model_id_of(folder.files, where=where), model_id, where)
    plain = _record(network, tokenizer, model_id, where, folder, device, dtype, notices)
    return plain.with_adapter(adapter)


def source_of(name: str, *, fetch: bool = True) -> tuple[Path, str]:
    """The folder to load from, and what to call it; a hub model is fetched where `fetch` and the owner allow it."""
    place = place_of(name)
    if place.kind == "sample":
        return sample_model_folder(), name
    if place.kind == "gguf":
        return converted(place.path, where=name), name
    if place.kind == "hub":
        folder, commit = hub_folder(place.repo, place.revision, fetch=fetch)
        return folder, f"{place.repo}@{commit}"
    return place.path, name


class _NotHere:
    """In place of a network that a server holds: every use is refused in one sentence."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __getattr__(self, name: str) -> Any:
        raise ModelError(SCORES_ONLY, expected="a model folder for this", where=self._where)


def _served(name: str) -> LanguageModel:
    """The model that the owner's server holds, with a tokenizer of this machine."""
    address = address_of(name)
    folder, tokenizer_name = tokenizer_folder(address.name)
    tokenizer = _tokenizer_in(folder, tokenizer_name, known_rows(folder, tokenizer_name))
    start = len(tokenizer.start())
    server = connected(address, lambda text: tokenizer.opening(text, chat=False).token_ids[start:])
    facts = server.facts
    text = "\n".join((facts.address, facts.model, tokenizer.hash))
    return LanguageModel(
        network=_NotHere(facts.address),
        tokenizer=tokenizer,
        model_id=hashlib.sha256(text.encode()).hexdigest()[:16],
        name=f"{facts.model} at {facts.address}",
        folder=folder,
        device=NOT_HERE,
        dtype=NOT_HERE,
        layers=0,
        heads=0,
        context=facts.context,
        adapter=None,
        notices=tuple(_server_notices(server, tokenizer_name)),
        server=server,
        tokenizer_name=tokenizer_name,
    )


def _server_notices(server: ModelServer, tokenizer_name: str) -> Iterator[str]:
    facts = server.facts
    yield f"The scores come from {facts.model} on a server ({facts.software}); its weights are not seen here."
    if not facts.tokenizer_compared:
        yield f"The server does not say how it reads a text: that {tokenizer_name} is its tokenizer is not checked."
    if facts.context_assumed:
        yield f"The server does not say how long a prompt may be; {facts.context} tokens are assumed."


def _record(
    network: Any,
    tokenizer: TextTokenizer,
    model_id: str,
    name: str,
    folder: ModelFolder,
    device: str,
    dtype: str,
    notices: tuple[str, ...],
) -> LanguageModel:
    with _quiet():
        proof = proven(network, where=name)
    config = network.config.get_text_config()
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        model_id=model_id,
        name=name,
        folder=folder.path,
        device=device,
        dtype=dtype,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        context=_context(config, name),
        adapter=None,
        notices=(*notices, *_windows(config)),
        codes=folder.codes,
        proof=proof,
    )


def _check_unchanged(now: str, then: str, where: str) -> None:
    if now != then:
        raise ModelError("the files changed while they were read", expected="a model that stays as it is", where=where)


def needed_bytes(folder: ModelFolder, dtype: str) -> int:
    """Memory that the weights need in that number type, with some room."""
    return int(folder.weights.numbers * BYTES[dtype] * ROOM)


def check_room(folder: ModelFolder, device: str, dtype: str, where: str) -> None:
    """Refuse what does not fit, by the headers alone, and a configuration that asks for more than the files hold."""
    needed, free = needed_bytes(folder, dtype), free_bytes(device)
    if needed > free:
        problem = f"the model needs about {size_words(needed)} in {dtype}, {size_words(free)} are free on {device}"
        raise ModelError(problem, expected="a smaller model or more memory", where=where)
    described = _numbers_described(folder, where)
    if described > 2 * folder.weights.numbers:
        problem = f"config.json describes {described} weights, the files hold {folder.weights.numbers}"
        raise ModelError(problem, expected="weights that belong to the configuration", where=where)


def _numbers_described(folder: ModelFolder, where: str) -> int:
    """How many weights the configuration describes, counted without allocating them."""
    try:
        config = AutoConfig.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # a stranger's configuration can fail in any of the library's classes
        raise _failed("config.json does not describe a model", error, where) from None
    return sum(parameter.numel() for parameter in empty.parameters())


def _network(folder: ModelFolder, device: str, dtype: str, where: str) -> Any:
    try:
        with _quiet():
            network, report = AutoModelForCausalLM.from_pretrained(
                folder.path,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # damaged weights can fail in any of the library's classes
        raise _failed("the weights cannot be loaded", error, where) from None
    _check_complete(report, where)
    return network.to(device).eval().requires_grad_(False)


def _check_complete(report: Any, where: str) -> None:
    """Refuse a model some of whose weights would be random numbers."""
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in report["mismatched_keys"]]
    for names, problem in (
        (mismatched, "do not have the shape that config.json describes"),
        (report["missing_keys"], "are missing"),
    ):
        if names:
            first = ", ".join(sorted(map(str, names))[:3])
            raise ModelError(
                f"{len(names)} weights {problem}: {first}", expected="all of them in the files", where=where
            )


def _tokenizer(folder: ModelFolder, where: str) -> TextTokenizer:
    return _tokenizer_in(folder.path, where, folder.config.get("vocab_size"))


def _tokenizer_in(path: Path, where: str, rows: int | None) -> TextTokenizer:
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                path, use_fast=True, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # a damaged tokenizer file can fail in any of the library's classes
        raise _failed("the tokenizer cannot be loaded", error, where) from None
    return TextTokenizer(tokenizer, where=where, rows=rows)


def _check_vocabulary(network: Any, tokenizer: TextTokenizer, where: str) -> tuple[str, ...]:
    rows = network.get_input_embeddings().weight.shape[0]
    if tokenizer.text_size > rows:
        problem = f"the tokenizer has {tokenizer.text_size} tokens, the model knows {rows}"
        raise ModelError(problem, expected="the tokenizer of this model", where=where)
    if tokenizer.size > rows:
        return (f"The tokenizer has {tokenizer.size - rows} control tokens that the model does not know.",)
    return ()


def _context(config: Any, where: str) -> int:
    longest = next((getattr(config, key, None) for key in _CONTEXT_KEYS if getattr(config, key, None)), None)
    if not isinstance(longest, int):
        raise ModelError("config.json names no longest prompt", expected="max_position_embeddings", where=where)
    return longest


def _windows(config: Any) -> tuple[str, ...]:
    kinds = getattr(config, "layer_types", None) or []
    window = getattr(config, "sliding_window", None)
    count = sum("sliding" in str(kind) for kind in kinds)
    if not window or not count:
        return ()
    return (
        f"{count} of {len(kinds)} layers see only the latest {window} tokens: in a longer prompt "
        "the first demonstrations do not reach them directly.",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's progress bars and load reports; the checks here report what matters."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _failed(what: str, error: Exception, where: str) -> ModelError:
    if short_of_memory(error):
        return too_large(where)
    return ModelError(
        f"{what} ({type(error).__name__})", expected="a model folder as save_pretrained writes it", where=where
    )


def size_words(count: int) -> str:
    """`1.2 GB`, `540.0 MB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"

"""A served copy of the tiny network, and the same model loaded here: for tests of every room."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.own.protocol_server import ProtocolServer
from core.lm.loading.load import LanguageModel, load
from core.lm.server.address import SERVER, SERVER_TOKENIZER

Serve = Callable[..., ProtocolServer]


@pytest.fixture
def serve(
    tiny_llama: Any, tiny_transformers_tokenizer: Any, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serve]:
    """Opens a server over an untouched copy of the network, and names it as the owner's."""
    opened: list[ProtocolServer] = []

    def start(style: str = "vllm", **choices: Any) -> ProtocolServer:
        server = ProtocolServer(copy.deepcopy(tiny_llama), tiny_transformers_tokenizer, style, **choices).__enter__()
        opened.append(server)
        monkeypatch.setenv(SERVER, server.address)
        monkeypatch.setenv(SERVER_TOKENIZER, str(llama_folder))
        return server

    yield start
    for server in opened:
        server.__exit__()


@pytest.fixture(scope="session")
def local_model(llama_folder: Path) -> LanguageModel:
    return load(str(llama_folder), device="cpu", dtype="float32")

"""Which server may be asked? The one that the owner names, in the environment or on the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from core.errors import ModelError

SERVER = "DEMOLENS_SERVER"
"""Environment variable: the address of the server, such as `http://127.0.0.1:8000/v1`."""
SERVED_MODEL = "DEMOLENS_SERVER_MODEL"
"""Environment variable: which of the server's models, where it has several."""
SERVER_TOKENIZER = "DEMOLENS_SERVER_TOKENIZER"
"""Environment variable: `sample`, or the folder, GGUF file or hub name whose tokenizer is the server's model's."""
SERVER_KEY = "DEMOLENS_SERVER_KEY"
"""Environment variable: the key that the server asks for. It is sent to the server alone, never stored, never shown."""
ALIAS = "server"
"""The name of the owner's server, which a link may hold because it says no address."""
LONGEST = 300


@dataclass(frozen=True)
class ServerAddress:
    """Where a server listens."""

    root: str
    """Scheme, host, port and path, without `/v1` and without a slash at the end."""

    @property
    def name(self) -> str:
        """The address as people write it."""
        return f"{self.root}/v1"


def is_address(name: str) -> bool:
    """Whether a model's name is the address of a server."""
    return name.lower().lstrip().startswith(("http://", "https://"))


def names_server(name: str) -> bool:
    """Whether a model's name stands for a server."""
    return is_address(name) or (name == ALIAS and bool(os.environ.get(SERVER)))


def name_server(model: object, tokenizer: str = "") -> None:
    """Take a command line's word for the owner's: the server that `model` may be the address of, and its tokenizer."""
    if isinstance(model, str) and is_address(model):
        os.environ[SERVER] = model
    if tokenizer:
        os.environ[SERVER_TOKENIZER] = tokenizer


def address_of(name: str) -> ServerAddress:
    """The address that a name stands for: the owner's server, by its alias or by the same address.

    Raises `ModelError` for any other address, before anything is sent.
    """
    text = os.environ.get(SERVER, "")
    if not text:
        raise ModelError("no server is named here", expected=f"its address in {SERVER}, or --model on the command line")
    address = parsed_address(text)
    if name != ALIAS and parsed_address(name) != address:
        problem = "an address that the owner of this DemoLens has not named"
        raise ModelError(problem, expected=f"the server that {SERVER} names", where="model")
    return address


def alias_of(name: str) -> str:
    """`server` for the address of the owner's server, so that a link says no address; every other name as it is."""
    try:
        return ALIAS if is_address(name) and address_of(name) else name
    except ModelError:
        return name


def parsed_address(text: str) -> ServerAddress:
    """The address in a text; raises `ModelError` for what is no plain http or https address."""
    try:
        parts = urlsplit(text.strip())
        fault = _fault(text, parts)
    except ValueError:
        fault = "that cannot be read"
    if fault:
        raise ModelError(f"a server's address {fault}", expected="one such as http://127.0.0.1:8000/v1", where="model")
    return ServerAddress(f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix('/v1')}")


def _fault(text: str, parts: SplitResult) -> str:
    """What is wrong with an address; raises `ValueError` for a port that is no number."""
    faults = {
        f"of {len(text)} characters": len(text) > LONGEST,
        "with spaces or control characters": any(ord(letter) <= 32 or ord(letter) == 127 for letter in text.strip()),
        "that is neither http nor https": parts.scheme not in ("http", "https"),
        "without a host": not parts.hostname,
        f"with a name or a key in it (the key belongs into {SERVER_KEY})": "@" in parts.netloc,
        "with a query or a fragment": bool(parts.query or parts.fragment),
        "with a port that does not exist": parts.port == 0,
    }
    return next((fault for fault, holds in faults.items() if holds), "")

"""What do the files under a name hold now? A fingerprint that changes with every change of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from core.data.folders import LONGEST_PATH
from core.data.names import name_fingerprint
from core.errors import DataError, ModelError
from core.lm.loading.adapter import ADAPTERS, SHIPPED
from core.lm.loading.hub import cached_state
from core.lm.loading.places import HUB_NAME, allowed_path
from core.lm.server.address import SERVED_MODEL, SERVER_TOKENIZER, address_of, names_server
from core.prompt.imported.imported_cases import case_file_at
from core.question.case_spec import CaseSpec
from core.store.names import form_fault
from core.store.sealed import FileState, regular, state_of

MOST_FILES = 2000
"""Files of a folder that enter its fingerprint; a data set or a model has far fewer."""
READ_BYTES = 64 * 2**20
"""Bytes of a folder whose contents are read, the first files by name; larger ones count by their state alone."""
SETTLED_SECONDS = 2.0
"""Age of a change from which a state is believed: two changes within one tick of a file system's clock look alike."""
MOST_HASHES = 4096


def data_fingerprint(name: str) -> str:
    """Hex digits for what lies in a data set's folder, or which data a name stands for.

    Empty for `sample`, which is pinned by hash, and for nothing.

    Every file counts with its size, times and inode, and small ones with their contents too. No file is opened that is
    not a regular one, and nothing is looked at under a name whose form is refused.
    """
    if name == "sample" or form_fault(name, longest=LONGEST_PATH):
        return ""
    return name_fingerprint(name) or _fingerprint(Path(name))


def source_fingerprint(case: CaseSpec) -> str:
    """The same of what a case comes from: its case file, else its data set."""
    if case.cases is None:
        return data_fingerprint(case.dataset)
    try:
        return _fingerprint(case_file_at(case.cases))
    except DataError:
        return ""


def model_fingerprint(name: str) -> str:
    """The same of a model folder or GGUF file; for a hub name, of what the local cache holds of it; for the owner's
    server, which is not asked, of what names it and of the tokenizer's files."""
    if name == "sample":
        return ""
    try:
        if names_server(name):
            return _server_fingerprint(name)
        content = _fingerprint(allowed_path(name))
    except ModelError:
        return ""
    hub = HUB_NAME.fullmatch(name)
    return hashlib.sha256(cached_state(hub["repo"]).encode()).hexdigest() if hub and not content else content


def _server_fingerprint(name: str) -> str:
    """Raises `ModelError` for a server that is not the owner's."""
    address, tokenizer = address_of(name), os.environ.get(SERVER_TOKENIZER, "")
    files = "" if names_server(tokenizer) else model_fingerprint(tokenizer)
    words = (address.name, os.environ.get(SERVED_MODEL, ""), tokenizer, files)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def adapter_fingerprint(name: str | None) -> str:
    """The same of an adapter's folder; empty for none."""
    return model_fingerprint(name or "") if name not in SHIPPED else _fingerprint(ADAPTERS / str(name))


def _fingerprint(path: Path) -> str:
    try:
        rows = list(_rows(Path(os.path.abspath(path.expanduser()))))
    except (OSError, ValueError, RuntimeError):
        return ""
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest() if rows else ""


def _rows(path: Path) -> Iterator[str]:
    """One line a file, in the order of their names."""
    left = READ_BYTES
    for file in sorted(islice(_files(path), MOST_FILES)):
        try:
            state = state_of(file)
        except OSError:  # A link to nothing, or a file that was just removed.
            yield f"{file.relative_to(path)} cannot be looked at"
            continue
        content = ""
        if state[0] <= left:
            left -= state[0]
            content = HASHES.content(file, state)
        yield f"{file.relative_to(path)} {state} {content}"


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or the files of a folder and of the folders right inside it (chat templates lie there)."""
    if not path.is_dir():
        if path.exists():
            yield path
        return
    for entry in sorted(path.iterdir()):
        if not entry.is_dir():
            yield entry
        else:
            with contextlib.suppress(OSError):
                yield from (inner for inner in entry.iterdir() if not inner.is_dir())


class Hashes:
    """SHA-256 of small files, read again only when their state changed; safe to use from several threads."""

    def __init__(self, most: int = MOST_HASHES) -> None:
        self._most, self._lock = most, threading.Lock()
        self._known: OrderedDict[tuple[str, FileState], str] = OrderedDict()

    def content(self, file: Path, state: FileState) -> str:
        """The hash of what `file` holds; empty where it cannot be read."""
        key = (os.fspath(file), state)
        with self._lock:
            entry = self._known.get(key)
        if entry is not None:
            return entry
        now = time.time_ns()
        try:
            with regular(file) as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return ""
        if now - max(state[1:3]) > SETTLED_SECONDS * 1e9:
            self._remember(key, digest)
        return digest

    def _remember(self, key: tuple[str, FileState], digest: str) -> None:
        with self._lock:
            self._known[key] = digest
            while len(self._known) > self._most:
                self._known.popitem(last=False)


HASHES = Hashes()

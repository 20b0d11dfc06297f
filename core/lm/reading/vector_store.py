"""Which vectors of texts and choices are there already: in this process, and on disk in the home folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import MaterialError
from core.lm.reading.head_gradients import head_gradients
from core.lm.reading.packs import Vectors
from core.lm.reading.text_vectors import LONGEST_TEXT, text_vectors
from core.lm.scoring.sweep import Cost
from core.lm.scoring.tree import prefix_ids
from core.prompt.spans import Prompt
from core.store.home import PRIVATE_FOLDER, home, stored, write_atomically
from core.store.sealed import bytes_of

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Vector = NDArray[np.float32]
"""[hidden]."""
DISK_BYTES = 500_000_000
"""Most bytes of vectors on disk."""
MEMORY_BYTES = 250_000_000
"""Most bytes of vectors in one process."""
MOST_FILES = 24
"""Files of one shelf before they are written as one."""
_FORMAT = 1


class VectorStore:
    """Vectors by shelf (of one model and data set) and the text that names them; the least recently used go first.

    A file holds a batch of vectors as one NumPy array without pickle, and its name is the hash of its shelf and
    content: a damaged one is removed. Safe to share between threads; processes only ever add or remove whole files.
    """

    def __init__(
        self, folder: Path | None = None, *, disk_bytes: int = DISK_BYTES, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._folder, self._disk_bytes, self._memory_bytes = folder, disk_bytes, memory_bytes
        self._vectors: OrderedDict[tuple[str, str], Vector] = OrderedDict()
        self._bytes = 0
        self._read: set[Path] = set()
        """Shelves whose files this process has read."""
        self._lock = threading.RLock()

    def find(self, shelf: str, texts: Iterable[str]) -> dict[str, Vector]:
        """The vectors of those texts that are there."""
        with self._lock:
            self._read_shelf(shelf)
            keys = {text: (shelf, _digest(text)) for text in texts}
            present = {text: self._vectors[key] for text, key in keys.items() if key in self._vectors}
            for text in present:
                self._vectors.move_to_end(keys[text])
            return present

    def add(self, shelf: str, vectors: Mapping[str, Vector]) -> None:
        """Remember vectors by text, and write them to disk. Raises `MaterialError` where the disk cannot take them."""
        batch = {_digest(text): vector for text, vector in vectors.items()}
        if not batch:
            return
        with self._lock:
            self._remember(shelf, batch)
            self._write(shelf, batch)

    def _remember(self, shelf: str, batch: Mapping[str, Vector]) -> None:
        for digest, vector in batch.items():
            if (shelf, digest) not in self._vectors:
                self._vectors[shelf, digest] = vector
                self._bytes += vector.nbytes
        while self._bytes > self._memory_bytes and self._vectors:
            _, oldest = self._vectors.popitem(last=False)
            self._bytes -= oldest.nbytes

    # ---- disk

    def _top(self) -> Path:
        return home() / "vectors" if self._folder is None else self._folder

    def _read_shelf(self, shelf: str) -> None:
        """What the disk holds of a shelf, read once a process; nothing where it cannot be read."""
        try:
            folder = self._top() / shelf
        except MaterialError:
            return
        if folder in self._read:
            return
        self._read.add(folder)
        for path in _newest_first([folder]):
            if (batch := _batch_in(path)) is not None:
                self._remember(shelf, batch)
                with contextlib.suppress(OSError):  # A read-only folder still serves.
                    os.utime(path, (time.time(), time.time()))

    def _write(self, shelf: str, batch: Mapping[str, Vector]) -> None:
        folder = self._top() / shelf
        with stored("the folder of vectors"):
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        old = _newest_first([folder])
        if len(old) < MOST_FILES:
            old = []
        else:
            batch = {digest: vector for (of, digest), vector in self._vectors.items() if of == shelf}
        raw = _serialised(batch)
        if len(raw) > self._disk_bytes:
            return
        self._make_room(len(raw))
        write_atomically(folder / f"{_name(shelf, raw)}.npy", raw)
        for path in old:
            with contextlib.suppress(OSError):
                path.unlink()

    def _make_room(self, needed: int) -> None:
        """Remove the least recently used files until `needed` bytes more fit."""
        with stored("the folder of vectors"):
            shelves = [folder for folder in self._top().iterdir() if folder.is_dir()]
        files = _newest_first(shelves)
        sizes = [_size(path) for path in files]
        while files and sum(sizes) + needed > self._disk_bytes:
            sizes.pop()
            with contextlib.suppress(OSError):
                files.pop().unlink()


STORE = VectorStore()
"""Of this process."""


def remembered_text_vectors(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    dataset_id: str,
    cue: str,
    cost: Cost | None = None,
    between: Callable[[], None] = lambda: None,
    store: VectorStore | None = None,
) -> tuple[Vectors, tuple[str, ...]]:
    """`text_vectors` [text, hidden] of a data set's texts, each read once, and what a reader should know of it.

    A home that is full or cannot be written costs the next process the time, and nothing else.
    """

    def read(places: Sequence[int]) -> Vectors:
        return text_vectors(model, [texts[place] for place in places], cue=cue, cost=cost, between=between)

    shelf = _shelf(model, dataset_id, "texts", cue, LONGEST_TEXT)
    return _remembered(STORE if store is None else store, shelf, texts, read)


def remembered_head_gradients(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    liked: Sequence[bool],
    *,
    dataset_id: str,
    cost: Cost | None = None,
    between: Callable[[], None] = lambda: None,
    store: VectorStore | None = None,
) -> tuple[Vectors, tuple[str, ...]]:
    """`head_gradients` [prompt, hidden], each prompt read once, and what a reader should know of it."""

    def read(places: Sequence[int]) -> Vectors:
        answers = [liked[place] for place in places]
        return head_gradients(model, [prompts[place] for place in places], answers, cost=cost, between=between)

    rows = zip(prompts, liked, strict=True)
    names = [
        json.dumps([prefix_ids(prompt), prompt.candidates[0].token_ids, prompt.answer_ids, bool(answer)])
        for prompt, answer in rows
    ]
    return _remembered(STORE if store is None else store, _shelf(model, dataset_id, "gradients"), names, read)


def _shelf(model: LanguageModel, *parts: object) -> str:
    content = [_FORMAT, model.model_id, model.dtype, *parts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:40]


def _remembered(
    store: VectorStore, shelf: str, names: Sequence[str], read: Callable[[Sequence[int]], Vectors]
) -> tuple[Vectors, tuple[str, ...]]:
    """The vector of each name, [name, hidden], by `read` of the places of those that are not there yet."""
    place = dict[str, int]()
    for number, name in enumerate(names):
        place.setdefault(name, number)
    vectors = store.find(shelf, place)
    missing = [name for name in place if name not in vectors]
    vectors_read = read([place[name] for name in missing])
    fresh = dict(zip(missing, vectors_read, strict=True))
    notices: tuple[str, ...] = ()
    try:
        store.add(shelf, fresh)
    except MaterialError as error:
        notices = (f"What the model reads to pick demonstrations is not kept for the next time: {error}.",)
    table = {**vectors, **fresh}
    return np.stack([table[name] for name in names]) if names else vectors_read, notices


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _name(shelf: str, raw: bytes) -> str:
    return hashlib.sha256(shelf.encode() + raw).hexdigest()[:40]


def _serialised(batch: Mapping[str, Vector]) -> bytes:
    width = len(next(iter(batch.values())))
    table = np.zeros(len(batch), dtype=[("text", "S32"), ("vector", "<f4", (width,))])
    table["text"] = [digest.encode() for digest in batch]
    table["vector"] = np.stack(list(batch.values()))
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def _batch_in(path: Path) -> dict[str, Vector] | None:
    """The vectors in a file; None for one that cannot be read, and for a damaged one, which is removed."""
    try:
        raw = bytes_of(path)
    except OSError:
        return None
    try:
        if path.stem != _name(path.parent.name, raw):
            raise ValueError("another content than its name says")
        table = np.load(io.BytesIO(raw), allow_pickle=False)
        return {digest.decode(): vector for digest, vector in zip(table["text"], table["vector"], strict=True)}
    except (ValueError, KeyError, IndexError, EOFError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    """Files of vectors, the most recently used first."""
    rows = []
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.glob("*.npy"):
                with contextlib.suppress(OSError):
                    rows.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(rows, reverse=True)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""Keys and values of many demonstrations, each encoded once on its own behind the instruction, and cached on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import ComputeError, MaterialError, RequestError
from core.lm.forward.forest import Forest, Memory, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.output_head import wide
from core.lm.forward.rotation import beyond, turning_point
from core.lm.scoring.sweep import end_of_pack, most_tokens
from core.store.home import PRIVATE_FOLDER, home, stored, write_atomically
from core.store.sealed import bytes_of

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Storage = Literal["half", "full"]
"""`half`: 16-bit floats, rounded by at most 2^-11 of each number, half the disk (about 23 kB a token for SmolLM2-135M);
`full`: single precision, or double for a model in double. Every call rounds alike."""

LIMIT_BYTES = 2_000_000_000
"""Most bytes of encodings kept on disk."""
_FORMAT = 1


@dataclass(frozen=True)
class DemoMemory:
    """One demonstration behind the instruction: `keys[layer]` and `values[layer]` are [kv_head, token, width].

    Keys stand after RoPE (and QK-norm), from the position right behind the instruction; on the CPU, in single
    precision or wider.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the demonstration."""
        return int(self.keys[0].shape[1])


class Encoded:
    """A pool of demonstrations as keys and values, in order; each is read from disk or run on first access.

    Demonstrations that the disk does not hold are packed into few forward passes behind one encoding of the
    instruction; equal ones are encoded once. Iterating holds one pack in memory at a time. `between` is called before
    every pass and may raise `Cancelled`; what was encoded until then is kept.
    """

    def __init__(
        self,
        model: LanguageModel,
        instruction: Sequence[int],
        demos: Sequence[Sequence[int]],
        *,
        storage: Storage = "half",
        limit_bytes: int = LIMIT_BYTES,
        pack_tokens: int | None = None,
        folder: Path | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """`instruction` and `demos` are token ids, as `Prompt.instruction` and `Prompt.demos` hold them.

        Raises `RequestError` for an empty instruction or demonstration.
        """
        if not len(instruction):
            raise RequestError("an instruction without tokens", expected="at least one token before demonstrations")
        for place, ids in enumerate(demos):
            if not len(ids):
                raise RequestError(f"demonstration {place + 1} of the pool has no tokens", expected="at least one")
        self.model, self.storage, self.between = model, storage, between
        self.instruction = tuple(instruction)
        self.demos = tuple(tuple(ids) for ids in demos)
        self.tokens_run = 0
        """Tokens that went through the model so far."""
        self.notices: tuple[str, ...] = ()
        """What a reader should know, such as a disk that cannot be written."""
        self._pack = pack_tokens or most_tokens(model.device)
        self._disk = _Disk(folder, limit_bytes)
        self._keys = tuple(_content_key(model, self.instruction, ids, storage) for ids in self.demos)
        self._starts: dict[bool, Memory] = {}

    def __len__(self) -> int:
        return len(self.demos)

    def __getitem__(self, place: int) -> DemoMemory:
        """Keys and values of one demonstration; raises `ComputeError` where they cannot be computed."""
        return self._read([range(len(self.demos))[place]])[0]

    def __iter__(self) -> Iterator[DemoMemory]:
        """Keys and values of every demonstration in order; raises `ComputeError` where they cannot be computed."""
        for chunk in self._chunks():
            yield from self._read(chunk)

    @property
    def each_once(self) -> int:
        """Tokens that encoding every demonstration on its own behind the instruction would run."""
        return sum(len(self.instruction) + len(ids) for ids in self.demos)

    @property
    def scales(self) -> tuple[float, ...]:
        """What each layer multiplies the product of query and key by."""
        return attention_scales(self.model)

    def _chunks(self) -> Iterator[list[int]]:
        lengths, end = [len(ids) for ids in self.demos], 0
        while end < len(lengths):
            first, end = end, end_of_pack(lengths, end, self._pack)
            yield list(range(first, end))

    def _read(self, places: list[int]) -> list[DemoMemory]:
        place_of = {self._keys[place]: place for place in places}
        memories = {key: memory for key in place_of if (memory := self._disk.load(key)) is not None}
        missing = [place for key, place in place_of.items() if key not in memories]
        for place, memory in zip(missing, self._encode(missing) if missing else (), strict=True):
            memories[self._keys[place]] = self._stored(self._keys[place], memory)
        return [_each(memories[self._keys[place]], wide) for place in places]

    def _stored(self, key: str, memory: DemoMemory) -> DemoMemory:
        rounded = _rounded(memory, self.storage)
        try:
            self._disk.save(key, rounded)
        except MaterialError as error:
            self.notices = (f"Encodings of demonstrations are not kept for the next time: {error}.",)
        return rounded

    def _encode(self, places: list[int]) -> list[DemoMemory]:
        """Out of memory halves the pack."""
        try:
            return self._run(places)
        except torch.OutOfMemoryError as error:
            if len(places) == 1:
                length = len(self.demos[places[0]])
                raise ComputeError(
                    f"out of memory on {self.model.device} with one demonstration of {length} tokens",
                    expected="a shorter demonstration, a smaller model or another device",
                ) from error
        half = len(places) // 2
        return [*self._encode(places[:half]), *self._encode(places[half:])]

    def _run(self, places: list[int]) -> list[DemoMemory]:
        turn, behind = turning_point(self.model.network.config), len(self.instruction)
        encoded = dict[int, DemoMemory]()
        for stretched in (False, True):
            alike = [place for place in places if beyond(turn, behind + len(self.demos[place])) is stretched]
            if alike:
                encoded |= zip(alike, self._run_alike(alike, stretched), strict=True)
        return [encoded[place] for place in places]

    def _run_alike(self, places: list[int], stretched: bool) -> list[DemoMemory]:
        start = self._instruction(stretched)
        new = tuple(Segment(self.demos[place], 0, len(self.instruction), number) for number, place in enumerate(places))
        forest = Forest(new, start, stretched=stretched)
        memory = self._pass(forest)
        memories = [_part(memory, forest.ranges[number + 1]) for number in range(len(places))]
        if not all(bool(torch.isfinite(tensor).all()) for part in memories for tensor in (*part.keys, *part.values)):
            raise ComputeError("the model gave keys or values that are not finite numbers", expected="finite ones")
        return memories

    def _instruction(self, stretched: bool) -> Memory:
        if stretched not in self._starts:
            self._starts[stretched] = self._pass(Forest((Segment(self.instruction, None, 0),), stretched=stretched))
        return self._starts[stretched]

    def _pass(self, forest: Forest) -> Memory:
        self.between()
        with torch.no_grad():
            _, memory = run(self.model.network, forest, [0], keep=True)
        self.tokens_run += len(forest.token_ids)
        assert memory is not None
        return memory


def attention_scales(model: LanguageModel) -> tuple[float, ...]:
    """What each layer multiplies the product of query and key by before the exponential, [layer]."""
    scales: dict[int, float] = {}
    for module in model.network.modules():
        layer, scale = getattr(module, "layer_idx", None), getattr(module, "scaling", None)
        if isinstance(layer, int) and isinstance(scale, int | float):
            scales[layer] = float(scale)
    if sorted(scales) != list(range(model.layers)):
        raise ComputeError(
            f"the model says the scale of attention in {len(scales)} of its {model.layers} layers",
            expected="attention modules with a scaling each",
        )
    return tuple(scales[layer] for layer in range(model.layers))


class _Disk:
    """Encodings by content key, one safetensors file each; the least recently used go first."""

    def __init__(self, folder: Path | None, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        self._sizes: dict[str, int] = {}

    @property
    def folder(self) -> Path:
        return home() / "encodings" if self._folder is None else self._folder

    def load(self, key: str) -> DemoMemory | None:
        """What is stored under `key`, or None; a damaged file is removed."""
        try:
            path = self._path(key)
            raw = bytes_of(path)
        except (OSError, MaterialError):
            return None
        memory = _decoded(raw, key)
        if memory is None:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        self._sizes[key] = len(raw)
        with contextlib.suppress(OSError):  # A read-only folder still serves; only the order of removal is coarser.
            os.utime(path, (time.time(), time.time()))
        return memory

    def save(self, key: str, memory: DemoMemory) -> None:
        """Store `memory`; a pool that alone is larger than the limit keeps its beginning, not its end.

        Otherwise each run over it would push out what the next run needs first. Raises `MaterialError`.
        """
        raw = _serialised(memory, key)
        if sum(self._sizes.values()) + len(raw) > self._limit:
            return
        with stored("the folder of encodings"):
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._evict(len(raw))
        write_atomically(self._path(key), raw)
        self._sizes[key] = len(raw)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _evict(self, room: int) -> None:
        """Remove the least recently used files until `room` bytes more fit."""
        rows = []
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                state = path.stat()
                rows.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in rows) + room
        for _, size, path in sorted(rows):
            if total <= self._limit:
                return
            if path.stem not in self._sizes and path.suffix == ".safetensors":
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _content_key(model: LanguageModel, instruction: Sequence[int], demo: Sequence[int], storage: Storage) -> str:
    parts = [_FORMAT, model.model_id, model.dtype, storage, list(instruction), list(demo)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _part(memory: Memory, tokens: slice) -> DemoMemory:
    def cut(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor[:, tokens].cpu().contiguous() for tensor in tensors)

    return DemoMemory(cut(memory.keys), cut(memory.values))


def _rounded(memory: DemoMemory, storage: Storage) -> DemoMemory:
    """As it will be stored; numbers too large for 16 bits keep the whole demonstration in single precision."""
    whole = _each(memory, wide)
    if storage == "full":
        return whole
    half = _each(whole, Tensor.half)
    return half if all(bool(torch.isfinite(tensor).all()) for tensor in (*half.keys, *half.values)) else whole


def _each(memory: DemoMemory, change: Callable[[Tensor], Tensor]) -> DemoMemory:
    return DemoMemory(tuple(map(change, memory.keys)), tuple(map(change, memory.values)))


def _serialised(memory: DemoMemory, key: str) -> bytes:
    tensors = {f"keys.{layer}": tensor for layer, tensor in enumerate(memory.keys)}
    tensors |= {f"values.{layer}": tensor for layer, tensor in enumerate(memory.values)}
    return safetensors.torch.save(tensors, metadata={"key": key, "sha256": _digest(tensors)})


def _decoded(raw: bytes, key: str) -> DemoMemory | None:
    """The encoding in a file's bytes, or None where they are not exactly what was stored under `key`."""
    try:
        tensors = safetensors.torch.load(raw)
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        if header.get("__metadata__") != {"key": key, "sha256": _digest(tensors)}:
            return None
        layers = range(len(tensors) // 2)
        return DemoMemory(
            tuple(tensors[f"keys.{layer}"] for layer in layers), tuple(tensors[f"values.{layer}"] for layer in layers)
        )
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()

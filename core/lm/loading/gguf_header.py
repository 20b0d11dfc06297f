"""Reads and checks the head of a GGUF file; the library is not used, because 49 bytes can make it hang."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.lm.loading.json_files import check_sizes

ARCHITECTURES = ("llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "starcoder2", "stablelm")
"""GGUF names of families that can be converted and that take our attention."""
BLOCKS: Mapping[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 30: (1, 2),  # F32 F16 BF16
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),  # Q4_0 Q4_1 Q5_0 Q5_1 Q8_0
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),  # Q2_K to Q6_K
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),  # IQ
    22: (256, 82), 23: (256, 136), 29: (256, 56), 34: (256, 54), 35: (256, 66),  # IQ, TQ1_0, TQ2_0
}  # fmt: skip
"""Number formats that can be converted: code -> (weights, bytes) of a block.
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
MOST_ENTRIES = 10_000
"""Of metadata keys, and of tensors; files in use have some hundreds."""
MOST_STRINGS = 4_000_000
"""In all arrays together: the largest vocabularies have 260,000 words and twice as many merges."""
LONGEST_TEXT = 16_000_000
"""Bytes of a text value; the longest in use are chat templates of some ten thousand."""
FACTORS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")
"""Tensors that are no weights but settings of the rotation."""
_LONGEST_KEY = 65_535
_FLOAT32 = 0
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
LONGEST_FACTORS = 100_000
"""Of the rotation; half the width of a head."""
_SIZES = {"block_count": 1_000, "embedding_length": 1_000_000, "feed_forward_length": 10_000_000,
          "context_length": 1_000_000_000, "attention.head_count": 10_000, "attention.head_count_kv": 10_000,
          "attention.key_length": 100_000, "attention.value_length": 100_000, "vocab_size": 10_000_000}  # fmt: skip


@dataclass(frozen=True)
class GgufHead:
    """What the head of a GGUF file says."""

    architecture: str
    scalars: Mapping[str, Any]
    """Metadata that is a number, a truth value or a text."""
    shapes: Mapping[str, tuple[int, ...]]
    """Tensor shapes, the innermost axis first, as GGUF writes them."""
    arrays: frozenset[str] = frozenset()
    """Names of the metadata that are lists."""
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """What the frequencies of the rotation are divided by, under the tensors' names."""

    @property
    def numbers(self) -> int:
        """How many single weights there are."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def checked_head(path: Path, *, where: str) -> GgufHead:
    """The head of a GGUF file; raises `ModelError` unless every count, length and range lies inside the file.

    Reads the head only, in time and memory proportional to its size, and allocates nothing by a size it read.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size < 24:
                raise ModelError("a file of less than 24 bytes", expected="a GGUF file", where=where)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _head(_Cursor(data, len(data), where))
    except OSError as error:
        raise ModelError(f"cannot be read ({(error.strerror or 'no such file').lower()})", where=where) from None


@dataclass
class _Cursor:
    """Reads forward through the file and refuses to leave it."""

    data: Any
    size: int
    where: str
    place: int = 0
    strings: int = field(default=0)

    def take(self, count: int) -> bytes:
        if count > self.size - self.place:
            raise self.refused(f"{count} bytes announced at byte {self.place}, {self.size - self.place} are left")
        self.place += count
        return bytes(self.data[self.place - count : self.place])

    def skip(self, count: int) -> None:
        if count > self.size - self.place:
            raise self.refused(f"{count} bytes announced at byte {self.place}, {self.size - self.place} are left")
        self.place += count

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, longest: int) -> str:
        length = self.number("<Q")
        if length > longest:
            raise self.refused(f"a text of {length} bytes at byte {self.place}")
        return self.take(length).decode("utf-8", "replace")

    def refused(self, problem: str) -> ModelError:
        return ModelError(problem, expected="a GGUF file that is whole", where=self.where)


def _head(cursor: _Cursor) -> GgufHead:
    if cursor.take(4) != b"GGUF":
        raise ModelError("no GGUF mark at the start", expected="a GGUF file", where=cursor.where)
    version = cursor.number("<I")
    if version not in (2, 3):
        raise ModelError(f"GGUF version {version}", expected="2 or 3, little-endian", where=cursor.where)
    tensors, entries = cursor.number("<Q"), cursor.number("<Q")
    if max(tensors, entries) > MOST_ENTRIES or not tensors:
        raise cursor.refused(f"{entries} entries and {tensors} tensors are announced")
    entry = _entries(cursor, entries)
    scalars = {key: value for key, value in entry.items() if value is not None}
    architecture = _architecture(scalars, cursor.where)
    shapes, factors = _tensors(cursor, tensors, _alignment(scalars, cursor))
    head = GgufHead(architecture, scalars, shapes, frozenset(entry.keys() - scalars.keys()), factors)
    _check_sizes(head, cursor.where)
    return head


def _entries(cursor: _Cursor, count: int) -> dict[str, Any]:
    """All metadata; None for an array."""
    entries: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text(_LONGEST_KEY)
        if key in entries:
            raise cursor.refused(f"the key {key[:80]!r} stands there twice")
        entries[key] = _value(cursor, cursor.number("<I"))
    return entries


def _value(cursor: _Cursor, kind: int) -> Any:
    """A scalar or text; None for an array, which is only walked over."""
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind == _STRING:
        return cursor.text(LONGEST_TEXT)
    if kind != _ARRAY:
        raise cursor.refused(f"a value of unknown type {kind}")
    inner, count = cursor.number("<I"), cursor.number("<Q")
    if inner in _SCALARS:
        cursor.skip(count * struct.calcsize(_SCALARS[inner]))
    elif inner == _STRING:
        _skip_strings(cursor, count)
    else:
        raise cursor.refused(f"an array of type {inner}")
    return None


def _skip_strings(cursor: _Cursor, count: int) -> None:
    cursor.strings += count
    if cursor.strings > MOST_STRINGS or count * 8 > cursor.size - cursor.place:
        raise cursor.refused(f"an array of {count} texts")
    for _ in range(count):
        cursor.skip(cursor.number("<Q"))


def _architecture(scalars: Mapping[str, Any], where: str) -> str:
    name = scalars.get("general.architecture")
    if name not in ARCHITECTURES:
        raise ModelError(f"architecture {str(name)[:60]!r}", expected=f"one of {', '.join(ARCHITECTURES)}", where=where)
    return str(name)


def _alignment(scalars: Mapping[str, Any], cursor: _Cursor) -> int:
    value = scalars.get("general.alignment", 32)
    if type(value) is not int or not 8 <= value <= 1 << 20 or value & (value - 1):
        raise cursor.refused(f"general.alignment is {str(value)[:40]}")
    return value


def _tensors(
    cursor: _Cursor, count: int, alignment: int
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[float, ...]]]:
    """Shapes of all tensors, and the numbers of those that are factors."""
    shapes: dict[str, tuple[int, ...]] = {}
    ends: dict[str, int] = {}
    for _ in range(count):
        name = cursor.text(_LONGEST_KEY)
        axes = cursor.number("<I")
        if name in shapes or not 1 <= axes <= 4:
            raise cursor.refused(f"tensor {name[:80]!r} stands there twice or has {axes} axes")
        shapes[name] = tuple(cursor.number("<Q") for _ in range(axes))
        ends[name] = _stored(cursor, name, shapes[name])
    start = -(-cursor.place // alignment) * alignment
    outside = next((name for name, end in ends.items() if start + end > cursor.size), None)
    if outside is not None:
        raise cursor.refused(f"tensor {outside[:80]!r} ends at byte {start + ends[outside]} of {cursor.size}")
    return shapes, {
        name: _factors(cursor, name, shapes[name], start + ends[name]) for name in FACTORS if name in shapes
    }


def _factors(cursor: _Cursor, name: str, shape: tuple[int, ...], end: int) -> tuple[float, ...]:
    count = math.prod(shape)
    if count > LONGEST_FACTORS:
        raise cursor.refused(f"tensor {name} has {count} numbers")
    cursor.place = end - 4 * count
    values: tuple[float, ...] = struct.unpack(f"<{count}f", cursor.take(4 * count))
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise cursor.refused(f"tensor {name} holds a number that is not finite or not above 0")
    return values


def _stored(cursor: _Cursor, name: str, shape: tuple[int, ...]) -> int:
    """Where the tensor ends, in bytes from the start of the data."""
    kind, offset = cursor.number("<I"), cursor.number("<Q")
    if kind not in BLOCKS or (name in FACTORS and kind != _FLOAT32):
        expected = "F32" if name in FACTORS else "F32 to Q8_0, K or IQ"
        raise ModelError(f"tensor {name[:80]!r} in number format {kind}", expected=expected, where=cursor.where)
    weights, size = BLOCKS[kind]
    if shape[0] % weights or not all(shape):
        raise cursor.refused(f"tensor {name[:80]!r} has the shape {shape}, in blocks of {weights}")
    return int(offset) + math.prod(shape) // weights * size


def _check_sizes(head: GgufHead, where: str) -> None:
    """The sizes that the metadata announces must be plausible and fit the tensors that are there."""
    check_sizes(head.scalars, _SIZES, prefix=f"{head.architecture}.", where=where)
    layers = head.scalars.get(f"{head.architecture}.block_count")
    there = len({name.split(".")[1] for name in head.shapes if name.startswith("blk.") and name.count(".") > 1})
    if layers != there:
        raise ModelError(f"{layers} layers are announced, {there} are there", expected="the same number", where=where)
    for key, tensor, axis in (
        ("embedding_length", "token_embd.weight", 0),
        ("feed_forward_length", "blk.0.ffn_down.weight", 0),
    ):
        width, shape = head.scalars.get(f"{head.architecture}.{key}"), head.shapes.get(tensor)
        if shape is None or width != shape[axis]:
            raise ModelError(
                f"{key} is {width}, {tensor} has the shape {shape}", expected="the same width", where=where
            )

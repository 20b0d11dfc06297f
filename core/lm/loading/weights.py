"""What lies in a folder's safetensors files, read from their headers before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.errors import ModelError, too_large
from core.lm.loading.json_files import parsed_object, read_object, unreadable

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library itself."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
"""Endings of weight files that may run code when they are opened, or that are of another library."""


@dataclass(frozen=True)
class Weights:
    """Files and tensor shapes of one model."""

    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def numbers(self) -> int:
        """How many single weights there are."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def weights_in(folder: Path, *, where: str) -> Weights:
    """The safetensors weights of a model folder: one file, or the shards its index names.

    Raises `ModelError` for a folder with pickle weights only, a missing, repeated or outlying shard,
    a file cut short, and a tensor that stands in two files.
    """
    files = _files(folder, where)
    shapes: dict[str, tuple[int, ...]] = {}
    for file, promised in files.items():
        contents = tensor_shapes(file, where=where)
        twice = next((name for name in contents if name in shapes), None)
        if twice is not None:
            raise ModelError(f"the tensor {twice[:80]!r} stands in two files", expected="once", where=where)
        missing = next((name for name in promised if name not in contents), None)
        if missing is not None:
            raise ModelError(f"{file.name} lacks {missing[:80]!r}", expected=f"what {INDEX} promises", where=where)
        shapes |= contents
    return Weights(tuple(files), shapes)


def tensor_shapes(file: Path, *, where: str) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor, from the header; raises `ModelError` unless the tensors fill the file without a gap."""
    model, where = where, f"{where}, {file.name}"
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(LONGEST_HEADER, size - 8):
                raise ModelError(f"{size} bytes with a header of {length}", expected="a safetensors file", where=where)
            header = parsed_object(stream.read(length), where=where)
        header.pop("__metadata__", None)
        with safe_open(file, framework="numpy"):  # Checks that types, shapes and places of all tensors fit together.
            return {name: tuple(entry["shape"]) for name, entry in header.items()}
    except OSError as error:
        raise unreadable(error, where=where) from None
    except MemoryError:  # The library maps the whole file, which a limit on address space can forbid.
        raise too_large(model) from None
    except SafetensorError as error:
        raise ModelError(_problem(header, size - 8 - length, str(error)), expected="safetensors", where=where) from None


def _problem(header: Mapping[str, Any], size: int, error: str) -> str:
    """The library's complaint about a file with `size` bytes of weights, in words of its user."""
    if not error.endswith("file not fully covered"):
        return f"a header that does not describe tensors ({error.removeprefix('Error while deserializing header: ')})"
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    problem = "the file is cut short" if end > size else "the file goes on after its last tensor"
    return f"{problem}: {size} bytes of weights instead of {end}"


def _files(folder: Path, where: str) -> dict[Path, list[str]]:
    """Each weight file with the tensors that the index promises in it."""
    if (folder / SINGLE).is_file():
        return {folder / SINGLE: []}
    if not (folder / INDEX).is_file():
        raise _no_weights(folder, where)
    shards: dict[Path, list[str]] = {}
    weight_map = read_object(folder / INDEX, longest=LONGEST_HEADER, where=where).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError("no weight_map", expected="a file name for each tensor", where=f"{where}, {INDEX}")
    for tensor, name in weight_map.items():
        shards.setdefault(folder / _plain_name(name, f"{where}, {INDEX}"), []).append(tensor)
    absent = next((shard.name for shard in shards if not shard.is_file()), None)
    if absent is not None:
        raise ModelError(f"the weight file {absent} is missing", expected=f"all that {INDEX} names", where=where)
    return shards


def _no_weights(folder: Path, where: str) -> ModelError:
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLES)
    if not pickles:
        return ModelError(f"no {SINGLE}", expected="weights as safetensors", where=where)
    return ModelError(
        f"the weights are only there as {pickles[0][:80]}, a format that can run code when it is opened",
        expected=f"{SINGLE}: load them where you trust them and save with save_pretrained(safe_serialization=True)",
        where=where,
    )


def _plain_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not name.endswith(".safetensors") or any(mark in name for mark in "/\\:\0"):
        problem = f"the file name {str(name)[:80]!r}"
        raise ModelError(problem, expected="a .safetensors file in the same folder", where=where)
    return name

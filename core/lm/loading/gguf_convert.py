"""Turn a GGUF file into a safetensors folder, once, in a child process with limits."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from core.errors import ModelError
from core.lm.loading.gguf_config import config_of, weights_of, writes_space
from core.lm.loading.gguf_header import GgufHead, checked_head
from core.lm.loading.hashes import file_hash
from core.lm.loading.json_files import answer_of
from core.lm.loading.weights import weights_in
from core.store.child import run_child
from core.store.home import PRIVATE_FOLDER, check_free, home, put_folder, room, stored, workplace, write_atomically
from core.store.lock import alone, tell
from core.store.sealed import content_hash, hashes_of, sealed, unsealed

CPU_SECONDS = 1200.0
"""Most processor time of a conversion; the sample model takes 40 s."""
MANIFEST = "complete.json"
RECIPE = 2
"""Number of the conversion procedure; a folder of another number is converted anew."""
_ROOM = 3 << 30
"""Bytes of address space that Python and torch take before any weight."""


def converted(file: Path, *, where: str) -> Path:
    """Folder with the model of a GGUF file as float32 safetensors: converted on first use, verified on every other.

    It lies under the home folder, named by the file's content; each process reads it once and compares it with the
    hashes taken after the conversion. One process converts, others wait for it. Raises `ModelError` for a file that is
    damaged, of an unknown family, too large for memory or disk, or not converted within `CPU_SECONDS`.
    """
    head = checked_head(file, where=where)
    settings = config_of(head, where=where)
    source = file_hash(file, where=where)
    folder = home() / "models" / source[:16]
    if not is_complete(folder, source):
        check_free()
        room("models")
        with alone(f"model-{source[:16]}", f"the conversion of {file.name}"):
            if not is_complete(folder, source):  # Another process may have finished while this one waited.
                _check_room(head, where)
                _make(file, folder, source, head, settings, where)
    return folder


def is_converted(file: Path, *, where: str) -> bool:
    """Whether the converted model of a GGUF file lies here; raises `ModelError` for a file that is none."""
    checked_head(file, where=where)
    source = file_hash(file, where=where)
    return is_complete(home() / "models" / source[:16], source)


def is_complete(folder: Path, source: str) -> bool:
    """Whether the folder was made from that file by this recipe and still holds exactly what was written then."""
    note = unsealed(folder / MANIFEST)
    if note is None or (note.get("source"), note.get("recipe")) != (source, RECIPE):
        return False
    try:
        hashes = hashes_of(folder)
    except OSError:
        return False
    return {name: digest for name, digest in hashes.items() if name != MANIFEST} == note.get("files")


def _check_room(head: GgufHead, where: str) -> None:
    needed = head.numbers * 4
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage(home()).free
    if 2 * needed > memory:
        problem = f"converting takes about {2 * needed / 1e9:.1f} GB of memory, {memory / 1e9:.1f} GB are free"
        raise ModelError(problem, expected="a smaller model or more memory", where=where)
    if needed > disk:
        problem = f"the converted model takes {needed / 1e9:.1f} GB on the disk, {disk / 1e9:.1f} GB are free"
        raise ModelError(problem, expected="more room, or DEMOLENS_HOME on another disk", where=where)


def _make(file: Path, folder: Path, source: str, head: GgufHead, settings: Mapping[str, Any], where: str) -> None:
    with stored("the converted model"), workplace() as part:
        target = part / "model"
        target.mkdir(mode=PRIVATE_FOLDER)
        _run_child(file, target, head, settings, where)
        _check_unchanged(file, source, where)
        write_atomically(target / MANIFEST, sealed({"source": source, "recipe": RECIPE, "files": hashes_of(target)}))
        put_folder(target, folder)


def _check_whole(model: Path, head: GgufHead, where: str) -> None:
    """Every number of the file must be one of the network's: a tensor that no layer took would be lost silently."""
    numbers = weights_in(model, where=where).numbers
    if numbers != weights_of(head):
        problem = f"the file holds {weights_of(head)} weights, the network made from it {numbers}"
        raise ModelError(problem, expected="a file whose every tensor belongs to the network", where=where)


def _check_unchanged(file: Path, source: str, where: str) -> None:
    if content_hash(file) != source:
        raise ModelError("the file changed while it was converted", expected="a file that stays as it is", where=where)


def _run_child(file: Path, part: Path, head: GgufHead, settings: Mapping[str, Any], where: str) -> None:
    memory = _ROOM + head.numbers * 4 * 3 + file.stat().st_size * 2
    script = Path(__file__).with_name("gguf_child.py")
    command = [str(script), str(file), str(part), str(memory), json.dumps([settings, writes_space(head)])]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    done = run_child(
        command,
        cpu_seconds=CPU_SECONDS,
        environment=quiet,
        between=lambda: tell(f"converting {file.name} (the first time only)"),
    )
    if done.status is None:
        problem = f"not converted within {CPU_SECONDS:.0f} s of processor time"
        raise ModelError(problem, expected="a smaller GGUF file", where=where)
    answer = answer_of(done.output)
    if done.status or not answer.get("done"):
        reason = str(answer.get("error", "the converter died; it may have used up its memory"))[:200]
        raise ModelError(f"the GGUF file cannot be converted: {reason}", expected="a whole GGUF file", where=where)
    _check_whole(part, head, where)

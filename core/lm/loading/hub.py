"""Finds a hub model at one fixed commit in the local cache, or fetches it where that is allowed."""

from __future__ import annotations

import io
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Cancelled, ModelError
from core.store.lock import listener

ALLOWED = "DEMOLENS_ALLOW_HUB"
"""Environment variable: `1` lets models be fetched; otherwise only what is already in the local cache is used."""
SECONDS = 5.0
"""How long the hub may take to answer."""
MOST_NAMES = 100
"""Names of commits that are read of one model."""
_WANTED = ("*.json", "*.safetensors", "*.jinja", "merges.txt")


class HubDownload(NamedTuple):
    """What must be fetched before a hub model can be looked at."""

    commit: str
    bytes: int
    """Of all its wanted files."""


def hub_download(repo: str, revision: str | None) -> HubDownload | None:
    """What loading a hub model will fetch; None where the local cache holds it already.

    Raises `ModelError` where it neither is there nor may or can be fetched.
    """
    try:
        _cached(repo, revision)
    except ModelError:
        if os.environ.get(ALLOWED) != "1":
            raise
        return _asked(repo, revision)
    return None


def _asked(repo: str, revision: str | None) -> HubDownload:
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repo, revision=revision, timeout=SECONDS, files_metadata=True)
    except Exception as error:  # the hub client raises errors of several libraries
        raise _offline(repo, revision, type(error).__name__) from None
    files = [file for file in info.siblings or () if any(fnmatch(file.rfilename, form) for form in _WANTED)]
    return HubDownload(info.sha or "unknown", sum(file.size or 0 for file in files))


def hub_folder(repo: str, revision: str | None, *, fetch: bool = True) -> tuple[Path, str]:
    """Folder of a hub model and the commit hash it is pinned to; without `fetch` from the local cache alone.

    What is fetched is told to whoever set `reporting`, byte by byte, and they may raise `Cancelled`. Raises
    `ModelError` saying "offline" at once when the model is not in the local cache and fetching is not allowed, or
    within some seconds when the hub does not answer.
    """
    if not fetch or os.environ.get(ALLOWED) != "1":
        return _cached(repo, revision)
    from huggingface_hub import HfApi, snapshot_download

    try:
        commit = HfApi().model_info(repo, revision=revision, timeout=SECONDS).sha
        options: dict[str, Any] = {"allow_patterns": list(_WANTED), "etag_timeout": SECONDS, "tqdm_class": _bar(repo)}
        folder = snapshot_download(repo, revision=commit, **options)
    except Cancelled:
        raise
    except Exception as error:  # the hub client raises errors of several libraries
        return _cached(repo, revision, reason=type(error).__name__)
    return Path(folder), Path(folder).name


def _cached(repo: str, revision: str | None, reason: str = "") -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except Exception:
        raise _offline(repo, revision, reason) from None
    return folder, folder.name


def _offline(repo: str, revision: str | None, reason: str) -> ModelError:
    problem = f"offline, and the model is not in the local cache{f' ({reason})' if reason else ''}"
    expected = f"a model folder, a cached model, or DemoLens started with {ALLOWED}=1 and a network"
    return ModelError(problem, expected=expected, where=f"{repo}@{revision}" if revision else repo)


def _bar(repo: str) -> type[Any]:
    """A progress bar that tells the listener of this thread how many bytes came, and draws nothing."""
    from tqdm.std import tqdm  # type: ignore[import-untyped]

    tell = listener()

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *parts: Any, **choices: Any) -> None:
            super().__init__(*parts, **choices | {"file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if self.unit == "B" and self.total:
                tell(f"fetching {repo}: {self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB", 0.0)
            return drawn

    return Bar


def cached_state(repo: str) -> str:
    """Which commits of a hub model lie in the local cache and which one each of its names stands for, as one text."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    try:
        names = sorted(path for path in (folder / "refs").rglob("*") if path.is_file())
        rows = [f"{path.name} {path.read_text(encoding='utf-8', errors='replace')[:80]}" for path in names[:MOST_NAMES]]
        return "\n".join([*rows, *sorted(path.name for path in (folder / "snapshots").iterdir())])
    except OSError:
        return ""

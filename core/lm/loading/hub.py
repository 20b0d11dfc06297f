"""Finds a hub model at one fixed commit in the local cache, or fetches it where that is allowed."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import ModelError

ALLOWED = "DEMOLENS_ALLOW_HUB"
"""Environment variable: `1` lets models be fetched; otherwise only what is already in the local cache is used."""
SECONDS = 5.0
"""How long the hub may take to answer."""
MOST_NAMES = 100
"""Names of commits that are read of one model."""
_WANTED = ("*.json", "*.safetensors", "*.jinja", "merges.txt")


def hub_folder(repo: str, revision: str | None) -> tuple[Path, str]:
    """Folder of a hub model and the commit hash it is pinned to.

    Raises `ModelError` saying "offline" at once when the model is not in the local cache and fetching is not allowed,
    or within some seconds when the hub does not answer.
    """
    if os.environ.get(ALLOWED) != "1":
        return _cached(repo, revision)
    from huggingface_hub import HfApi, snapshot_download

    try:
        commit = HfApi().model_info(repo, revision=revision, timeout=SECONDS).sha
        folder = snapshot_download(repo, revision=commit, allow_patterns=list(_WANTED), etag_timeout=SECONDS)
    except Exception as error:  # the hub client raises errors of several libraries
        return _cached(repo, revision, reason=type(error).__name__)
    return Path(folder), Path(folder).name


def _cached(repo: str, revision: str | None, reason: str = "") -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except Exception:
        problem = f"offline, and the model is not in the local cache{f' ({reason})' if reason else ''}"
        expected = f"a model folder, a cached model, or {ALLOWED}=1 and a network"
        raise ModelError(problem, expected=expected, where=f"{repo}@{revision}" if revision else repo) from None
    return folder, folder.name


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

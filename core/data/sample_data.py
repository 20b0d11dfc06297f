"""The folder of the sample data set."""

from __future__ import annotations

from pathlib import Path

from core.store.material import MOVIELENS, extracted


def sample_folder() -> Path:
    """The folder with MovieLens 100K in RecBole's atomic format, fetched on first use.

    Raises `MaterialError` when it cannot be fetched or stored.
    """
    return extracted(MOVIELENS)

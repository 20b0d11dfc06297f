"""A home of the product that is gone afterwards, for measurements that store much."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.store.home import VARIABLE


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A temporary folder; the product's home is a folder in it."""
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = str(Path(folder) / "home")
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before

"""Plain values that steer the pages, and the addresses where they may be served."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

DATA_FOLDERS = "DEMOLENS_DATA_FOLDERS"
"""Environment variable of the owner: folders whose files the page Data may read by their path, parted as in PATH."""


@dataclass(frozen=True)
class Settings:
    """Values of the pages that are neither a person's choice nor a matter of looks."""

    poll_seconds: float = 0.7
    """Seconds between two looks at a running job."""
    users_listed: int = 1000
    """Most users in the picker; others are typed by id."""
    candidates_drawn: int = 24
    """Most candidates in the heat map before the rest is left to its table."""
    ablations: int = 32
    """Text ablations that "Measure faithfulness" asks for."""
    address: str = "127.0.0.1"
    port: int = 8501


SETTINGS = Settings()


def data_folders() -> tuple[Path, ...]:
    """The folders below which a path may be read, links followed; none where the owner names none."""
    names = [name for name in os.environ.get(DATA_FOLDERS, "").split(os.pathsep) if os.path.isabs(name)]
    return tuple(Path(os.path.realpath(name)) for name in names if os.path.isdir(name))


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach `address`; names other than `localhost` count as reachable from outside."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

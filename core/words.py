"""How do numbers stand in sentences? One minus sign, no `-0.00`."""

from __future__ import annotations

import math

MINUS = "\u2212"
NOTHING = "\u2013"


def figure(value: float | None, digits: int = 2, missing: str = NOTHING) -> str:
    """`0.42`, `−1.35`; `missing` where there is no finite number."""
    if value is None or not math.isfinite(value):
        return missing
    return f"{value:z.{digits}f}".replace("-", MINUS)

"""The numbers and names that several parts of the benchmark share."""

from __future__ import annotations

from pathlib import Path

from core.data.records import Strategy
from core.prompt.families import Family

BUILD = Path("build")
"""Folder of everything that the benchmark writes."""
CASES = 30
"""Prompts of a whole run; a smaller number shortens every part."""
THREADS = 2
"""Threads of the CPU that PyTorch uses."""
DEMOS = 8
CANDIDATES = 20
FAMILIES: tuple[Family, ...] = ("yes_no", "next_item")
STRATEGIES: dict[Family, tuple[Strategy, ...]] = {"yes_no": ("recent", "co_likes"), "next_item": ("recent", "co_likes")}
"""Half of the prompts show the user's own newest interactions, half the default demonstrations."""
HISTORY: dict[Family, int] = {"yes_no": 8, "next_item": 10}
"""Titles in each history: with these the median prompt of either family has about 600 tokens (measured: 591, 589)."""
DRAWS = 2_000
"""Bootstrap samples of the cases."""
ABOVE_ZERO = "> 0"
"""The target of a difference that was promised to be positive."""
SURELY_ABOVE_ZERO = "> 0 with an interval above zero"

"""The attribution methods: one row each, with its name, words, cost and function.

A new method is a function of a `TargetScore` in a file of its own, and a row here. Functions are named as
`module:name` below `core.analysis.explain` and imported when they are used: a page needs no torch to list them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from core.errors import RequestError

Needs = Literal["scores", "gates", "gradients", "attention"]
"""What a method asks of the model: scores of texts alone, or what only weights give."""
Method = Literal[
    "default",
    "ablations",
    "gradient",
    "path",
    "leave_one_out",
    "shapley",
    "shapley_sampling",
    "regression",
    "attention",
    "captum_integrated_gradients",
    "captum_feature_ablation",
    "captum_shapley_sampling",
    "captum_kernel_shap",
]
Passes = Callable[[int, float], float]
"""Full-prompt forward equivalents for a number of demonstrations and a budget; a backward counts 2."""
TEXT_PASS = 0.5
"""An ablated prompt costs about half a full one."""


@dataclass(frozen=True)
class MethodRow:
    """One way to share a target score among demonstrations."""

    name: Method
    words: str
    """On the screen."""
    place: str
    """`function(score, **settings)`, which gives an answer with `values`, `spent` and `fields`, or ever better ones."""
    passes: Passes
    settings: tuple[str, ...] = ()
    """Which choices of the task the function reads; `rival` as a candidate index, `without` as demonstrations from 0,
    `seed`, and `free`, the scores without a history."""
    split_of: Method | None = None
    """The gradient method whose parts by layer, head and token the answer holds."""
    needs: Needs = "scores"
    instead: Method | None = None
    """The method that stands in where a server gives scores only."""

    @property
    def function(self) -> Callable[..., Any]:
        """The function of `place`."""
        module, _, name = self.place.partition(":")
        function: Callable[..., Any] = getattr(import_module(f"core.analysis.explain.{module}"), name)
        return function


def _fixed(passes: float) -> Passes:
    return lambda _demos, _budget: passes


def _within_budget(_demos: int, budget: float) -> float:
    return budget


def _one_each(demos: int, _budget: float) -> float:
    return 1.0 + demos


def _every_subset(demos: int, _budget: float) -> float:
    return float(TEXT_PASS * 2.0 ** min(demos, 20))


DRAWN = ("budget", "seed")
REFINED = ("budget", "precision", "removals", "without", "flips", "flip", "rival", "seed", "free")
ROWS = (
    MethodRow(
        "default",
        "gradient, refined by ablations",
        "refine:refine",
        _within_budget,
        REFINED,
        "gradient",
        needs="gradients",
        instead="ablations",
    ),
    MethodRow("ablations", "designed ablations", "refine:refine_without_gradient", _within_budget, REFINED),
    MethodRow(
        "gradient",
        "equivalent gradient at half learning rate",
        "gradient:half_rate_gradient",
        _fixed(3.0),
        split_of="gradient",
        needs="gradients",
    ),
    MethodRow(
        "path",
        "equivalent gradient along the learning-rate path",
        "gradient:bent_path",
        _fixed(9.0),
        split_of="path",
        needs="gradients",
    ),
    MethodRow("leave_one_out", "leave one out", "ablation:leave_one_out", _one_each),
    MethodRow("shapley", "exact Shapley values", "ablation:shapley", _every_subset),
    MethodRow("shapley_sampling", "sampled Shapley values", "ablation:shapley_sampling", _within_budget, DRAWN),
    MethodRow("regression", "regression on ablations", "ablation:regression", _within_budget, DRAWN),
    MethodRow("attention", "attention mass", "attention_share:attention_share", _fixed(1.0), needs="attention"),
    MethodRow(
        "captum_integrated_gradients",
        "Captum integrated gradients",
        "captum_methods:integrated_gradients",
        _fixed(9.0),
        needs="gradients",
    ),
    MethodRow(
        "captum_feature_ablation",
        "Captum feature ablation",
        "captum_methods:feature_ablation",
        _one_each,
        needs="gates",
    ),
    MethodRow(
        "captum_shapley_sampling",
        "Captum Shapley sampling",
        "captum_methods:shapley_value_sampling",
        _within_budget,
        DRAWN,
        needs="gates",
    ),
    MethodRow(
        "captum_kernel_shap",
        "Captum kernel SHAP",
        "captum_methods:kernel_shap",
        _within_budget,
        DRAWN,
        needs="gates",
    ),
)
METHODS: dict[Method, MethodRow] = {row.name: row for row in ROWS}


def row_for(method: Method, *, scores_only: bool) -> MethodRow:
    """The method's row, or where a server gives scores only the one that stands in for it.

    Raises `RequestError` for a method that has none.
    """
    row = METHODS[method]
    if not scores_only or row.needs == "scores":
        return row
    if row.instead is None:
        names = ", ".join(other.name for other in ROWS if other.needs == "scores")
        problem = f"{row.words} needs {row.needs}, and a server gives scores only"
        raise RequestError(problem, expected=f"one of {names}", where="method")
    return METHODS[row.instead]

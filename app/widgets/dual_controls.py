"""The controls of changed dual models, one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """One slider."""

    field: str
    label: str
    top: float
    hint: str


CONTROLS = (
    Control(
        "alpha",
        "Weight decay (alpha)",
        0.95,
        "The start weights W0, which hold everything but the demonstrations, count 1 − alpha times.",
    ),
    Control(
        "beta",
        "Negatives (beta)",
        1.0,
        "Subtracts beta times the other demonstrations' mean value from each demonstration's values.",
    ),
    Control(
        "sigma",
        "Noise (sigma)",
        1.0,
        "Adds Gaussian noise to the demonstrations' keys and values, sigma times as large as they are.",
    ),
    Control("dropout", "Gate dropout", 0.95, "Each sample leaves out each demonstration with this probability."),
)
MOST_SAMPLES = 64
SAMPLES_LABEL = "Samples (P)"
SAMPLES = "Changed models whose scores are averaged; only noise and gate dropout need more than one."

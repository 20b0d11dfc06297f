"""How far scores of one prompt lie apart when a server scores it again, and which effects that swallows."""

from __future__ import annotations

from collections.abc import Sequence

from core.question.task import Record


class NoiseFloor(Record):
    """What repeats of the whole and of the empty prompt say, in nats; the largest over all candidates and what is
    explained, so that it holds for any weighted sum in which no candidate counts more than once."""

    alone: int
    """Repeats one request after another."""
    mixed: int
    """Repeats in batches with other prompts, in an order drawn anew each time."""
    score: float
    """Largest difference of a score to its median over the repeats."""
    effect: float
    """The same of the difference between the whole and the empty prompt."""
    deviation: float
    """Standard deviation of that difference."""
    floor: float
    """Effects up to this size are noise: the larger of `effect` and three standard deviations."""
    drift: float | None = None
    """How far what is explained of the whole prompt lay from its median when the run ended; None until then."""

    @property
    def repeats(self) -> int:
        """How often each prompt was scored."""
        return self.alone + self.mixed


def within_noise(values: Sequence[float], floor: float) -> tuple[bool, ...]:
    """Which effects are noise, [demo]."""
    return tuple(abs(value) <= floor for value in values)


def noise_sentence(noise: NoiseFloor, labels: Sequence[str], in_noise: Sequence[bool]) -> str:
    """What a reader must know of the server's noise, and which demonstrations' effects are within it."""
    if noise.floor == 0:
        return f"The server gave the same scores in {noise.repeats} repeats: no noise was seen."
    names = [label for label, noisy in zip(labels, in_noise, strict=True) if noisy]
    start = f"Effects up to {noise.floor:.2g} nats are noise of the server ({noise.repeats} repeats)"
    return f"{start}: {', '.join(names)}." if names else f"{start}; none of these is that small."


def changes_sentence(noise: NoiseFloor, changes: Sequence[float], *, what: str, unit: str) -> str:
    """What a reader must know of the server's noise beside changes of the target's margin, in nats."""
    if noise.floor == 0:
        return noise_sentence(noise, (), ())
    small = sum(within_noise(changes, noise.floor))
    start = f"{what} up to {noise.floor:.2g} nats are noise of the server ({noise.repeats} repeats)"
    return f"{start}: {small} of {len(changes)} {unit} change it by no more."


def drift_sentence(noise: NoiseFloor) -> str | None:
    """That the server changed while the run went on, where it did."""
    if noise.drift is None or noise.drift <= noise.floor:
        return None
    return f"The server's scores drifted by {noise.drift:.2g} nats during this run, more than its noise: run it again."

"""One score shared among demonstrations by a method, as the record that pages, notebooks and files show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.analysis.explain.explain_task import OF_METHODS, Explain
from core.analysis.explain.explanation import Contributions
from core.analysis.explain.flip_set import FlipSearch
from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.explain.methods import MethodRow, row_for
from core.analysis.noise_floor import within_noise
from core.analysis.values import Array, TargetScore
from core.question.task import Target


@dataclass(frozen=True)
class MethodAnswer:
    """One answer of a method, and what stands behind it where the method models the whole list."""

    contributions: Contributions
    belief: ListPosterior | None
    flips: FlipSearch | None
    ahead: str | None
    """What the run does next."""


def contributions(
    score: TargetScore,
    task: Explain,
    target: Target,
    seed: int,
    free: Array | float = 0.0,
    rival: int | None = None,
) -> Iterator[MethodAnswer]:
    """Answers of the task's method, one for most methods, ever better ones for the default; `free` [candidate] is
    taken from scores before ranking, `rival` is the candidate index that the flip set is about.

    Raises `RequestError` where the method cannot be run on this many demonstrations.
    """
    row = row_of(task, score)
    settings = {name: getattr(task, name) for name in OF_METHODS}
    settings |= {"seed": seed, "free": free, "rival": rival, "without": task.without_demos}
    answer = row.function(score, **{name: settings[name] for name in row.settings})
    for better in answer if isinstance(answer, Iterator) else (answer,):
        behind = {name: getattr(better, name, None) for name in ("belief", "flips", "ahead")}
        yield MethodAnswer(contributions_of(score, task, target, seed, better), **behind)


def row_of(task: Explain, score: TargetScore) -> MethodRow:
    """The method that answers: the task's own, or the one that stands in for it where there are scores only."""
    return row_for(task.method, scores_only=score.scorer.model.server is not None)


def contributions_of(score: TargetScore, task: Explain, target: Target, seed: int, answer: Any) -> Contributions:
    """The record of one answer of the task's method."""
    row = row_of(task, score)
    return Contributions.model_validate(
        {"method": row.name, "target": target, "split_of": row.split_of, **_sums(score, answer), "seed": seed}
        | answer.fields
        | _noisy(score, answer)
    )


def _noisy(score: TargetScore, answer: Any) -> dict[str, object]:
    """Which values are noise, where a server gave the scores, and the ends of intervals that say so.

    The model of a list has the noise in its own intervals.
    """
    if score.scorer.model.server is None:
        return {}
    marks: dict[str, object] = {"within_noise": within_noise(answer.values.tolist(), score.noise)}
    if getattr(answer, "belief", None) is not None:
        return marks
    low, high = (answer.values if end is None else end for end in (answer.low, answer.high))
    return marks | {"low": tuple((low - score.noise).tolist()), "high": tuple((high + score.noise).tolist())}


def _sums(score: TargetScore, answer: Any) -> dict[str, object]:
    """What every answer has: its values, what they leave of the score's change, and its cost."""
    return {
        "values": tuple(answer.values.tolist()),
        "zero_shot": score.empty,
        "few_shot": score.full,
        "residual": score.full - score.empty - float(answer.values.sum()),
        "forwards": answer.spent.forwards,
        "backwards": answer.spent.backwards,
        "passes": answer.spent.passes,
        "seconds": answer.spent.seconds,
    }

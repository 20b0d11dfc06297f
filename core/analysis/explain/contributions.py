"""One score shared among demonstrations by a method, as the record that pages, notebooks and files show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Contributions
from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.explain.methods import METHODS
from core.analysis.values import Array, TargetScore
from core.question.task import Target


def contributions(
    score: TargetScore, task: Explain, target: Target, seed: int, free: Array | float = 0.0
) -> Iterator[tuple[Contributions, ListPosterior | None]]:
    """Answers of the task's method, one for most methods, ever better ones for the default, and the model of the list
    where the method has one; `free` [candidate] is taken from scores before ranking.

    Raises `RequestError` where the method cannot be run on this many demonstrations.
    """
    row = METHODS[task.method]
    settings = {name: getattr(task, name) for name in ("budget", "precision", "removals")}
    settings |= {"seed": seed, "free": free}
    answer = row.function(score, **{name: settings[name] for name in row.settings})
    for better in answer if isinstance(answer, Iterator) else (answer,):
        yield contributions_of(score, task, target, seed, better), getattr(better, "belief", None)


def contributions_of(score: TargetScore, task: Explain, target: Target, seed: int, answer: Any) -> Contributions:
    """The record of one answer of the task's method."""
    row = METHODS[task.method]
    return Contributions.model_validate(
        {"method": row.name, "target": target, "split_of": row.split_of, **_sums(score, answer), "seed": seed}
        | answer.fields
    )


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

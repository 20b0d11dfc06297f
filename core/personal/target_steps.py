"""Where does the item really chosen next stand after each step of a play, in places and by its margin?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics.ranking import Rank
from core.personal.personalise_task import MovedRow, PersonaliseReport, PlayedModel, StepRow
from core.question.targets import field_margin
from core.words import margin_move, ordinal


@dataclass(frozen=True)
class TargetStep:
    """The target in the list of one model after one step."""

    row: StepRow
    place: Rank
    margin: float
    """Its score less the mean score of the other candidates, nats."""


def target_index(report: PersonaliseReport) -> int | None:
    """Candidate index of the item really chosen next; None where it is no candidate."""
    return next((index for index, row in enumerate(report.candidates) if row.is_target), None)


def steps_of(report: PersonaliseReport, which: PlayedModel, candidate: int) -> tuple[TargetStep, ...]:
    """A candidate in every list of a model, the one before the play first."""
    return tuple(
        TargetStep(row, ranked.ranks[candidate], float(field_margin(np.array(ranked.scores), candidate)))
        for row, ranked in report.lists_of(which)
    )


def margin_effects(row: MovedRow) -> tuple[float, ...]:
    """What leaving a demonstration out takes from each candidate's margin over the field, [candidate], nats.

    A margin is linear in the scores, so it is the margin of the changes.
    """
    effects = np.array(row.effects)
    return tuple(float(field_margin(effects, candidate)) for candidate in range(len(effects)))


def target_sentence(steps: Sequence[TargetStep], target: str, *, candidates: int) -> str:
    """`Fargo, really chosen next, rises from 9th to 4th of 20; its margin over the field goes from …`."""
    first, last = steps[0], steps[-1]
    margins = f"its margin over the field {margin_move(first.margin, last.margin)}"
    if len(steps) == 1:
        return f"{target} is {ordinal(last.place)} of {candidates}."
    if first.place == last.place:
        return f"{target} stays {ordinal(last.place)} of {candidates}; {margins}."
    verb = "rises" if last.place < first.place else "falls"
    return f"{target} {verb} from {ordinal(first.place)} to {ordinal(last.place)} of {candidates}; {margins}."

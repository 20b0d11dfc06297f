"""What was measured of a blend of a model with popularity, and the weight kept; read without a model library."""

from __future__ import annotations

from core.question.task import Record
from core.tuning.evaluation.record import MetricEstimate
from core.words import counted, figure


class BlendPoint(Record):
    """A weight of popularity that was tried on all lists."""

    weight: float
    ndcg: float
    """Mean NDCG@10 of the item really chosen."""


class BlendFit(Record):
    """A weight w of log(1 + likes before the moment) beside the model's score, fitted on validation lists.

    The figures of the blend are cross-fitted: each list is ranked with the weight fitted on the lists of other users.
    Intervals are over users, differences paired.
    """

    weight: float
    """What is kept: `fitted`, or 0 where the gain over the model alone is not surely above zero."""
    fitted: float
    """By conditional logit on all lists."""
    lists: int
    users: int
    model: MetricEstimate
    """NDCG@10 of the model alone."""
    popularity: MetricEstimate
    """NDCG@10 of popularity alone: likes before each list's moment."""
    blend: MetricEstimate
    """NDCG@10 of the blend."""
    over_model: MetricEstimate
    """Blend minus model alone."""
    over_popularity: MetricEstimate
    """Blend minus popularity alone."""
    grid: tuple[BlendPoint, ...]
    """Other weights on the same lists, from 0 up."""
    command: str
    """What repeats it."""
    created: str

    @property
    def sentence(self) -> str:
        """The weight and what it rests on."""
        where = f"on {counted(self.lists, 'validation list')} of {counted(self.users, 'user')}"
        if not self.weight:
            return f"Popularity is left out: beside the model it gains {_interval(self.over_model)} {where}."
        return (
            f"Popularity has weight {self.weight:g}: NDCG@10 {figure(self.blend.value, 3)},"
            f" {_interval(self.over_model)} over the model alone and {_interval(self.over_popularity)} over popularity"
            f" alone {where}."
        )


def _interval(estimate: MetricEstimate) -> str:
    return f"{figure(estimate.value, 3)} ({figure(estimate.low, 3)} to {figure(estimate.high, 3)})"

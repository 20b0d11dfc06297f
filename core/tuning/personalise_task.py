"""What the play of a user's stream is asked with and answers: steps, lists, what moved them, unchanged weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.analysis.explanation import CandidateRow, Record
from core.analysis.request import Request, Text
from core.analysis.task import Report, Task

Which = Literal["base", "adapter"]
StepKind = Literal["start", "stream", "added"]


class PersonaliseTask(Task):
    """What do the newest interactions do to a user's list, with no weight touched?"""

    case: Request = Request(demos=4, adapter="recicl", history=3)
    known: Annotated[int, Field(ge=1)] | None = None
    """Interactions of the user's stream that are known at the end of the play; none: all before the case's moment."""
    steps: Annotated[int, Field(ge=0, le=50)] = 4
    """How many of them are played one by one; the first list shown is the one before them."""
    added: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    """Interactions made by hand, each a step after those: item_id:yes or item_id:no, oldest first."""
    compare: bool = True
    """Play the base model beside the adapter, where there is one."""

    @property
    def predicted_passes(self) -> float:
        """A whole prompt first, about half of one for every step, and one for what moved the last list; per model."""
        models = 2 if self.compare and self.case.adapter is not None else 1
        return models * (2.0 + 0.5 * (self.steps + len(self.added)))


class ListRow(Record):
    """The list of one model at one step."""

    which: Which
    scores: tuple[float, ...]
    """[candidate], nats."""
    ranks: tuple[int, ...]
    """[candidate], 1 is best."""
    tokens: int
    """Tokens of the whole prompt with all candidates."""
    tokens_run: int
    """Those that were run; the rest was remembered from the step before."""
    seconds: float


class StepRow(Record):
    """The lists once one more interaction is known; the first row is the list before any of them."""

    step: int
    """0 for the list before the play."""
    kind: StepKind
    item_id: str | None
    """The interaction that is new at this step."""
    title: str | None
    liked: bool | None
    position: int | None
    """Its place in the user's stream; none for one made by hand."""
    timestamp: float | None
    demo_ids: tuple[str, ...]
    """Demonstrations in the prompt, in order; the newest interaction is the last."""
    lists: tuple[ListRow, ...]


class MovedRow(Record):
    """What one demonstration does to the last list of one model: scores with it minus scores without it."""

    which: Which
    demo_id: str
    title: str
    answer: str | None
    """`Yes` or `No` (`yes_no` only)."""
    effects: tuple[float, ...]
    """[candidate], nats; the demonstration's text is left out."""


class PersonaliseReport(Report):
    """The play so far."""

    candidates: tuple[CandidateRow, ...] = ()
    """The same items at every step; their scores and ranks are those of step 0 (as zero-shot) and of the last step,
    by the adapter where there is one."""
    stream: tuple[StepRow, ...] = ()
    moved: tuple[MovedRow, ...] = ()
    weights_before: str | None = None
    """SHA-256 of all weights in memory, the adapter's included, before the first step."""
    weights_after: str | None = None
    """The same after the last step; none until the play is over."""
    full_seconds: float | None = None
    """Seconds of one pass over the last step's whole prompt with all candidates, nothing remembered."""

"""What the play of a user's stream is asked with and answers: steps, lists, what moved them, unchanged weights."""

from __future__ import annotations

import statistics
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from core.analysis.explain.explanation import CandidateRow
from core.data.records import Strategy
from core.metrics.ranking import Rank
from core.question.case_spec import CaseSpec, Text
from core.question.task import Record, Report, Task

PlayedModel = Literal["base", "adapter"]
StepKind = Literal["start", "stream", "added"]
USUAL_CASE = CaseSpec(family="yes_no", strategy="recent", demos=4, adapter="recicl", history=3)
"""The case as the shipped adapter was tuned."""
WINDOWED_SHARE, PICKED_SHARE = 0.3, 0.5
"""Predicted share of its prompt that a step runs, candidates left out: where the user's latest interactions are shown,
and where demonstrations are picked anew."""


def answer_of(added: str) -> tuple[str, bool]:
    """Item id and answer of an interaction made by hand; raises `ValueError` for another form."""
    item_id, _, answer = added.rpartition(":")
    if not item_id or answer not in ("yes", "no"):
        raise ValueError("item_id:yes or item_id:no")
    return item_id, answer == "yes"


def _in_form(added: str) -> str:
    answer_of(added)
    return added


Added = Annotated[Text, AfterValidator(_in_form)]


def windowed(spec: CaseSpec) -> bool:
    """Whether a play of this case shows the user's latest interactions; else the strategy picks anew at every step."""
    return spec.strategy == "recent" or spec.demo_ids is not None


class PersonaliseTask(Task):
    """What do the newest interactions do to a user's list, with no weight touched?"""

    case: CaseSpec = USUAL_CASE
    known: Annotated[int, Field(ge=1)] | None = None
    """Interactions of the user's stream that are known at the end of the play; none: all before the case's moment."""
    steps: Annotated[int, Field(ge=0, le=50)] = 4
    """How many of them are played one by one; the first list shown is the one before them."""
    added: Annotated[tuple[Added, ...], Field(max_length=20)] = ()
    """Interactions made by hand, each a step after those: item_id:yes or item_id:no, oldest first."""
    compare: bool = True
    """Play the base model beside the adapter, where there is one."""

    @property
    def picks(self) -> int:
        """Of the first step, where a strategy picks: later ones remember what the model has read."""
        return 0 if windowed(self.case) else 1

    @property
    def predicted_passes(self) -> float:
        """Per model: the first list and the last one from scratch, a shorter pass a step, and a prompt with all
        candidates for every demonstration that is left out at the end."""
        models = 2 if self.compare and self.case.adapter is not None else 1
        steps = self.steps + len(self.added)
        step = WINDOWED_SHARE if windowed(self.case) else PICKED_SHARE
        candidates = self.case.candidate_count
        each = 0.04 * candidates
        lists = 2 * (1 + each) + steps * (step + each)
        return models * (lists + 1.5 * self.case.demos * (0.5 + each))


class ListRow(Record):
    """The list of one model at one step."""

    which: PlayedModel
    scores: tuple[float, ...]
    """[candidate], nats."""
    ranks: tuple[Rank, ...]
    """[candidate], 1 is best; equal scores share the mean of their places."""
    tokens: int
    """Tokens of the whole prompt with all candidates."""
    tokens_run: int
    """Those that were run; the rest was remembered from the step before."""
    seconds: float
    """From the new interaction to the list: picking the demonstrations, writing the prompt, and the pass over what is
    new in it."""


class DemoChange(Record):
    """A demonstration that joined the prompt at a step, or left it."""

    demo_id: str
    user_id: str
    title: str
    source: Strategy
    """The strategy that picked it."""
    by_time: bool
    """Whether it would have come or gone without the new interaction: other users' interactions up to the moment of
    the step are known as well."""


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
    """Demonstrations in the prompt, in order. `added-1` is the first interaction made by hand. Where the user's latest
    interactions are shown, the newest is the last, and `next_item` shows liked ones only."""
    lists: tuple[ListRow, ...]
    demo_id: str | None = None
    """The new interaction as demonstrations name it."""
    joined: tuple[DemoChange, ...] = ()
    """Demonstrations that were not in the prompt of the step before, in prompt order."""
    left: tuple[DemoChange, ...] = ()
    """Those that no longer are."""
    picking_seconds: float = 0.0
    """Of picking the demonstrations, a part of the seconds of every list."""


class MovedRow(Record):
    """What one demonstration does to the last list of one model: scores with it minus scores without it."""

    which: PlayedModel
    demo_id: str
    title: str
    answer: str | None
    """`Yes` or `No` (`yes_no` only)."""
    effects: tuple[float, ...]
    """On each candidate's own score, [candidate], nats; the demonstration's text is left out."""
    ranks: tuple[Rank, ...]
    """Places without it, [candidate]; measured."""


class PersonaliseReport(Report):
    """The play so far."""

    task: PersonaliseTask
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
    """Seconds of one pass over the last step's whole prompt with all candidates, nothing remembered; by the adapter
    where there is one."""

    def lists_of(self, which: PlayedModel) -> list[tuple[StepRow, ListRow]]:
        """Every step that a model has played, with its list."""
        return [(row, ranked) for row in self.stream for ranked in row.lists if ranked.which == which]

    def median_seconds(self, which: PlayedModel) -> float | None:
        """Median of the steps after the first list; None before any was played."""
        seconds = [ranked.seconds for row, ranked in self.lists_of(which) if row.step > 0]
        return statistics.median(seconds) if seconds else None

    def share_run(self, which: PlayedModel) -> float | None:
        """Share of their prompts' tokens that the steps after the first list ran; None before any was played."""
        steps = [ranked for row, ranked in self.lists_of(which) if row.step > 0]
        return sum(ranked.tokens_run for ranked in steps) / sum(ranked.tokens for ranked in steps) if steps else None

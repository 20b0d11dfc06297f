"""What a better set of demonstrations is asked with and answers: shortlist, path, the best set, before and after."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from core.data.records import Strategy
from core.metrics.ranking import Rank
from core.question.case_spec import Text
from core.question.task import Record, Report, Task
from core.selection.confirm import Rival
from core.selection.members import STRIDE
from core.selection.objectives import DEFAULTS, OBJECTIVES, Objective, ObjectiveRow
from core.selection.search import SearchMove, SearchStop

SetRole = Literal["zero_shot", "current", "start", "best"]


QUERY_SHARE = 0.2
"""A held-out choice's query and items over a whole prompt, in tokens (measured: 0.2 for 8 demonstrations)."""


NO_USER = {"recents": True, "negatives": 9}
"""Choices that change nothing for a case from a file, at their defaults: it has no user with other interactions."""


class ImproveTask(Task):
    """Which demonstrations, in which order, would serve this case better?"""

    k: Annotated[int, Field(ge=1, le=16)] = 16
    """Most demonstrations in a set."""
    pool: Annotated[int, Field(ge=1, le=5000)] = 200
    """Most demonstrations that the shortlist is chosen from."""
    shortlist: Annotated[int, Field(ge=1, le=64)] = 12
    """Demonstrations of the pool that the search may use, beside those of the sets that it starts from."""
    recents: bool = True
    """Let sets use the user's latest interactions; at a held-out choice they are the latest ones before it."""
    encode: bool = False
    """Encode the pool with the model: embeddings and label-free effect join the shortlist's criteria."""
    held_out: Annotated[int, Field(ge=2, le=32)] = 8
    """Most known choices that sets are judged by; the case's target is never one of them."""
    confirm: Annotated[int, Field(ge=0, le=32)] = 8
    """Most newer choices, kept from the search, that test the set found; at most half of all that can be held out."""
    negatives: Annotated[int, Field(ge=1, le=50)] = 9
    """Items the user never met beside each held-out choice, as popular as it was then."""
    objective: Objective | None = None
    """What sets are judged by: log_share, ndcg, margin or truth [default: log_share for next_item, else margin]."""
    lam: Annotated[float, Field(ge=0, le=10)] = 0.25
    """Nats of the mean that one nat of spread is worth (lambda)."""
    mmr: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Weight of relevance against likeness in the shortlist (maximal marginal relevance)."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Least distance of two demonstrations in a set: share of their words that only one has."""
    budget: Annotated[float, Field(gt=0, le=1000)] = 60.0
    """Most full-prompt forward equivalents the search may use; confirming and comparing the case come on top."""
    patience: Annotated[int, Field(ge=1, le=100)] = 6
    """Stop after this many steps without a better set."""
    start: tuple[Text, ...] | None = None
    """Demonstrations of an earlier best set, re-checked first."""
    start_objective: float | None = None
    """What that set's objective was then, to show the drift."""

    @property
    def judged_by(self) -> ObjectiveRow:
        """The objective, by default that of the case's family."""
        return OBJECTIVES[self.objective or DEFAULTS[self.case.family]]

    @property
    def picks(self) -> int:
        """How many times the case's strategy picks: for the case twice, and for every `STRIDE` held-out choices."""
        return 2 + -(-(self.held_out + self.confirm) // STRIDE)

    @property
    def predicted_passes(self) -> float:
        """The budget of the search, the confirming prompts, and three prompts with all candidates of the case.

        On the confirming choices the sets that chance draws share nothing; the set found and the current one are run
        once for every `STRIDE` choices. Each prompt has a query and its items, about `QUERY_SHARE` of a pass.
        """
        confirming = self.confirm * (1 + 2 / STRIDE + 4 * QUERY_SHARE)
        return self.budget + confirming + 3 * (1 + 0.05 * self.case.candidate_count)

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing at their defaults, and the objective by name."""
        choices = super().effective() | {"objective": self.judged_by.name}
        return choices | (NO_USER if self.case.imported else {})


class HeldOutRow(Record):
    """A known choice that sets are judged by, or that confirms the set found."""

    item_id: str
    title: str
    answer: str | None
    """`Yes` or `No`, the true answer (`yes_no` only)."""
    position: int
    """In the user's history, or of the case in its file, from 0."""
    timestamp: float | None
    case_id: str | None = None
    """Of another case of a case file; None where the choice is one of the user's own."""


class ShortlistRow(Record):
    """A demonstration that the search may use, with its stage-one scores; the most relevant first."""

    demo_id: str
    user_id: str
    item_id: str
    title: str
    answer: str | None
    history: tuple[str, ...]
    """Titles in the demonstration's history, oldest first."""
    source: Strategy
    """The strategy that stage one has it from."""
    back: int | None
    """For what moves with the moment: its place from the nearest that the strategy picks, from 1."""
    recency: float | None
    """Timestamp, or position where there are none; null for a case from a file, as `neighbours`."""
    neighbours: float | None
    """Similarity of its user by likes in common; 0 for the case's own."""
    bm25: float
    embedding: float | None
    """Cosine with the user's query."""
    effect: float | None
    """ln |dW|^2, label-free."""
    relevance: float
    """Fused ranks of all criteria; 1 is first in each."""


class SetRow(Record):
    """A set of demonstrations and how it is judged on the held-out choices, in the objective's unit."""

    demo_ids: tuple[str, ...]
    """In prompt order, as `CaseSpec.demo_ids` takes them."""
    objective: float
    """J = mean - lambda * spread."""
    mean: float
    spread: float


class PathRow(SetRow):
    """The best set of one step of the search."""

    step: int
    move: SearchMove
    tried: int
    """Sets scored in this step."""
    passes: float
    """Full-prompt forward equivalents spent up to and with this step."""
    best: float
    """Objective of the best set so far."""
    improved: bool


class Outcome(Record):
    """The case's own target under one set, scored once after the search; it had no part in the choice."""

    which: SetRole
    demo_ids: tuple[str, ...]
    score: float
    """Target score, nats."""
    margin: float
    """The target's margin over the field: its score less the mean score of the other candidates, nats."""
    rank: Rank
    """1 is the best; equal scores share the mean of their places."""
    candidates: int
    """How many are ranked, the target among them."""
    ndcg: float
    """NDCG@10 of the target among the case's candidates."""


class PlacesRow(Record):
    """A candidate of the case in the lists of three sets; scores in nats, places from 1, equal scores share theirs."""

    item_id: str
    title: str
    is_target: bool
    """Whether it is the item really chosen next, or the true answer."""
    best_rank: Rank
    """Place with the set that is advised."""
    current_rank: Rank
    """Place with the case's own demonstrations."""
    zero_shot_rank: Rank
    best_score: float
    current_score: float
    zero_shot_score: float


class ConfirmRow(Record):
    """The set found against a rival on the confirming choices, in the objective's unit."""

    against: Rival
    """`chance`: a set of the same size that chance draws from the pool, anew for every choice."""
    mean: float
    """Of the set found."""
    rival_mean: float
    gap: float
    """Mean difference, paired by choice."""
    p: float
    """One-sided, by flipping the signs of the differences: how often chance gives a gap at least as large."""
    permutations: int
    choices: int


class ObjectiveNoise(Record):
    """How far a server's scores of equal prompts lie apart, in the objective's unit."""

    repeats: int
    deviation: float
    """Standard deviation of the mean score over the choices that judge, without demonstrations."""
    floor: float
    """Differences of two sets up to this size are noise: three standard deviations of a difference, or the largest
    difference of two repeats."""


class ImproveReport(Report):
    """The best set so far, how it was reached, and what it does to the case."""

    task: ImproveTask
    held_out: tuple[HeldOutRow, ...] = ()
    """Choices that sets are judged by."""
    confirming: tuple[HeldOutRow, ...] = ()
    """Newer choices that the search never reads."""
    shortlist: tuple[ShortlistRow, ...] = ()
    path: tuple[PathRow, ...] = ()
    zero_shot: SetRow | None = None
    current: SetRow | None = None
    """The demonstrations of the case as it stands; at each held-out choice, what its strategy would have picked."""
    start: SetRow | None = None
    """The earlier set as judged now."""
    start_objective: float | None = None
    """Its objective then."""
    best: SetRow | None = None
    """No `demo_ids` where no set is better than zero-shot."""
    found: SetRow | None = None
    """The set that the search ended with; `best` differs from it where the confirming choices speak against it."""
    confirmed: tuple[ConfirmRow, ...] | None = None
    """Tests of `found` on the confirming choices; None before the search is over, or without anything to test."""
    stop: SearchStop | None = None
    noise: ObjectiveNoise | None = None
    """Of the server that gave the scores; None for a model that is loaded here."""
    guards: tuple[str, ...] = ()
    """What was held back and why, one sentence each."""
    search_passes: float = 0.0
    """Full-prompt forward equivalents of the search, never above the budget."""
    outcomes: tuple[Outcome, ...] | None = None
    """None until the search is over, or where the target is not among the candidates."""
    target_answer: str | None = None
    """The target's true answer (`yes_no` only)."""
    candidates: tuple[PlacesRow, ...] = ()
    """The list before and after, the best place after first; empty until the search is over."""

    @property
    def chance(self) -> ConfirmRow | None:
        """The test of the set found against sets that chance draws; None where there is none."""
        return next((row for row in self.confirmed or () if row.against == "chance"), None)

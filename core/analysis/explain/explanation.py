"""What an explanation holds: one frozen record, the same on the page, in a notebook and as JSON."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.list_estimates import ListBelief
from core.analysis.explain.methods import Method
from core.analysis.noise_floor import NoiseFloor
from core.metrics.ranking import Rank
from core.prompt.families import Family
from core.prompt.spans import SpanKind
from core.question.flip_goals import FlipGoal
from core.question.task import Record, Report, Target

Direction = Literal["up", "down"]
"""Of a place: towards the first one, or towards the last."""
FlipStatus = Literal["verified", "all", "none", "nothing"]
"""`verified`: removing `left_out` does it; `all`: only removing all is verified to do it; `none`: no verified set does;
`nothing`: there is nothing to flip, because the goal is reached already or removing all changes no place."""


class HistoryRow(Record):
    """One interaction of the user before the case's moment, oldest first."""

    item_id: str
    title: str
    categories: tuple[str, ...]
    rating: float | None
    timestamp: float | None
    in_query: bool
    """Whether this title stands in the query of the prompt."""


class CandidateRow(Record):
    """One candidate; scores in nats, rank 1 is best, and equal scores share the mean of their places."""

    item_id: str
    title: str
    categories: tuple[str, ...]
    popularity: int
    is_target: bool
    zero_shot_score: float | None
    zero_shot_rank: Rank | None
    score: float | None
    rank: Rank | None
    prior: float = 0.0
    """What of `score` a blend adds to the model's own, in nats; 0 without one."""
    model_rank: Rank | None = None
    """Place by the model's score alone, with demonstrations; None without a blend."""


class SpanRow(Record):
    """One span of the prompt with its tokens, whose texts joined give `text`."""

    kind: SpanKind
    index: int
    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]


class PromptRecord(Record):
    """The prompt that was run, with the explained candidate as its last span."""

    family: Family
    chat: bool
    template: str
    length: int
    """Tokens of the longest full prompt."""
    context: int
    """Tokens the model can read."""
    spans: tuple[SpanRow, ...]
    cut: tuple[str, ...]
    notices: tuple[str, ...]


class Contributions(Record):
    """What each demonstration adds to what is explained of the target, in nats, in prompt order; K demonstrations.

    `zero_shot + sum(values) + residual == few_shot`.
    """

    method: Method
    target: Target
    values: tuple[float, ...]
    low: tuple[float, ...] | None = None
    """Lower ends of 90 % intervals, where the method samples."""
    high: tuple[float, ...] | None = None
    within_noise: tuple[bool, ...] | None = None
    """[demo]: whether the value is noise of the server that gave the scores; None for a model that is loaded here."""
    zero_shot: float
    """What is explained, with every demonstration deleted from the text."""
    few_shot: float
    residual: float
    """What the values do not account for (interactions between demonstrations, position shift)."""
    completeness_gap: float | None = None
    """Quadrature error of the learning-rate path: sum(values) - (s(g=1) - s(g=0))."""
    by_layer: tuple[tuple[float, ...], ...] | None = None
    """[demo][layer]; sums over layers to the gradient answer of each demonstration."""
    by_head: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    """[demo][layer][head]."""
    by_token: tuple[tuple[float, ...], ...] | None = None
    """[demo][token of the demonstration's span]."""
    split_of: Method | None = None
    """The gradient method whose parts `by_layer`, `by_head` and `by_token` are."""
    lds: float | None = None
    """Cross-validated LDS from the ablations the method made itself; null when it made none."""
    lds_low: float | None = None
    lds_high: float | None = None
    prediction_lds: float | None = None
    """The same of the whole model, interactions included, in place of the sum of contributions."""
    prediction_lds_low: float | None = None
    prediction_lds_high: float | None = None
    rank_agreement: float | None = None
    """Cross-validated Spearman correlation of foretold and measured places of the target over the same ablations."""
    rank_agreement_low: float | None = None
    rank_agreement_high: float | None = None
    forwards: int
    """Prompts scored (gates or subsets of demonstrations)."""
    backwards: int = 0
    passes: float
    """Cost in full-prompt forward equivalents (tokens run / tokens of the full prompt; a backward counts 2)."""
    seconds: float
    seed: int

    def is_noise(self, demo: int) -> bool:
        """Whether the value of a demonstration is noise of a server."""
        return self.within_noise is not None and self.within_noise[demo]


class Faithfulness(Record):
    """How well the contributions predict the score under text ablations."""

    lds: float | None
    """Spearman correlation over the ablations; null when the scores or the predictions do not vary."""
    low: float | None
    high: float | None
    ablations: int
    keep_probability: float
    top_demo: int | None
    """The demonstration with the largest positive contribution."""
    top_drop: float | None
    """By how many nats the target score falls when it is removed from the text."""
    top_rank_after: Rank | None
    """Rank of the target among the candidates after that removal."""
    forwards: int
    seconds: float


class MeasuredPrompt(Record):
    """The list as it really is with some of the demonstrations deleted from the text."""

    left_out: tuple[int, ...]
    """Demonstrations that are deleted, from 0 in prompt order."""
    scores: tuple[float, ...]
    """[candidate], nats."""
    ranks: tuple[Rank, ...]
    """[candidate]"""


class PlaceTable(Record):
    """Foretold places with the ends of 90 % intervals, [row][candidate]; equal scores share the middle."""

    value: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]


class PlaceCurve(Record):
    """Place of one candidate as demonstrations are deleted one after the other, each time the one without which it is
    predicted to stand best (`up`) or worst (`down`); equal scores share the middle."""

    direction: Direction
    order: tuple[int, ...]
    """Demonstrations in the order in which they are deleted, from 0 in prompt order."""
    value: tuple[float, ...]
    """[n]: without the first n of `order`, n from 0 to all."""
    low: tuple[float, ...]
    """[n]: lower end of the 90 % interval."""
    high: tuple[float, ...]
    measured: tuple[bool, ...]
    """[n]: whether that prompt was scored; then the interval has no width."""


class CandidateGradient(Record):
    """What the gradient at half the learning rate says of one candidate, before any ablation."""

    candidate: int
    """Index into the candidates."""
    values: tuple[float, ...]
    """[demo], nats."""


class PairRow(Record):
    """Two demonstrations whose joint effect on what is explained differs from the sum of both, in nats."""

    first: int
    second: int
    value: float
    """How much more they add together than apart, on average over what else is kept (Banzhaf interaction index)."""
    low: float
    high: float


class ListEffects(Record):
    """What each demonstration does to every candidate of the list, from one model of all measured prompts."""

    effects: tuple[tuple[float, ...], ...]
    """[demo][candidate]: average effect on the candidate's own score over all subsets, nats."""
    mean_variance: tuple[float, ...]
    """[demo]: of the effect on the mean score, squared nats."""
    deviation_variance: tuple[tuple[float, ...], ...]
    """[demo][candidate]: of the effect on the deviation from the mean score, squared nats."""
    quantile: float
    """Standard deviations to either end of a 90 % interval."""
    noise: float = 0.0
    """What every interval is longer by at each end, in nats: the noise floor of the server that gave the scores."""
    without: PlaceTable
    """[demo][candidate]: place of the candidate when that demonstration alone is deleted."""
    curves: tuple[PlaceCurve, ...]
    """Of the explained candidate; `list_removals.place_curves` has those of any other."""
    pairs: tuple[PairRow, ...]
    """The strongest pairs that surely differ from zero, on what is explained; `list_removals.pair_rows` has others."""
    mean_gradient: tuple[float, ...]
    """[demo]: gradient of the mean score at half the learning rate, nats; with `measured` the model follows from it."""
    deviation_gradients: tuple[CandidateGradient, ...]
    """The same of the deviation from the mean score, of the candidates whose own gradient was taken."""
    measured: tuple[MeasuredPrompt, ...]
    """Every prompt that was scored for all candidates, the whole and the empty one first."""

    @property
    def belief(self) -> ListBelief:
        """The effects with their uncertainty; `belief.on(weights)` is the effect on any target."""
        return ListBelief(
            np.array(self.effects),
            np.array(self.mean_variance),
            np.array(self.deviation_variance),
            self.quantile,
            self.noise,
        )

    def measured_without(self, *demos: int) -> MeasuredPrompt | None:
        """The list really measured without these demonstrations; None where it is only foretold."""
        return next((row for row in self.measured if set(row.left_out) == set(demos)), None)


class PlaceRange(Record):
    """A predicted place with the ends of its 90 % interval."""

    value: float
    low: float
    high: float


class VerifiedSet(Record):
    """A set of demonstrations that was deleted from the text to see where the target stands."""

    left_out: tuple[int, ...]
    """Demonstrations, from 0 in prompt order."""
    place: Rank
    """Of the target."""
    reached: bool
    """Whether that is the goal."""
    foretold: float | None
    """Probability of reaching the goal before the pass; null for a prompt that was measured for another reason."""
    predicted: PlaceRange | None = None
    """Place of the target as it was predicted before the pass; null where `foretold` is."""


class FlipSet(Record):
    """The smallest set of demonstrations whose removal brings the target to another place, as far as it is known."""

    goal: FlipGoal
    rival_id: str | None = None
    rival_title: str | None = None
    ahead_of_rival: bool | None = None
    """Whether the target stands above the rival with every demonstration; the goal is the other side."""
    status: FlipStatus
    left_out: tuple[int, ...] | None
    """The smallest verified set, of several the one that was verified first; null where there is none."""
    place: Rank | None
    """Of the target without that set."""
    smallest: bool
    """Whether every smaller set was measured and does not do it, or there is none."""
    place_full: Rank
    """Of the target with every demonstration."""
    place_empty: Rank
    """Of the target without any."""
    passes: int
    """Prompts that were scored for this search."""
    sets: tuple[VerifiedSet, ...]
    """Every set that reaches the goal, and those that this search tried in vain; the smallest first."""


class HistoryRemoval(Record):
    """The list as it is when one interaction of the history had never been; the demonstrations stay."""

    position: int
    """Of the interaction in `Explanation.history`."""
    item_id: str
    title: str
    moves_in: str | None
    """Title of the older interaction that takes the free place in the query; null where there is none."""
    score: float
    """Of the target, nats."""
    place: Rank
    """Of the target."""
    ranks: tuple[Rank, ...]
    """[candidate]"""


class Timings(Record):
    """Seconds by the monotonic clock."""

    prompt: float = 0.0
    scores: float = 0.0
    contributions: float = 0.0
    faithfulness: float = 0.0
    history: float = 0.0
    total: float = 0.0


class Explanation(Report):
    """One explained case, as complete as `stage` says."""

    task: Explain
    key: str
    """Content key of the task on this data and model."""
    moment: float | None
    history: tuple[HistoryRow, ...]
    candidates: tuple[CandidateRow, ...]
    target_index: int | None
    """Index into `candidates` of the item really chosen next."""
    unit: Literal["nats"] = "nats"
    prompt: PromptRecord
    contributions: Contributions | None = None
    """None until the first answer is there, or when there are no demonstrations."""
    noise: NoiseFloor | None = None
    """Of the server that gave the scores; every interval of effects is longer by its floor at each end. None for a
    model that is loaded here."""
    list_effects: ListEffects | None = None
    """None with methods that model one score alone."""
    flip_set: FlipSet | None = None
    """None where it was not searched for."""
    history_removals: tuple[HistoryRemoval, ...] | None = None
    """One row for each interaction that stands in the query, oldest first; None where they were not measured."""
    faithfulness: Faithfulness | None = None
    timings: Timings = Timings()

    @property
    def chosen_next(self) -> str | None:
        """Item id of the item really chosen next; None where it is not among the candidates."""
        return None if self.target_index is None else self.candidates[self.target_index].item_id

"""The task that perturbs a case, and its report; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from core.analysis.noise_floor import NoiseFloor
from core.analysis.robustness.inference_settings import InferenceSettings, Share, ShareBelowOne
from core.analysis.robustness.perturbations import (
    KINDS,
    PERTURBATIONS,
    QUERY_PASSES,
    QUICK,
    REPEATS,
    STRENGTHS,
    PerturbationKind,
    as_logged,
)
from core.metrics.ranking import Rank
from core.prompt.wordings import other_wordings
from core.question.case_spec import at_defaults
from core.question.task import Record, Report, TargetTask

Strength = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Mode = Literal["plain", "changed"]
"""`plain`: the model as it is; `changed`: recommending under the task's changed dual models."""

RewritingSource = Literal["unchanged", "wording", "demonstrations"]
"""What differs in a prompt from that of the case: nothing, its words, or its demonstrations."""
SensitivitySource = Literal["wording", "demonstrations", "difference"]
"""What was changed, and the first less the second."""

QUICK_STRENGTH = 0.25
REWRITING_PASSES = 1.1
"""Full-prompt forward equivalents of the prompt in other words or with other demonstrations, without its candidates:
it shares no beginning, and most other words are longer (counted on the sample, as the next two)."""
BARE_SIZE = 2.0
"""Tokens of instruction and query over those of a demonstration."""
CANDIDATE_SIZE = 0.13
"""Tokens of a candidate over those of a demonstration, less the words that all candidates begin with."""
CANDIDATE_PASSES = 0.015
"""Full-prompt forward equivalents of one more candidate of a variant."""


@dataclass(frozen=True)
class VariantGrid:
    """Variants of one kind: so many repeats at each strength."""

    kind: PerturbationKind
    strengths: tuple[float, ...]
    repeats: int


class RobustnessTask(TargetTask):
    """Does the recommendation of a case stand when its history, demonstrations, answers or titles are changed?"""

    kinds: Annotated[tuple[PerturbationKind, ...], Field(min_length=1)] = KINDS
    """Kinds of perturbation. Those that cannot apply to the case are left out with a reason."""
    strengths: Annotated[tuple[Strength, ...], Field(min_length=1, max_length=6)] = STRENGTHS
    """Shares of history items, demonstrations or characters touched, above 0 and up to 1."""
    repeats: Annotated[int, Field(ge=1, le=32)] = REPEATS
    """Variants of each kind and strength."""
    sensitivity: bool = True
    """Whether other words of the prompt stand beside other demonstrations: which moves the answer further?"""
    quick: bool = False
    """A first look: 12 variants of four kinds, whatever the other choices say."""
    alpha: ShareBelowOne = 0.0
    """Weight decay of the changed dual model, held beside the plain one."""
    beta: Share = 0.0
    """Negative samples of the changed dual model."""
    sigma: Share = 0.0
    """Noise on the demonstrations in the changed dual model."""
    dropout: ShareBelowOne = 0.0
    """Gate dropout of the changed dual model."""
    samples: Annotated[int, Field(ge=1, le=64)] = 8
    """Changed dual models to average over, where noise or dropout is asked for."""

    @property
    def inference(self) -> InferenceSettings | None:
        """The changed dual models to hold beside the plain one; None without any."""
        settings = InferenceSettings(
            alpha=self.alpha, beta=self.beta, sigma=self.sigma, dropout=self.dropout, samples=self.samples
        )
        return None if settings.plain else settings

    def grids(self, demos: int) -> tuple[VariantGrid, ...]:
        """The variants that the choices name, kind by kind, for a prompt of `demos` demonstrations.

        At the smallest strength every demonstration has a turn at being dropped, so that the weakest can be named.
        """
        if self.quick:
            return tuple(VariantGrid(kind, (QUICK_STRENGTH,), REPEATS) for kind in QUICK)
        strengths = tuple(sorted(set(self.strengths)))
        grids = []
        for kind in dict.fromkeys(self.kinds):
            if PERTURBATIONS[kind].every_demo and demos > self.repeats:
                grids += [VariantGrid(kind, strengths[:1], demos), VariantGrid(kind, strengths[1:], self.repeats)]
            else:
                grids.append(VariantGrid(kind, strengths, self.repeats))
        return tuple(grid for grid in grids if grid.strengths)

    @property
    def compares(self) -> bool:
        """Whether the prompt is tried in other words and with other demonstrations; a finished one has no others."""
        return self.sensitivity and not self.quick and not self.case.imported

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents: each kind's variants share the beginning that they leave as it is."""
        demos = self.case.demo_count
        tail = CANDIDATE_PASSES * self.case.candidate_count
        plain = changed = 1.0 + tail
        settings = self.inference
        for grid in self.grids(demos):
            row = PERTURBATIONS[grid.kind]
            of_logged = row.count_obstacle(demos) if row.logged is not as_logged else "rewrites"
            if (of_logged if self.case.imported else row.prompt_obstacle(self.case.family, demos)) is not None:
                continue
            count = len(grid.strengths) * grid.repeats
            plain += count * (row.passes + tail)
            if settings is not None:
                changed += count * (1.0 + settings.draws * (QUERY_PASSES + tail))
        plain += self._rewriting_passes(demos) if self.compares else 0.0
        return plain if settings is None else plain + changed

    def _rewriting_passes(self, demos: int) -> float:
        """Of the prompts in other words, as many with other demonstrations, and each wording without any."""
        words, unit = len(other_wordings(self.case.wording)), demos + BARE_SIZE
        whole, bare = (2 * words, words + 1) if demos else (words, 0)
        candidates = (whole + bare + 1) * self.case.candidate_count * CANDIDATE_SIZE
        return whole * REWRITING_PASSES + (bare * BARE_SIZE + candidates) / unit

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing at their defaults."""
        without_effect = ["kinds", "strengths", "repeats", "sensitivity"] if self.quick else []
        without_effect += ["sensitivity"] if self.case.imported else []
        if self.inference is None or not self.inference.random:
            without_effect.append("samples")
        return at_defaults(self, without_effect) | {"case": self.case.effective()}


class Estimate(Record):
    """A mean with its 90 % bootstrap interval; the ends are None with fewer than two values."""

    mean: float
    low: float | None = None
    high: float | None = None


class KindRow(Record):
    """What one kind of perturbation does at one strength, against the unperturbed prompt of the same mode."""

    kind: PerturbationKind
    strength: float
    mode: Mode = "plain"
    count: int
    """Variants that the means are over, or cases where several cases are put together."""
    flips: Estimate
    """Share of variants whose first place differs."""
    tau: Estimate | None = None
    """Kendall's tau between the two orders; None where it is not defined (as the others)."""
    overlap: Estimate | None = None
    """Rank-biased overlap, p = 0.9."""
    ndcg: Estimate | None = None
    """Change of NDCG@10 of the item really chosen next; None when that is not among the candidates."""
    score: Estimate | None = None
    """Change of the target score, in nats."""
    place: Estimate | None = None
    """Size of the change of the target's place, in places; None without a target (as the margin)."""
    margin: Estimate | None = None
    """Change of the target's margin over the field, in nats."""


class MovedByKind(Record):
    """How far the variants of one kind move the target's place, at all strengths together."""

    kind: PerturbationKind
    count: int
    """Variants."""
    size: Estimate
    """Mean size of the change, in places."""
    apart: Estimate | None
    """That less the mean size over the variants of all other kinds, in places; None where there is no other."""


class BesideRewriting(Record):
    """How far the variants move the target's place, beside other words or other demonstrations."""

    source: RewritingSource
    apart: Estimate
    """Mean size over all variants less the mean size over the rewritings of this source, in places."""


class TargetPlaces(Record):
    """Where the target stands over all variants."""

    candidates: int
    """How many are ranked, the target among them."""
    place: Rank
    """With the unchanged prompt."""
    best: Rank
    worst: Rank
    """First and last place over the variants."""
    moved: int
    """Variants in which its place is another one."""
    size: Estimate
    """Mean size of the change of its place, in places."""
    margin: float
    """Its margin over the field with the unchanged prompt, in nats."""
    lowest: float
    highest: float
    """Smallest and largest margin over the variants, in nats."""
    kinds: tuple[MovedByKind, ...]
    """The kind that moves it most first."""


class ModeRow(Record):
    """One way of recommending over all variants of the case."""

    mode: Mode
    name: str
    """`plain`, or the settings of the changed dual models."""
    variants: int
    flips: Estimate | None
    """Share of variants whose first place differs; None without any variant."""
    tau: Estimate | None
    ndcg_before: float | None
    """NDCG@10 without any perturbation."""
    ndcg: Estimate | None
    """NDCG@10 over the variants."""
    target: TargetPlaces | None = None
    """None without a target or without any variant."""


class VariantRow(Record):
    """One variant under the plain model."""

    kind: PerturbationKind
    strength: float
    repeat: int
    words: str
    """What was done."""
    touched: tuple[int, ...]
    """Places of the demonstrations touched, from 0."""
    ranks: tuple[Rank, ...]
    """Rank of each of the report's `lines`, among all candidates."""
    top: str
    """Item id of the first place; of equal scores the first by title."""
    flips: bool
    tau: float | None
    overlap: float | None
    ndcg: float | None
    """Change of NDCG@10."""
    score: float | None
    """Change of the target score, in nats."""
    place: Rank | None = None
    """Place of the target; None where there is none (as the margin)."""
    margin: float | None = None
    """Change of the target's margin over the field, in nats."""
    within_noise: bool | None = None
    """Whether that change is noise of the server that gave the scores; null for a model that is loaded here."""


class RankLine(Record):
    """One candidate of the rank flow, as it stands without any perturbation."""

    item_id: str
    title: str
    is_target: bool
    score: float
    rank: Rank
    changed_score: float | None = None
    """The same under the changed dual models: mean over them, in nats; None when none is asked for."""
    changed_spread: float | None = None
    """Standard deviation over them; 0 where nothing is random, None for a single random one."""
    changed_rank: Rank | None = None


class SmallestFlip(Record):
    """The smallest change that puts another item first."""

    kind: PerturbationKind
    strength: float
    words: str
    """What was done."""
    top: str
    """Item id that comes first then."""
    title: str


class Weakest(Record):
    """The demonstration on which the answer hangs most."""

    place: int
    """In the prompt, from 0."""
    label: str
    """`D1`, `D2`, …"""
    flips_with: int | None
    """Fewest demonstrations touched at once, this one among them, that change the first place; None: none did."""
    kind: PerturbationKind | None
    """What was done to them then."""
    change: float | None
    """Mean size of the change of the target's margin over the field, per demonstration touched, in nats."""
    places: float | None
    """The same of the target's place, in places."""
    variants: int
    """Variants that touched this demonstration."""


class LeftOut(Record):
    """A kind that cannot apply to this case, and why."""

    kind: PerturbationKind
    reason: str


class RewritingRow(Record):
    """The case's prompt in other words or with other demonstrations, under the plain model."""

    source: RewritingSource
    name: str
    """The wording's name, or `random 1`, `random 2` … of sets of demonstrations."""
    words: str
    """What the prompt says of the user, or whose demonstrations it shows."""
    place: Rank | None
    """Rank of the target; None where there is none."""
    place_change: float | None
    """That less its rank in the prompt as it is, in places."""
    order_change: float
    """Mean size of the change of a candidate's rank, in places."""
    effect: float | None
    """What the demonstrations change in the target's margin over the mean of the other candidates (over the named one,
    where one is named), in nats: with them less without them, in the same words; None without demonstrations."""
    effect_change: float | None
    """That less the effect in the prompt as it is, in nats."""
    flips: bool
    """Whether another item comes first."""


class SensitivityRow(Record):
    """Mean sizes of the changes that one source makes; of the difference, those of other words less those of other
    demonstrations."""

    source: SensitivitySource
    count: int
    """Prompts that the means are over."""
    place: Estimate | None
    """Of the target's place, in places; None where it is not defined (as the effect)."""
    order: Estimate
    """Of a candidate's place, in places."""
    effect: Estimate | None
    """Of the demonstrations' effect, in nats."""


class RobustnessReport(Report):
    """How far the recommendation stands; kinds join as they get done."""

    task: RobustnessTask
    lines: tuple[RankLine, ...] = ()
    """At most 20 candidates, best first; the item really chosen next, the target and the first place under changed dual
    models are among them."""
    rows: tuple[KindRow, ...] = ()
    modes: tuple[ModeRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    weakest: Weakest | None = None
    smallest: SmallestFlip | None = None
    left_out: tuple[LeftOut, ...] = ()
    sensitivity: tuple[SensitivityRow, ...] = ()
    """Other words, other demonstrations and their difference; empty until they are compared."""
    rewritings: tuple[RewritingRow, ...] = ()
    """The prompt as it is, then each of those that `sensitivity` is over."""
    beside: tuple[BesideRewriting, ...] = ()
    """The variants beside other words and other demonstrations; empty without a target or before they are compared."""
    noise: NoiseFloor | None = None
    """Of the server that gave the scores; null for a model that is loaded here, and without a target."""
    sweep_tokens: int = 0
    """Tokens that the plain sweep ran."""
    separate_tokens: int = 0
    """Tokens that the same prompts would have cost one by one."""

    @property
    def target_line(self) -> int | None:
        """Index of the target among `lines`; None where there is none."""
        item = None if self.target is None else self.target.item_id
        return next((index for index, line in enumerate(self.lines) if line.item_id == item), None)

    def target_places(self, mode: Mode = "plain") -> TargetPlaces | None:
        """Where the target stands over the variants of one way of recommending."""
        return next((row.target for row in self.modes if row.mode == mode), None)


def kinds_of(rows: Sequence[KindRow]) -> tuple[PerturbationKind, ...]:
    """The kinds that rows hold, in their order."""
    return tuple(dict.fromkeys(row.kind for row in rows))

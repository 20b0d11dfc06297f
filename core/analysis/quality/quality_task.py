"""The task that scores the demonstrations of a prompt, and its report: a row each, and what each score cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from core.analysis.noise_floor import NoiseFloor
from core.analysis.quality.score_rows import QUALITY_SCORES, QualityScore
from core.question.case_spec import at_defaults
from core.question.targets import Explained
from core.question.task import Record, Report, Target, TargetTask

GainMethod = Literal["auto", "gradient", "leave_one_out", "default"]
"""`gradient`: one gradient with every gate at 1/2; `leave_one_out`: each demonstration deleted from the text;
`default`: that gradient refined by text ablations; `auto`: `leave_one_out` where a proxy stands in for the target,
because its gradient foretells the target's gain less well, else `gradient`."""


class QualityTask(TargetTask):
    """How good is each demonstration of this case's prompt?"""

    proxy: bool = False
    """Measure gain, alignment and stability on the user's latest known choice instead of the target."""
    gain_method: GainMethod = "auto"
    """How gain is computed: one gradient, by deletion, or refined by ablations within the budget, with intervals."""
    budget: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Most full passes of the refined gain; one scores the whole prompt once."""
    stability: Annotated[int, Field(ge=0, le=256)] = 0
    """Perturbations to measure stability on, one gradient each; 0 leaves it out."""

    @property
    def explained(self) -> Explained:
        """Gain, alignment and stability are those of the margin over the field, or of a pair's margin."""
        return "field" if self.against is None else "pair"

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents of every score, or of the whole prompt without demonstrations."""
        return sum(row.passes(self) for row in QUALITY_SCORES) if self.case.demo_count else 1.0

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing at their defaults."""
        without_effect = [] if self.gain_method == "default" else ["budget"]
        return at_defaults(self, without_effect) | {"case": self.case.effective()}


class QualityRow(Record):
    """One demonstration's scores; null where one is not measured yet, or not defined (a notice says why)."""

    label: str
    """`D1`, `D2`, … in prompt order."""
    tokens: int
    gain: float | None = None
    """Contribution to the target's margin over the mean of the other candidates, in nats."""
    gain_low: float | None = None
    """Lower end of the 90 % interval, where text ablations were made or a server's noise was measured."""
    gain_high: float | None = None
    within_noise: bool | None = None
    """Whether the gain is noise of the server that gave the scores; null for a model that is loaded here."""
    effect: float | None = None
    """ln |dW_k|^2, summed over layers and heads before the logarithm."""
    alignment: float | None = None
    """Cosine of dW_k phi(q) and the gradient of that margin at the attention output."""
    redundancy: float | None = None
    """Largest cosine with another demonstration's equivalent gradient."""
    nearest: str | None = None
    """The demonstration with that cosine."""
    stability: float | None = None
    """Share of perturbations under which the sign of the contribution stays, 0 to 1."""
    perturbations: int = 0
    """Perturbations that left this demonstration in, on which stability rests."""
    alignment_by_layer: tuple[float | None, ...] | None = None
    """[layer]: the alignment within each layer."""


class ScoreCost(Record):
    """One score's unit, whether it reads the score of a target or of its proxy, and what it cost here."""

    score: QualityScore
    unit: str
    needs_target: bool
    passes: float | None = None
    """Full-prompt forward equivalents; null where the score was not measured."""
    seconds: float | None = None
    shared_with: QualityScore | None = None
    """The score that came out of the same pass, which is counted once in the report."""


COSTS = tuple(
    ScoreCost(score=row.name, unit=row.unit, needs_target=row.needs_target, shared_with=row.shared_with)
    for row in QUALITY_SCORES
)
"""Every score before anything is measured."""


class QualityReport(Report):
    """The scores so far: those without a target first, then gain and alignment, then stability."""

    task: QualityTask
    rows: tuple[QualityRow, ...] = ()
    """One a demonstration, in prompt order."""
    cosines: tuple[tuple[float | None, ...], ...] | None = None
    """[demo][demo]: cosines of the equivalent gradients, the normalised kernel Gram matrix; symmetric."""
    scored: Target | None = None
    """Whose score gain, alignment and stability are about; null where there is nobody."""
    proxy: bool = False
    """Whether that is the user's latest known choice, held out of the prompt, and not the target itself."""
    noise: NoiseFloor | None = None
    """Of the server that gave the scores; null for a model that is loaded here."""
    costs: tuple[ScoreCost, ...] = COSTS

"""What the quality of a prompt's demonstrations is asked with and answers: one row each, and what each score cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from core.question.case_spec import at_defaults
from core.question.task import Record, Report, Target, TargetTask

GainMethod = Literal["auto", "gradient", "leave_one_out", "default"]
"""`gradient`: one gradient with every gate at 1/2; `leave_one_out`: each demonstration deleted from the text;
`default`: that gradient refined by text ablations; `auto`: `leave_one_out` where a proxy stands in for the target,
because its gradient foretells the target's gain less well, else `gradient`."""
Score = Literal["gain", "effect", "alignment", "redundancy", "stability"]
GRADIENT = 3.0
"""Full-prompt forward equivalents of one forward and one backward pass."""


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
    def predicted_passes(self) -> float:
        """One pass without a target, the gain, one gradient for the alignment and one for each perturbation.

        A list of candidates that names no target may lack the item really chosen, for which a proxy then stands in.
        """
        demos = self.case.demo_count
        if demos == 0:
            return 1.0
        deletion = 1 + demos / 2
        may_be_proxy = self.proxy or (self.case.candidate_ids is not None and self.target is None)
        gain = {
            "auto": max(deletion, GRADIENT) if may_be_proxy else GRADIENT,
            "gradient": GRADIENT,
            "leave_one_out": deletion,
            "default": max(self.budget, GRADIENT),
        }[self.gain_method]
        return 1.0 + gain + GRADIENT * (1 + self.stability)

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
    """Contribution to the target score, in nats."""
    gain_low: float | None = None
    """Lower end of the 90 % interval, where text ablations were made."""
    gain_high: float | None = None
    effect: float | None = None
    """ln |dW_k|^2, summed over layers and heads before the logarithm."""
    alignment: float | None = None
    """Cosine of dW_k phi(q) and the gradient of the target score at the attention output."""
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

    score: Score
    unit: str
    needs_target: bool
    passes: float | None = None
    """Full-prompt forward equivalents; null where the score was not measured."""
    seconds: float | None = None
    shared_with: Score | None = None
    """The score that came out of the same pass, which is counted once in the report."""


COSTS = (
    ScoreCost(score="gain", unit="nats", needs_target=True),
    ScoreCost(score="effect", unit="ln of energy", needs_target=False),
    ScoreCost(score="alignment", unit="cosine", needs_target=True),
    ScoreCost(score="redundancy", unit="cosine", needs_target=False, shared_with="effect"),
    ScoreCost(score="stability", unit="share", needs_target=True),
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
    costs: tuple[ScoreCost, ...] = COSTS

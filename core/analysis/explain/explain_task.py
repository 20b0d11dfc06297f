"""The question what each demonstration contributes to a score, and what its answer costs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from core.analysis.explain.methods import METHODS, TEXT_PASS, Method
from core.question.case_spec import at_defaults
from core.question.targets import Explained
from core.question.task import TargetTask


class Explain(TargetTask):
    """What does each demonstration of this case do to its target, against the other candidates?"""

    explain: Explained | None = None
    """What of the target: field (its margin over the mean of the other candidates), score, lift (the mean of the
    others) or pair [default: pair where a second candidate is named, else field]."""

    method: Method = "default"
    """How contributions are computed."""
    budget: Annotated[float, Field(gt=0, le=1000)] = 14.0
    """Most full passes of a refined or sampled method; one scores the whole prompt once."""
    precision: Annotated[float, Field(ge=0)] = 0.0
    """Stop once every 90 % interval is narrower than this many nats; 0 uses the budget."""
    removals: Annotated[int, Field(ge=0, le=64)] = 3
    """Demonstrations whose removal alone is measured, those that move the place most first."""
    faithfulness: Annotated[int, Field(ge=0, le=256)] = 0
    """Text ablations to measure faithfulness on, beyond those the method made."""

    @property
    def explained(self) -> Explained:
        """What of the target is explained."""
        return self.explain or ("field" if self.against is None else "pair")

    @model_validator(mode="after")
    def _pair_of_two(self) -> Explain:
        if self.explain == "pair" and self.against is None:
            raise ValueError("explain=pair needs a second candidate: name it as against")
        return self

    @property
    def variant(self) -> str:
        """The method."""
        return self.method

    @property
    def predicted_passes(self) -> float:
        """Scores with and without demonstrations and the candidates' own tokens; the method (its budget where it
        refines or samples); one shorter prompt for every removal that is measured, and one for every text ablation of
        the faithfulness.
        """
        demos, candidates = self.case.demo_count, self.case.candidate_count
        scores = 1.0 + TEXT_PASS + 0.02 * candidates
        if demos == 0:
            return scores
        method = METHODS[self.method].passes(demos, self.budget)
        prompts = min(self.removals, demos) if "removals" in METHODS[self.method].settings else 0
        return scores + method + prompts * (TEXT_PASS + 0.02 * candidates) + TEXT_PASS * self.faithfulness

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that the method does not read at their defaults."""
        read = METHODS[self.method].settings
        without_effect = [name for name in ("budget", "precision", "removals") if name not in read]
        without_effect += [] if self.explained == "pair" else ["against"]
        return at_defaults(self, without_effect) | {"case": self.case.effective(), "explain": self.explained}

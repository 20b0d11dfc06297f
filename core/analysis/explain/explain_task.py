"""The question what each demonstration contributes to a score, and what its answer costs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from core.analysis.explain.methods import METHODS, TEXT_PASS, Method
from core.question.case_spec import at_defaults
from core.question.task import TargetTask


class Explain(TargetTask):
    """What does each demonstration of this case contribute to the score of its target?"""

    method: Method = "default"
    """How contributions are computed."""
    budget: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Most full passes of a refined or sampled method; one scores the whole prompt once."""
    precision: Annotated[float, Field(ge=0)] = 0.0
    """Stop once every 90 % interval is narrower than this many nats; 0 uses the budget."""
    matrix: bool = True
    """Whether the demonstrations x candidates matrix is computed too."""
    faithfulness: Annotated[int, Field(ge=0, le=256)] = 0
    """Text ablations to measure faithfulness on, beyond those the method made."""

    @property
    def variant(self) -> str:
        """The method."""
        return self.method

    @property
    def predicted_passes(self) -> float:
        """Scores with and without demonstrations and the candidates' own tokens; the method (its budget where it
        refines or samples); one shorter prompt per demonstration for the matrix; one per text ablation of the
        faithfulness.
        """
        demos, candidates = self.case.demo_count, self.case.candidate_count
        scores = 1.0 + TEXT_PASS + 0.02 * candidates
        if demos == 0:
            return scores
        matrix = demos * (TEXT_PASS + 0.02 * candidates) if self.matrix else 0.0
        return scores + METHODS[self.method].passes(demos, self.budget) + matrix + TEXT_PASS * self.faithfulness

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that the method does not read at their defaults."""
        without_effect = [name for name in ("budget", "precision") if name not in METHODS[self.method].settings]
        return at_defaults(self, without_effect) | {"case": self.case.effective()}

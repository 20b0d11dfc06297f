"""The question what each demonstration contributes to a score, and what its answer costs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from core.analysis.explain.methods import METHODS, TEXT_PASS, Method
from core.question.case_spec import Text, at_defaults
from core.question.flip_goals import FLIP_GOALS, FlipGoal
from core.question.targets import Explained
from core.question.task import TargetTask

FLIPS_USED = 0.5
"""Share of the allowed prompts that the search for a flip set needs on average, on whole games."""
OF_METHODS = ("budget", "precision", "removals", "without", "flips", "flip", "rival")
"""Choices that only some methods read."""
DemoLabel = Annotated[str, StringConstraints(pattern="^[Dd]?[1-9][0-9]{0,2}$")]


def _in_prompt_order(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Each label once, as the prompt writes it."""
    return tuple(f"D{number}" for number in sorted({int(label.lstrip("Dd")) for label in labels}))


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
    without: Annotated[tuple[DemoLabel, ...], Field(max_length=32), AfterValidator(_in_prompt_order)] = ()
    """A demonstration whose removal alone is measured besides: its label, such as D5; commas or repeats."""
    flips: Annotated[int, Field(ge=0, le=64)] = 8
    """Most prompts that verify which smallest set of demonstrations, taken out, changes the target's place."""
    rival: Text | None = None
    """Item id of the candidate that flip=rival is about."""
    flip: FlipGoal = "empty"
    """Which place: the one without demonstrations (empty), first place (first), or past a rival (rival); a link reads
    it behind the rival that it needs."""
    history_removals: bool = False
    """Whether the list is measured without each interaction of the history that stands in the query."""
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

    @model_validator(mode="after")
    def _rival_of_the_target(self) -> Explain:
        if FLIP_GOALS[self.flip].needs_rival and self.rival is None:
            raise ValueError(f"flip={self.flip} needs a second candidate: name it as rival")
        if self.rival is not None and self.rival == self.target:
            raise ValueError("rival must differ from target")
        return self

    @property
    def without_demos(self) -> tuple[int, ...]:
        """The demonstrations of `without`, from 0 in prompt order; the prompt may hold fewer."""
        return tuple(int(label[1:]) - 1 for label in self.without)

    @property
    def variant(self) -> str:
        """The method."""
        return self.method

    @property
    def predicted_passes(self) -> float:
        """Scores with and without demonstrations and the candidates' own tokens; the method (its budget where it
        refines or samples); one shorter prompt for every removal and every set that is verified, and one for every text
        ablation of the faithfulness. Without one interaction of the history only the query and the candidates differ.
        """
        demos, candidates = self.case.demo_count, self.case.candidate_count
        scores = 1.0 + TEXT_PASS + 0.02 * candidates
        histories = (1.0 + self.case.history * (0.1 + 0.02 * candidates)) * self.history_removals
        if demos == 0:
            return scores + histories
        method = METHODS[self.method].passes(demos, self.budget)
        prompts = self._verifying_prompts * (TEXT_PASS + 0.02 * candidates)
        return scores + method + prompts + TEXT_PASS * self.faithfulness + histories

    @property
    def _verifying_prompts(self) -> float:
        """Prompts beyond the method's own: single removals, and sets that may change the place."""
        read, demos = METHODS[self.method].settings, self.case.demo_count
        removals = min(self.removals + len(self.without), demos) if "removals" in read else 0
        return removals + FLIPS_USED * (min(self.flips, 2**demos - 2) if "flips" in read else 0)

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that the method does not read at their defaults."""
        read = METHODS[self.method].settings
        without_effect = [name for name in OF_METHODS if name not in read]
        if not (self.flips and FLIP_GOALS[self.flip].needs_rival and "rival" in read):
            without_effect += ["rival"]
        if not self.flips:
            without_effect += ["flip"]
        without_effect += [] if self.explained == "pair" else ["against"]
        return at_defaults(self, without_effect) | {"case": self.case.effective(), "explain": self.explained}

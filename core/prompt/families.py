"""The prompt families: what a prompt asks the model, and how its answer becomes a score. A new family is a row here.

Its templates are `assets/prompts/<name>.txt`, one for each other wording, and `<name>_codes.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["yes_no", "next_item"]
ANSWERS = ("Yes", "No")
"""What a labelled demonstration says of a liked and of a disliked item."""


@dataclass(frozen=True)
class PromptFamily:
    """One family."""

    name: Family
    words: str
    """For the screen."""
    labelled: bool
    """Whether demonstrations say Yes or No; without labels only liked interactions are shown and asked for."""
    scores: Literal["answer", "title"]
    """Whose likelihood is a candidate's score: of Yes against No behind it, or of its title as the next words."""
    candidate_size: float
    """Tokens of a candidate over those of a demonstration, on MovieLens-100K prompts with 5 titles a history."""

    def answer(self, liked: bool) -> str | None:
        """What a demonstration says of its item; None without labels."""
        return ANSWERS[0 if liked else 1] if self.labelled else None

    @property
    def has_scorings(self) -> bool:
        """Whether the ways to score a title (sum, mean, calibrated) apply."""
        return self.scores == "title"

    def calibrates(self, scoring: str) -> bool:
        """Whether `scoring` takes a candidate's score without history from its score."""
        return self.has_scorings and scoring == "calibrated"


FAMILIES: dict[Family, PromptFamily] = {
    family.name: family
    for family in (
        PromptFamily("yes_no", "Yes or No for one item (RecICL)", labelled=True, scores="answer", candidate_size=0.3),
        PromptFamily(
            "next_item", "Likelihood of the next title (LRGD)", labelled=False, scores="title", candidate_size=0.1
        ),
    )
}

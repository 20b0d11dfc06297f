"""How the dual model is changed when recommending: weight decay, negative samples, noise, gate dropout."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.question.checked import checked

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class InferenceSettings(BaseModel):
    """One way of recommending; the defaults are the plain model (design note, section 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: ShareBelowOne = 0.0
    """Weight decay of the dual model: W0 is multiplied by 1 - alpha."""
    beta: Share = 0.0
    """Negative samples: this share of the other demonstrations' mean value is taken from each value."""
    sigma: Share = 0.0
    """Gaussian noise on the demonstrations' keys and values, relative to each token's own size."""
    dropout: ShareBelowOne = 0.0
    """Probability that a demonstration's gate is 0 in a sample; the kept ones have the gate 1 / (1 - dropout)."""
    samples: Annotated[int, Field(ge=1, le=64)] = 8
    """Changed dual models to average over; one is enough, and used, when neither noise nor dropout is asked for."""

    @property
    def plain(self) -> bool:
        """Whether this is the untouched model."""
        return not (self.alpha or self.beta or self.random)

    @property
    def random(self) -> bool:
        """Whether samples differ from one another."""
        return bool(self.sigma or self.dropout)

    @property
    def draws(self) -> int:
        """Changed dual models that are really run."""
        return self.samples if self.random else 1

    @property
    def name(self) -> str:
        """A short label: `plain`, `decay 0.1`, `noise 0.2 · dropout 0.25 (8 samples)`."""
        shares = {"decay": self.alpha, "negatives": self.beta, "noise": self.sigma, "dropout": self.dropout}
        parts = [f"{word} {value:g}" for word, value in shares.items() if value]
        if not parts:
            return "plain"
        return " · ".join(parts) + (f" ({self.draws} samples)" if self.random else "")

    def acting_on(self, demos: int) -> InferenceSettings:
        """What is left of these settings with `demos` demonstrations: negatives need two, noise and dropout one."""
        if demos == 0:
            return self.model_copy(update={"beta": 0.0, "sigma": 0.0, "dropout": 0.0})
        return self.model_copy(update={"beta": 0.0}) if demos == 1 else self

    def notices(self, demos: int) -> tuple[str, ...]:
        """What a reader must know when these settings meet `demos` demonstrations; one sentence each."""
        sentences = []
        if demos == 0 and (self.beta or self.random):
            sentences.append("Without demonstrations, negative samples, noise and gate dropout change nothing.")
        if demos == 1 and self.beta:
            sentences.append("With one demonstration there are no negative samples: beta changes nothing.")
        if demos and self.random and self.samples == 1:
            sentences.append("One sample has no spread: the scores are those of a single changed model.")
        return tuple(sentences)


PLAIN = InferenceSettings()
GRID = (
    PLAIN,
    *(InferenceSettings(alpha=alpha) for alpha in (0.02, 0.05, 0.1)),
    *(InferenceSettings(beta=beta) for beta in (0.1, 0.25, 0.5)),
    *(InferenceSettings(sigma=sigma) for sigma in (0.05, 0.1, 0.25)),
    *(InferenceSettings(dropout=dropout) for dropout in (0.125, 0.25, 0.5)),
)
"""Settings to choose from on other cases, the plain model first: each kind of change alone, at three strengths."""


def checked_settings(where: str = "inference", /, **choices: object) -> InferenceSettings:
    """Settings from untrusted choices.

    Raises `RequestError` with one sentence naming the option, what was found and what was expected.
    """
    return checked(InferenceSettings, where, choices)

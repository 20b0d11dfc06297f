"""The choices of an evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.question.case_spec import NO_ADAPTER, Text

PER_LIST = 5
"""Test interactions for every list that is ranked, unless `lists` says otherwise: 200 lists for 1,000."""
HISTORY = 3
"""Titles in each history where neither the choices nor an adapter's card says how many."""


class EvaluationSettings(BaseModel):
    """Every choice of an evaluation on a time split."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dataset: Text = "sample"
    """`sample`, the name of a data set that was added with `demolens data add`, or a folder with its files."""
    model: Text = "sample"
    """`sample`, a model folder, a `.gguf` file, or a hub name."""
    recicl: Text | None = None
    """The adapter that was tuned on demonstrations, a shipped name or a folder; if not given, the shipped one, where
    it fits the model. Its card's history is used."""
    tallrec: Text | None = None
    """The adapter that was tuned without demonstrations, in the same way."""
    interactions: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Test interactions that Yes or No is asked about."""
    lists: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Lists that are ranked; if not given, a fifth as many as interactions."""
    candidates: Annotated[int, Field(ge=2, le=1000)] = 20
    """Items in each list, the one really chosen among them."""
    history: Annotated[int, Field(ge=0, le=50)] | None = None
    """Most titles in each history; if not given, as the adapter's card says."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Share of all interactions, in order of time, that lie before the test."""
    references: bool = True
    """Fit item mean, popularity, matrix factorisation and SASRec on what lies before the test, too."""
    strategies: bool = False
    """Compare the strategies of picking demonstrations instead, on as many lists."""
    demos: Annotated[int, Field(ge=1, le=32)] = 8
    """Demonstrations of each strategy, with --strategies."""
    adapter: Annotated[Text | None, AfterValidator(lambda name: None if name == NO_ADAPTER else name)] = None
    """The adapter under which strategies are compared, with --strategies."""
    prior: Annotated[float, Field(ge=0, le=100)] | None = None
    """Weight of log(1 + likes before the moment) in a blend that is reported beside each model alone; if not given,
    the one that is kept for the data and the adapter, or that its card states."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Seed of everything that is drawn."""

    @property
    def ranked(self) -> int:
        """How many lists are ranked."""
        return self.lists or max(1, self.interactions // PER_LIST)

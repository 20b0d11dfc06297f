"""The choices of a comparison of strategies, and of the choice of a data set's default demonstrations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.comparison.arm import COMPARED
from core.data.records import Strategy
from core.prompt.families import Family
from core.question.case_spec import NO_ADAPTER, Text

HISTORY = 5
"""Titles in each history where the choices do not say how many."""


class ListSettings(BaseModel):
    """Which validation lists are ranked, by which model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dataset: Text = "sample"
    """'sample', the name of a data set that was added with 'demolens data add', or a folder with its files."""
    model: Text = "sample"
    """'sample', a model folder, a .gguf file, or a hub name."""
    adapter: Annotated[Text | None, AfterValidator(lambda name: None if name == NO_ADAPTER else name)] = None
    """'recicl' or 'tallrec', shipped for the sample model, the folder of a LoRA adapter, or 'none'."""
    lists: Annotated[int, Field(ge=2, le=1_000_000)] = 200
    """Validation lists that are ranked."""
    candidates: Annotated[int, Field(ge=2, le=1000)] = 20
    """Items in each list, the one really chosen among them."""
    history: Annotated[int, Field(ge=0, le=50)] = HISTORY
    """Most titles in each history."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Share of all interactions, in order of time, that lie before the test; the latest tenth of them validates."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Seed of everything that is drawn."""


class ChoiceSettings(ListSettings):
    """Every choice of a race on validation lists."""

    lists: Annotated[int, Field(ge=2, le=1_000_000)] = 60
    """Validation lists that are ranked."""
    families: tuple[Family, ...] = ("next_item", "yes_no")
    """The prompt families that take part."""
    strategies: tuple[Strategy, ...] = COMPARED
    """The strategies that take part."""
    numbers: tuple[Annotated[int, Field(ge=1, le=32)], ...] = (1, 2, 4, 8, 16, 32)
    """The numbers of demonstrations that the best strategies are tried with; none is always tried."""

"""The choices of the fit of popularity's weight."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.comparison.arm import Arm
from core.comparison.comparison_settings import HISTORY
from core.comparison.kept_choice import Choice
from core.data.records import Order, Strategy
from core.prompt.families import Family
from core.question.case_spec import NO_ADAPTER, CaseSpec, Scoring, Text


class BlendSettings(BaseModel):
    """Every choice of a fit; where nothing is said of demonstrations, it is about those that are kept as default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dataset: Text = "sample"
    """'sample', the name of a data set that was added with 'demolens data add', or a folder with its files."""
    model: Text = "sample"
    """'sample', a model folder, a .gguf file, or a hub name."""
    adapter: Annotated[Text | None, AfterValidator(lambda name: None if name == NO_ADAPTER else name)] = None
    """'recicl' or 'tallrec', shipped for the sample model, the folder of a LoRA adapter, or 'none'."""
    family: Family | None = None
    """The prompt family; if not given, as kept for the data, model and adapter, as all of demonstrations."""
    strategy: Strategy | None = None
    """How demonstrations are picked."""
    demos: Annotated[int, Field(ge=0, le=32)] | None = None
    """How many demonstrations."""
    order: Order | None = None
    """Whether the nearest demonstration stands next to the query, or first."""
    each: Annotated[int, Field(ge=1, le=8)] | None = None
    """Most demonstrations of one neighbour."""
    scoring: Scoring | None = None
    """How a title's tokens become one score (next_item only)."""
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

    def arm(self, kept: Choice | None) -> tuple[Arm, Scoring]:
        """The demonstrations and the scoring that the fit is about: what is named here, else what is kept."""
        usual = CaseSpec()
        source = usual if kept is None else kept
        names = ("family", "strategy", "demos", "order", "each")
        values = {name: getattr(source, name) if getattr(self, name) is None else getattr(self, name) for name in names}
        arm = Arm(adapter=self.adapter, **values)
        scoring = self.scoring or (source.scoring if arm.family == source.family else usual.scoring)
        return (arm.bare if arm.demos == 0 else arm), scoring if scoring in arm.scorings else "sum"

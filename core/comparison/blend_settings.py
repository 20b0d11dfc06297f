"""The choices of the fit of popularity's weight."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.comparison.arm import Arm
from core.comparison.comparison_settings import ListSettings
from core.comparison.kept_choice import Choice
from core.data.records import Order, Strategy
from core.prompt.families import Family
from core.question.case_spec import CaseSpec, Scoring


class BlendSettings(ListSettings):
    """Every choice of a fit; where nothing is said of demonstrations, it is about those that are kept as default."""

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

    def arm(self, kept: Choice | None) -> tuple[Arm, Scoring]:
        """The demonstrations and the scoring that the fit is about: what is named here, else what is kept."""
        usual = CaseSpec()
        source = usual if kept is None else kept
        names = ("family", "strategy", "demos", "order", "each")
        values = {name: getattr(source, name) if getattr(self, name) is None else getattr(self, name) for name in names}
        arm = Arm(adapter=self.adapter, **values)
        scoring = self.scoring or (source.scoring if arm.family == source.family else usual.scoring)
        return (arm.bare if arm.demos == 0 else arm), scoring if scoring in arm.scorings else "sum"

"""The choice of default demonstrations that is kept with a data set, for one model and adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from core.comparison.arm import Arm, demonstrations_of
from core.comparison.arm_row import ArmRow, arm_of, winner
from core.comparison.blend_fit import BlendFit
from core.data.strategies import STRATEGIES
from core.errors import MaterialError
from core.question.case_spec import NO_ADAPTER, Scoring
from core.store.home import home_path, room, write_atomically
from core.store.sealed import bytes_of
from core.words import counted, figure

SHIPPED = Path(__file__).parents[2] / "assets" / "choices"
"""The choices for the sample data."""
LONGEST = 2_000_000
"""Most bytes of a file of choices."""


class Choice(Arm):
    """What wins on the validation lists of a data set."""

    scoring: Scoring
    dataset_id: str
    dataset_name: str
    model: str
    """As a case names it."""
    model_id: str
    history: int
    lists: int
    candidates: int
    rows: tuple[ArmRow, ...] = Field(max_length=2_000)
    """All that was measured for it."""
    command: str
    """What repeats it."""
    created: str
    raced: bool = True
    """Whether it won a race on the lists; else it was named for the fit of a blend."""
    blend: BlendFit | None = None
    """The weight of popularity that was fitted for it on validation lists; None where none was."""

    @property
    def prior(self) -> float:
        """The default weight of popularity in the ranking; 0 leaves it out."""
        return 0.0 if self.blend is None else self.blend.weight

    @property
    def sentence(self) -> str:
        """What was chosen and why."""
        return self._demonstrations if self.blend is None else f"{self._demonstrations} {self.blend.sentence}"

    @property
    def _demonstrations(self) -> str:
        if not self.raced:
            words = f" ({STRATEGIES[self.strategy].words})" if self.demos else ""
            return f"Named by a person: {demonstrations_of(self)}{words}, {self.family}."
        best = winner(self.rows)
        where = f"on {counted(self.lists, 'validation list')} of {self.dataset_name}"
        if not self.demos:
            measured = [row for row in self.rows if row.demos and row.lists == self.lists]
            tried = max(measured, key=lambda row: row.ndcg.value or 0.0, default=None)
            gain = "" if tried is None else f"; the best set tried gains {_interval(tried)}"
            return f"On these data no demonstrations help: none are worth their tokens ({where}{gain})."
        words = STRATEGIES[self.strategy].words
        return (
            f"{demonstrations_of(self).capitalize()} ({words}), {self.family}: NDCG@10 {figure(best.ndcg.value, 3)} for"
            f" {best.tokens:.0f} tokens, {_interval(best)} over none {where}; the fewest tokens within one standard"
            " error of the best."
        )


def choice_of(rows: Sequence[ArmRow], **facts: object) -> Choice:
    """The choice that these rows lead to."""
    best = winner(rows)
    chosen = best.model_dump(include={*Arm.model_fields, "scoring"})
    return Choice.model_validate({**chosen, **facts, "lists": best.lists, "rows": tuple(rows)})


def with_fitted_blend(choice: Choice, kept: Choice | None) -> Choice:
    """A new choice with the weight of popularity that was fitted for the one that is kept, where it is about the same
    demonstrations, asked and scored in the same way."""
    same = kept is not None and (arm_of(kept), kept.scoring) == (arm_of(choice), choice.scoring)
    return choice.model_copy(update={"blend": kept.blend}) if kept is not None and same else choice


def kept_choice(dataset_id: str, model: str, adapter: str | None) -> Choice | None:
    """The choice for these data, model and adapter as a case names them: from the home, else shipped; or None."""
    name = _name(dataset_id)
    for path in (home_path() / "choices" / name, SHIPPED / name):
        choice = _read(path).get(_key(model, adapter))
        if choice is not None:
            return choice
    return None


def keep_choice(choice: Choice) -> None:
    """Put a choice beside those for other models in the home. Raises `MaterialError`."""
    write_choice(choice, room("choices"))


def write_choice(choice: Choice, folder: Path) -> None:
    """Put a choice beside those for other models in a folder. Raises `MaterialError` when it cannot be written."""
    path = folder / _name(choice.dataset_id)
    choices = _read(path) | {_key(choice.model, choice.adapter): choice}
    content = {key: each.model_dump(mode="json") for key, each in sorted(choices.items())}
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def _read(path: Path) -> dict[str, Choice]:
    """The choices in a file by model and adapter; none where the file is missing, damaged or of another version."""
    try:
        if path.stat().st_size > LONGEST:
            return {}
        content = json.loads(bytes_of(path))
        return {str(key): Choice.model_validate(each) for key, each in content.items()}
    except (OSError, MaterialError, ValueError, ValidationError, AttributeError, RecursionError):
        return {}


def _name(dataset_id: str) -> str:
    return f"{dataset_id}.json"


def _key(model: str, adapter: str | None) -> str:
    return f"{model}, {adapter or NO_ADAPTER}"


def _interval(row: ArmRow) -> str:
    ends = f"{figure(row.gain.low, 3)} to {figure(row.gain.high, 3)}"
    return f"{figure(row.gain.value, 3)} ({ends})"

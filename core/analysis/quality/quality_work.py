"""One prompt whose demonstrations are scored, and the prompt and target that they are scored with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from core.analysis.explain.faithfulness import number
from core.analysis.ledger import Ledger
from core.analysis.noise import measured_floor
from core.analysis.noise_floor import NoiseFloor
from core.analysis.quality.quality_task import QualityTask
from core.analysis.quality.scores import Gain, gain
from core.analysis.robustness.variant import prompt_demos
from core.analysis.setting import Setting
from core.analysis.values import Array, TargetScore
from core.errors import RequestError
from core.lm.server.tree_scores import SCORES_ONLY
from core.question.targets import Explained

Columns = dict[str, Sequence[object]]
"""Values by demonstration for fields of `QualityRow`."""


@dataclass(frozen=True)
class Measured:
    """What one function of a score gives, for the demonstrations it is about."""

    columns: Columns
    passes: float | None = None
    seconds: float | None = None
    notices: tuple[str, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    """Fields of the report besides its rows."""


class QualityWork:
    """The settings and the target score of one quality task."""

    def __init__(self, task: QualityTask, ledger: Ledger, setting: Setting) -> None:
        self.task, self.ledger, self.setting = task, ledger, setting
        self.labels = [row.label for row in setting.demo_rows()]
        self.noise: NoiseFloor | None = None
        """Of a server, once there is a score."""

    @cached_property
    def target_setting(self) -> Setting | None:
        """See `scored_setting`."""
        return scored_setting(self.setting, proxy=self.task.proxy)

    @property
    def scored(self) -> Setting:
        """The setting with the target, where there is one."""
        assert self.target_setting is not None
        return self.target_setting

    @property
    def proxy(self) -> bool:
        """Whether the target is a proxy."""
        return self.scored is not self.setting

    @property
    def places(self) -> tuple[int, ...]:
        """Places, in the prompt, of the demonstrations that stand in the prompt with the target too."""
        return self.scored.prompt.kept_demos if self.proxy else tuple(range(len(self.setting.prompt.demos)))

    @cached_property
    def score(self) -> TargetScore:
        """The target's margin over the field, or over its pair's other candidate; it knows its noise."""
        scored = self.scored
        score = TargetScore(self.ledger.scorer(scored.prompt), *scored.targets, explain=scored.explain)
        self.noise = measured_floor(self.ledger, scored, score.weights)
        score.noise = 0.0 if self.noise is None else self.noise.floor
        return score

    @cached_property
    def gain(self) -> Gain:
        """The contributions of the demonstrations to it."""
        served = self.setting.model.server is not None
        if served and self.task.gain_method == "gradient":
            expected = "auto, leave_one_out or default"
            raise RequestError(f"gain by a gradient: {SCORES_ONLY}", expected=expected, where="gain_method")
        by_deletion = self.proxy or served
        method = "leave_one_out" if by_deletion and self.task.gain_method == "auto" else self.task.gain_method
        return gain(self.score, method=method, budget=self.task.budget, seed=self.setting.case.seed)


def numbers(values: Array) -> list[float | None]:
    """The values as JSON has them."""
    return [number(value) for value in values]


def scored_setting(setting: Setting, *, proxy: bool = False) -> Setting | None:
    """The setting whose target score says how good a demonstration is; None where there is no proxy.

    It is `setting` itself where its target is known. Where the target is no candidate and nobody named another, or
    where a `proxy` is asked for, the target is the latest item of the history that the user liked and that no
    demonstration shows; it is held out of the query's history. Choices that a demonstration shows are left alone,
    because a prompt that holds the answer only needs to copy it. A finished prompt has no proxy: its options stand.
    """
    case = setting.case
    if case.logged is not None:
        return setting if setting.target is not None or case.target is not None else None
    if not proxy and (setting.target is not None or case.target in case.candidates):
        return setting
    demos = prompt_demos(setting)
    in_demos = {item for demo in demos for item in (demo.item_id, *demo.history)}
    liked = [row.item_id for row in case.history if setting.dataset.liked(row) and row.item_id not in in_demos]
    if not liked:
        return None
    item = liked[-1]
    others = tuple(other for other in case.candidates if other not in (item, case.target))
    held = replace(
        case,
        history=tuple(row for row in case.history if row.item_id != item),
        candidates=(item, *others),
        target=item,
    )
    explain: Explained = "field" if setting.explain == "pair" else setting.explain
    prompt = setting.write(held, demos)
    return replace(setting, case=held, demos=demos, prompt=prompt, target=None, against=None, explain=explain)

"""Does a recommendation stand when its case is changed? Kind after kind, one prefix-sharing sweep each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.analysis.robustness.inference import recommend
from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.robustness.kinds import NAMES
from core.analysis.robustness.perturb import Variant, prompt_of_variant, reason_against, variants
from core.analysis.robustness.robustness_task import (
    LeftOut,
    Mode,
    ModeRow,
    Part,
    RankLine,
    RobustnessReport,
    RobustnessTask,
    SmallestFlip,
    VariantRow,
    Weakest,
)
from core.analysis.robustness.sweep import Departures, departures, estimate, gains, rows_of, smallest_flip, weakest
from core.analysis.setting import Setting, command_line, prompt_of, set_up, tie_notices
from core.analysis.subject import targets_for
from core.analysis.task import Progress
from core.analysis.values import Array
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import ManyScorer, separate_tokens
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Aggregate, Cost
from core.metrics.ranking import best_first, ranks
from core.prompt.spans import Prompt

FLOW = 20
"""Most candidates in the rank flow."""


def robustness(
    task: RobustnessTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = lambda _label, _fraction: None,
) -> Iterator[RobustnessReport]:
    """Reports of one case, one kind of perturbation more in each; the last has stage `complete`.

    Each kind's variants are scored in one sweep behind the original prompt, whose prefix is run once. Raises
    `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    start = time.monotonic()
    setting = set_up(task.case, dataset, model)
    work = _Work(setting, task.inference, progress, task.predicted_passes)
    found = work.begun()
    parts = task.parts(len(setting.prompt.demos))
    reasons = {part.kind: reason_against(setting, part.kind) for part in parts}
    left_out = tuple(LeftOut(kind=kind, reason=reason) for kind, reason in reasons.items() if reason is not None)
    for part in parts:
        if reasons[part.kind] is None:
            found = work.joined(found, part)
            yield _report(task, work, found, left_out, time.monotonic() - start)
    done = _report(task, work, found, left_out, time.monotonic() - start)
    yield done.model_copy(update={"stage": "complete"})


@dataclass(frozen=True)
class _Scored:
    """Variants so far, and the scores of each mode before, [candidate], and after, [variant, candidate]."""

    variants: tuple[Variant, ...]
    base: dict[Mode, Array]
    scores: dict[Mode, Array]
    spread: Array | None = None
    """Standard deviation of the changed models' scores before, [candidate]."""


@dataclass
class _Work:
    """Runs the model for one task and counts what that costs."""

    setting: Setting
    inference: InferenceSettings | None
    progress: Progress
    planned: float
    label: str = "scoring the candidates"
    changed: Cost = field(default_factory=Cost)
    """What recommending under changed dual models cost."""
    separate: int = 0
    longest: int = 0

    def __post_init__(self) -> None:
        self.aggregate: Aggregate = "mean" if self.setting.request.scoring == "mean" else "sum"
        self.scorer = ManyScorer(self.setting.model, aggregate=self.aggregate, between=self._tell)
        self.free: Array | float = 0.0

    @property
    def passes(self) -> float:
        """Full-prompt forward equivalents so far."""
        return (self.scorer.cost.tokens + self.changed.tokens) / self.setting.prompt.length

    def begun(self) -> _Scored:
        """The case as it is."""
        prompt = self.setting.prompt
        scores = self.scorer.remember(prompt)
        self._count([prompt])
        self.free = self._content_free()
        base: dict[Mode, Array] = {"plain": scores - self.free}
        spread = None
        if self.inference is not None:
            base["changed"], spread = self._under(prompt, self.inference)
        return _Scored((), base, {mode: np.empty((0, len(scores))) for mode in base}, spread)

    def joined(self, found: _Scored, part: Part) -> _Scored:
        """The scores with those of one more kind."""
        self.label = NAMES[part.kind]
        made = variants(self.setting, kinds=[part.kind], strengths=part.strengths, repeats=part.repeats)
        prompts = [prompt_of_variant(self.setting, one) for one in made]
        more: dict[Mode, Array] = {"plain": self.scorer.scores(prompts) - self.free}
        self._count(prompts)
        if self.inference is not None:
            more["changed"] = np.array([self._under(prompt, self.inference)[0] for prompt in prompts])
        scores = {mode: np.concatenate([found.scores[mode], rows]) for mode, rows in more.items()}
        return replace(found, variants=(*found.variants, *made), scores=scores)

    def _under(self, prompt: Prompt, settings: InferenceSettings) -> tuple[Array, Array]:
        """Scores under changed dual models, the same ones for every prompt, and their spread; both [candidate]."""
        scorer = Scorer(self.setting.model, prompt, aggregate=self.aggregate, between=self._tell)
        found = recommend(scorer, settings, self.setting.case.seed)
        self.changed.tokens += scorer.cost.tokens
        self.changed.forwards += scorer.cost.forwards
        return found.scores - self.free, found.spread

    def _content_free(self) -> Array | float:
        """Scores [candidate] under a prompt that knows nothing of the user, for calibrated scoring; else 0."""
        request, setting = self.setting.request, self.setting
        if request.scoring != "calibrated" or request.family != "next_item":
            return 0.0
        empty = request.model_copy(update={"history": 0})
        prompt = prompt_of(empty, setting.dataset, setting.model, setting.case, (), setting.items)
        self._count([prompt])
        free: Array = self.scorer.scores([prompt])[0]
        return free

    def _count(self, prompts: Sequence[Prompt]) -> None:
        self.separate += separate_tokens(prompts)
        self.longest = max([self.longest, *(prompt.length for prompt in prompts)])

    def _tell(self) -> None:
        self.progress(self.label, min(self.passes / self.planned, 0.99))


@dataclass(frozen=True)
class _Places:
    """Which candidates are looked at, by index; None where there is none."""

    chosen: int | None
    """The item really chosen next."""
    target: int | None
    """What the target score is of, and what it is held against."""
    against: int | None


def _places(setting: Setting) -> _Places:
    target, against = targets_for(setting.request, setting.case)
    known = setting.case.target in setting.case.candidates
    chosen = setting.case.candidates.index(str(setting.case.target)) if known else None
    wanted = known or setting.request.target is not None
    return _Places(chosen, target if wanted else None, against if wanted else None)


def _report(
    task: RobustnessTask, work: _Work, found: _Scored, left_out: tuple[LeftOut, ...], seconds: float
) -> RobustnessReport:
    setting, places = work.setting, _places(work.setting)
    seed = (setting.case.user_id, setting.case.seed)
    apart = {
        mode: departures(found.base[mode], rows, chosen=places.chosen, target=places.target, against=places.against)
        for mode, rows in found.scores.items()
    }
    cells = [(one.kind, one.strength) for one in found.variants]
    lines = _lines(setting, found)
    head, ties = setting.head(command_line(task, "robustness")), tie_notices(found.base["plain"])
    report = RobustnessReport.model_validate(head | {"tokens": work.longest})
    return report.model_copy(
        update={
            "target": report.target if places.target is not None else None,
            "notices": tuple(dict.fromkeys([*report.notices, *ties, *_notices(setting, places, work)])),
            "lines": lines,
            "rows": tuple(row for mode, one in apart.items() for row in rows_of(cells, one, seed=seed, mode=mode)),
            "modes": tuple(_mode(mode, work, found, apart[mode], places, seed) for mode in apart),
            "variants": _variant_rows(setting, found, apart["plain"], lines),
            "weakest": _weakest(found.variants, apart["plain"]),
            "smallest": _smallest(setting, found, apart["plain"]),
            "left_out": left_out,
            "sweep_tokens": work.scorer.cost.tokens,
            "separate_tokens": work.separate,
            "forwards": work.scorer.cost.forwards + work.changed.forwards,
            "passes": work.passes,
            "seconds": seconds,
        },
    )


def _notices(setting: Setting, places: _Places, work: _Work) -> list[str]:
    said = []
    if places.chosen is None:
        known = "NDCG is" if places.target is not None else "NDCG and the target score are"
        said.append(f"The item really chosen next is not among the candidates, so {known} not defined.")
    if setting.prompt.cut:
        said.append("The prompt is cut to fit the model, so a change can also bring back or push out a title.")
    if work.inference is not None:
        said += work.inference.notices(len(setting.prompt.demos))
    return said


def _lines(setting: Setting, found: _Scored) -> tuple[RankLine, ...]:
    """The best candidates; what must be among them stands in place of the last ones where it is not."""
    case, base, changed = setting.case, found.base["plain"], found.base.get("changed")
    before, after = ranks(base), None if changed is None else ranks(changed)
    order = _best_first(setting, base)
    must = [case.candidates.index(str(case.target))] if case.target in case.candidates else []
    must += [] if changed is None else _best_first(setting, changed)[:1]
    shown = list(dict.fromkeys([*must, *order]))[:FLOW]
    return tuple(
        RankLine(
            item_id=case.candidates[index],
            title=setting.items[case.candidates[index]].title,
            is_target=case.candidates[index] == case.target,
            score=float(base[index]),
            rank=before[index],
            changed_score=None if changed is None else float(changed[index]),
            changed_spread=None if found.spread is None else _known(found.spread[index]),
            changed_rank=None if after is None else after[index],
        )
        for index in order
        if index in shown
    )


def _best_first(setting: Setting, scores: Array) -> list[int]:
    return best_first(ranks(scores), [setting.items[item] for item in setting.case.candidates])


def _variant_rows(
    setting: Setting, found: _Scored, apart: Departures, lines: tuple[RankLine, ...]
) -> tuple[VariantRow, ...]:
    shown = [setting.case.candidates.index(line.item_id) for line in lines]
    after = [ranks(row) for row in found.scores["plain"]]
    return tuple(
        VariantRow(
            kind=one.kind,
            strength=one.strength,
            repeat=one.repeat,
            words=one.words,
            touched=one.touched,
            ranks=tuple(after[v][index] for index in shown),
            top=setting.case.candidates[_best_first(setting, found.scores["plain"][v])[0]],
            flips=bool(apart.flips[v]),
            tau=_known(apart.tau[v]),
            overlap=_known(apart.overlap[v]),
            ndcg=_known(apart.ndcg[v]),
            score=_known(apart.score[v]),
        )
        for v, one in enumerate(found.variants)
    )


def _mode(mode: Mode, work: _Work, found: _Scored, apart: Departures, places: _Places, seed: object) -> ModeRow:
    before = None if places.chosen is None else float(gains(found.base[mode][None], places.chosen)[0])
    after = np.empty(0) if places.chosen is None else gains(found.scores[mode], places.chosen)
    return ModeRow(
        mode=mode,
        name="plain" if mode == "plain" or work.inference is None else work.inference.name,
        variants=len(found.variants),
        flips=estimate(apart.flips.astype(np.float64), seed=(seed, mode, "all flips")),
        tau=estimate(apart.tau, seed=(seed, mode, "all tau")),
        ndcg_before=before,
        ndcg=estimate(after, seed=(seed, mode, "all ndcg")),
    )


def _smallest(setting: Setting, found: _Scored, apart: Departures) -> SmallestFlip | None:
    variant = smallest_flip(np.array([one.strength for one in found.variants]), apart)
    if variant is None:
        return None
    one = found.variants[variant]
    top = setting.case.candidates[_best_first(setting, found.scores["plain"][variant])[0]]
    title = setting.items[top].title
    return SmallestFlip(kind=one.kind, strength=one.strength, words=one.words, top=top, title=title)


def _weakest(made: Sequence[Variant], apart: Departures) -> Weakest | None:
    one = weakest([variant.touched for variant in made], apart)
    if one is None:
        return None
    return Weakest(
        place=one.place,
        label=f"D{one.place + 1}",
        flips_with=None if one.flip is None else len(made[one.flip].touched),
        kind=None if one.flip is None else made[one.flip].kind,
        change=_known(one.change),
        variants=one.variants,
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

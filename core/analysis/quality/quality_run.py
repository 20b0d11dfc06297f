"""Quality of a prompt's demonstrations: scores without a target first, then gain and alignment, then stability."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.analysis.explain.faithfulness import number
from core.analysis.explain.gradient import gradient_at
from core.analysis.quality.quality_task import QualityReport, QualityRow, QualityTask, Score, ScoreCost
from core.analysis.quality.scores import Alignment, Gain, LabelFree, alignment, gain, label_free, redundancy, stability
from core.analysis.robustness.perturb import Variant, prompt_of_variant, shown_demos, variants
from core.analysis.setting import Setting, command_line, prompt_of, set_up
from core.analysis.subject import targets_for
from core.analysis.task import Progress
from core.analysis.values import Array, Spent, TargetScore
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Aggregate
from core.prompt.spans import Prompt

NO_DEMONSTRATIONS = "There are no demonstrations in the prompt, so there is no quality to measure."
ALONE = "Redundancy needs two demonstrations; with one it is not defined."
NO_PROXY = (
    "No earlier choice that this user liked stands outside the demonstrations, so there is no proxy for the target:"
    " gain, alignment and stability are not measured."
)
NO_PERTURBATION = "No perturbation applies to this prompt, so stability is not measured."
CAPPED = "This model caps its attention logits; effect and redundancy use the kernel without the cap."


def quality(
    task: QualityTask,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = lambda _label, _fraction: None,
) -> Iterator[QualityReport]:
    """Reports on one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    setting = set_up(task.case, dataset, model)
    work = _Work(task, setting, progress)
    head = setting.head(command_line(task, "quality"))
    report = QualityReport.model_validate({**head, "task": task, "rows": _bare_rows(setting)})
    if not setting.prompt.demos:
        yield work.finished(report, NO_DEMONSTRATIONS)
        return
    work.label = "reading the demonstrations' equivalent gradients"
    report = _with_label_free(work.now(report), label_free(work.scorer(setting.prompt)))
    yield work.now(report)
    held = scored_setting(setting, proxy=task.proxy)
    if held is None:
        yield work.finished(report, NO_PROXY)
        return
    proxy = held is not setting
    report = report.model_copy(update={"scored": held.target_record(), "proxy": proxy})
    score = work.target_score(held, held.prompt)
    work.label = "computing gains"
    method = "leave_one_out" if proxy and task.gain_method == "auto" else task.gain_method
    gained = gain(score, method=method, budget=task.case.budget, seed=setting.case.seed)
    report = _with_gain(report, gained, work.kept(held))
    yield work.now(report)
    work.label = "aligning with the score's gradient"
    report = _with_alignment(report, alignment(score), work.kept(held))
    yield work.now(report)
    if task.stability == 0:
        yield work.finished(report)
        return
    work.label = "perturbing the prompt"
    chosen = chosen_variants(held, task.stability)
    if not chosen:
        yield work.finished(report, NO_PERTURBATION)
        return
    before = work.spent()
    at_once = gradient_at(score, 0.5).values if gained.gradient is None else gained.gradient
    gradients = [_perturbed_gains(work, held, variant) for variant in chosen]
    after = work.spent()
    report = _with_stability(report, stability(at_once, gradients), work.kept(held))
    yield work.finished(_costing(report, {"stability": (after[0] - before[0], after[1] - before[1])}))


def scored_setting(setting: Setting, *, proxy: bool = False) -> Setting | None:
    """The setting whose target score says how good a demonstration is; None where there is no proxy.

    It is `setting` itself where its target is known. Where the target is no candidate and nobody named another, or
    where a `proxy` is asked for, the target is the latest item of the history that the user liked and that no
    demonstration shows; it is held out of the query's history. Choices that a demonstration shows are left alone,
    because a prompt that holds the answer only needs to copy it.
    """
    case, request = setting.case, setting.request
    if not proxy and (request.target is not None or case.target in case.candidates):
        return setting
    demos = shown_demos(setting)
    shown = {item for demo in demos for item in (demo.item_id, *demo.history)}
    free = [one.item_id for one in case.history if setting.dataset.liked(one) and one.item_id not in shown]
    if not free:
        return None
    item = free[-1]
    others = tuple(other for other in case.candidates if other not in (item, case.target))
    held = replace(
        case,
        history=tuple(one for one in case.history if one.item_id != item),
        candidates=(item, *others),
        target=item,
    )
    asked = request.model_copy(update={"target": None, "against": None})
    prompt = prompt_of(asked, setting.dataset, setting.model, held, demos, setting.items)
    return replace(setting, request=asked, case=held, demos=demos, prompt=prompt)


def chosen_variants(setting: Setting, count: int) -> list[Variant]:
    """At most `count` perturbations of a case, taking turns over kinds, then strengths, then repeats."""
    round_ = len(variants(setting, repeats=1))
    if round_ == 0:
        return []
    drawn = variants(setting, repeats=math.ceil(count / round_))
    return sorted(drawn, key=lambda variant: (variant.repeat, variant.strength))[:count]


@dataclass
class _Work:
    """Everything a task has run so far, and how far that is."""

    task: QualityTask
    setting: Setting
    progress: Progress
    label: str = ""
    scorers: list[Scorer] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    def scorer(self, prompt: Prompt) -> Scorer:
        aggregate: Aggregate = "mean" if self.task.case.scoring == "mean" else "sum"
        made = Scorer(self.setting.model, prompt, aggregate=aggregate, between=self.tell)
        self.scorers.append(made)
        return made

    def target_score(self, setting: Setting, prompt: Prompt) -> TargetScore:
        return TargetScore(self.scorer(prompt), *targets_for(setting.request, setting.case))

    def tell(self) -> None:
        self.progress(self.label, min(self.spent()[0] / self.task.predicted_passes, 0.99))

    def spent(self) -> tuple[float, float]:
        """Full-prompt forward equivalents of the case's own prompt, and seconds."""
        tokens = sum(scorer.cost.tokens for scorer in self.scorers)
        return tokens / self.setting.prompt.length, time.monotonic() - self.start

    def kept(self, held: Setting) -> tuple[int, ...]:
        """Places, in the case's own prompt, of the demonstrations that stand in the prompt with the held-out target."""
        return tuple(range(len(held.prompt.demos))) if held is self.setting else held.prompt.kept_demos

    def now(self, report: QualityReport) -> QualityReport:
        passes, seconds = self.spent()
        forwards = sum(scorer.cost.forwards for scorer in self.scorers)
        return report.model_copy(update={"passes": passes, "seconds": seconds, "forwards": forwards})

    def finished(self, report: QualityReport, *notices: str) -> QualityReport:
        said = {"stage": "complete", "notices": (*report.notices, *notices)}
        return self.now(report).model_copy(update=said)


def _bare_rows(setting: Setting) -> tuple[QualityRow, ...]:
    return tuple(QualityRow(label=row.label, tokens=row.tokens) for row in setting.demo_rows())


def _with_label_free(report: QualityReport, found: LabelFree) -> QualityReport:
    cosines = found.gram.cosines
    largest, nearest = redundancy(cosines)
    rows = tuple(
        row.model_copy(
            update={
                "effect": number(float(found.gram.energy[place])),
                "redundancy": number(float(largest[place])),
                "nearest": None if (other := nearest[place]) is None else report.rows[other].label,
            }
        )
        for place, row in enumerate(report.rows)
    )
    unseen = [
        f"The query's last token sees nothing of {report.rows[k].label} (sliding windows): no effect, no redundancy."
        for k in found.unseen
    ]
    said = [*([ALONE] if len(rows) == 1 else []), *([CAPPED] if found.capped else []), *unseen]
    update: dict[str, object] = {
        "rows": rows,
        "cosines": tuple(tuple(number(float(value)) for value in line) for line in cosines),
        "notices": (*report.notices, *said),
    }
    cost = _cost_of(found.spent)
    return _costing(report.model_copy(update=update), {"effect": cost, "redundancy": cost})


def _with_gain(report: QualityReport, found: Gain, kept: Sequence[int]) -> QualityReport:
    columns: dict[str, Array] = {"gain": found.values}
    if found.low is not None and found.high is not None:
        columns |= {"gain_low": found.low, "gain_high": found.high}
    missing = [row.label for place, row in enumerate(report.rows) if place not in kept]
    said = [f"{label} was cut from the prompt with the proxy target, so it has no gain there." for label in missing]
    report = report.model_copy(update={"notices": (*report.notices, *said)})
    return _costing(_with_columns(report, columns, kept), {"gain": _cost_of(found.spent)})


def _with_alignment(report: QualityReport, found: Alignment, kept: Sequence[int]) -> QualityReport:
    report = _with_columns(report, {"alignment": found.values}, kept)
    rows = list(report.rows)
    for place, line in zip(kept, found.by_layer, strict=True):
        layers = tuple(number(float(value)) for value in line)
        rows[place] = rows[place].model_copy(update={"alignment_by_layer": layers})
    return _costing(report.model_copy(update={"rows": tuple(rows)}), {"alignment": _cost_of(found.spent)})


def _with_stability(report: QualityReport, found: tuple[Array, Array], kept: Sequence[int]) -> QualityReport:
    shares, counts = found
    report = _with_columns(report, {"stability": shares}, kept)
    rows = list(report.rows)
    for place, count in zip(kept, counts, strict=True):
        rows[place] = rows[place].model_copy(update={"perturbations": int(count)})
    unknown = [rows[place].label for place, share in zip(kept, shares, strict=True) if math.isnan(share)]
    said = [f"No perturbation left {label} in, or it adds exactly nothing: it has no stability." for label in unknown]
    return report.model_copy(update={"rows": tuple(rows), "notices": (*report.notices, *said)})


def _with_columns(report: QualityReport, columns: dict[str, Array], kept: Sequence[int]) -> QualityReport:
    rows = list(report.rows)
    for at, place in enumerate(kept):
        update = {name: number(float(values[at])) for name, values in columns.items()}
        rows[place] = rows[place].model_copy(update=update)
    return report.model_copy(update={"rows": tuple(rows)})


def _perturbed_gains(work: _Work, setting: Setting, variant: Variant) -> Array:
    """One-gradient contributions under one perturbation, [demo of the unperturbed prompt].

    Copies of a demonstration count together; nan where it was taken away, and where its own answer was flipped, for
    then it is another demonstration.
    """
    demos = len(setting.prompt.demos)
    prompt = prompt_of_variant(setting, variant)
    gains = np.full(demos, np.nan)
    if not prompt.demos:
        return gains
    score = TargetScore(work.scorer(prompt), *targets_for(setting.request, variant.case))
    found = gradient_at(score, 0.5).values
    for place, value in zip(prompt.kept_demos, found, strict=True):
        origin = variant.origin[place]
        if origin is not None and not (variant.kind == "label_flip" and origin in variant.touched):
            gains[origin] = value + (0.0 if np.isnan(gains[origin]) else gains[origin])
    return gains


def _cost_of(spent: Spent) -> tuple[float, float]:
    return spent.passes, spent.seconds


def _costing(report: QualityReport, spent: dict[Score, tuple[float, float]]) -> QualityReport:
    costs: list[ScoreCost] = []
    for cost in report.costs:
        passes, seconds = spent.get(cost.score, (cost.passes, cost.seconds))
        costs.append(cost.model_copy(update={"passes": passes, "seconds": seconds}))
    return report.model_copy(update={"costs": tuple(costs)})

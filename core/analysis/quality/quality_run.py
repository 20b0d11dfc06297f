"""Quality of a prompt's demonstrations: scores without a target first, then gain and alignment, then stability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.analysis.explain.faithfulness import number
from core.analysis.explain.gradient import gradient_at
from core.analysis.ledger import Ledger, silent
from core.analysis.quality.quality_task import QualityReport, QualityRow, QualityTask, Score, ScoreCost
from core.analysis.quality.scores import Alignment, Gain, LabelFree, alignment, gain, label_free, redundancy, stability
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.perturbations import PERTURBATIONS
from core.analysis.robustness.variant import Variant, prompt_demos
from core.analysis.setting import Setting
from core.analysis.subject import Subject, target_places
from core.analysis.values import Array, Spent, TargetScore
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.question.task import Progress

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
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[QualityReport]:
    """Reports on one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    setting = ledger.set_up(dataset, subject)
    report = QualityReport.model_validate({**setting.head(task), "rows": _bare_rows(setting)})
    if not setting.prompt.demos:
        yield ledger.complete(report, NO_DEMONSTRATIONS)
        return
    ledger.label = "reading the demonstrations' equivalent gradients"
    report = _with_label_free(ledger.now(report), label_free(ledger.scorer(setting.prompt)))
    yield ledger.now(report)
    scored = scored_setting(setting, proxy=task.proxy)
    if scored is None:
        yield ledger.complete(report, NO_PROXY)
        return
    proxy = scored is not setting
    places = scored.prompt.kept_demos if proxy else tuple(range(len(setting.prompt.demos)))
    report = report.model_copy(update={"scored": scored.target_record(), "proxy": proxy})
    score = TargetScore(ledger.scorer(scored.prompt), *scored.targets)
    ledger.label = "computing gains"
    method = "leave_one_out" if proxy and task.gain_method == "auto" else task.gain_method
    gains = gain(score, method=method, budget=task.budget, seed=setting.case.seed)
    report = _with_gain(report, gains, places)
    yield ledger.now(report)
    ledger.label = "aligning with the score's gradient"
    report = _with_alignment(report, alignment(score), places)
    yield ledger.now(report)
    if task.stability == 0:
        yield ledger.complete(report)
        return
    ledger.label = "perturbing the prompt"
    perturbations = chosen_variants(scored, task.stability)
    if not perturbations:
        yield ledger.complete(report, NO_PERTURBATION)
        return
    passes, seconds = ledger.passes, ledger.seconds
    at_once = gradient_at(score, 0.5).values if gains.gradient is None else gains.gradient
    gradients = [_perturbed_gains(ledger, scored, variant) for variant in perturbations]
    cost = (ledger.passes - passes, ledger.seconds - seconds)
    report = _with_stability(report, stability(at_once, gradients), places)
    yield ledger.complete(_costing(report, {"stability": cost}))


def scored_setting(setting: Setting, *, proxy: bool = False) -> Setting | None:
    """The setting whose target score says how good a demonstration is; None where there is no proxy.

    It is `setting` itself where its target is known. Where the target is no candidate and nobody named another, or
    where a `proxy` is asked for, the target is the latest item of the history that the user liked and that no
    demonstration shows; it is held out of the query's history. Choices that a demonstration shows are left alone,
    because a prompt that holds the answer only needs to copy it.
    """
    case = setting.case
    if not proxy and (setting.target is not None or case.target in case.candidates):
        return setting
    demos = prompt_demos(setting)
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
    return replace(setting, case=held, demos=demos, prompt=setting.write(held, demos), target=None, against=None)


def chosen_variants(setting: Setting, count: int) -> list[Variant]:
    """At most `count` perturbations of a case, taking turns over kinds, then strengths, then repeats."""
    round_ = len(variants(setting, repeats=1))
    if round_ == 0:
        return []
    drawn = variants(setting, repeats=math.ceil(count / round_))
    return sorted(drawn, key=lambda variant: (variant.repeat, variant.strength))[:count]


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


def _perturbed_gains(ledger: Ledger, setting: Setting, variant: Variant) -> Array:
    """One-gradient contributions under one perturbation, [demo of the unperturbed prompt].

    Copies of a demonstration count together; nan where it was taken away, and where its own answer was flipped, for
    then it is another demonstration.
    """
    demos = len(setting.prompt.demos)
    prompt = prompt_of_variant(setting, variant)
    gains = np.full(demos, np.nan)
    if not prompt.demos:
        return gains
    targets = target_places(variant.case, setting.target, setting.against)
    score = TargetScore(ledger.scorer(prompt), *targets)
    found = gradient_at(score, 0.5).values
    for place, value in zip(prompt.kept_demos, found, strict=True):
        origin = variant.origin[place]
        if origin is not None and not (PERTURBATIONS[variant.kind].new_answers and origin in variant.touched):
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

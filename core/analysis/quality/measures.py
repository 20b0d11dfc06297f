"""The functions of the quality scores' rows: each measures one score, or two that share a pass."""

from __future__ import annotations

import math

import numpy as np

from core.analysis.explain.gradient import gradient_at
from core.analysis.ledger import Ledger
from core.analysis.noise_floor import noise_sentence, within_noise
from core.analysis.quality.quality_work import Columns, Measured, QualityWork, numbers
from core.analysis.quality.scores import alignment, label_free, redundancy, stability
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.perturbations import PERTURBATIONS
from core.analysis.robustness.variant import Variant
from core.analysis.setting import Setting
from core.analysis.subject import target_places
from core.analysis.values import Array, TargetScore

ALONE = "Redundancy needs two demonstrations; with one it is not defined."
CAPPED = "This model caps its attention logits; effect and redundancy use the kernel without the cap."
NO_PERTURBATION = "No perturbation applies to this prompt, so stability is not measured."


def measured_label_free(work: QualityWork) -> Measured:
    """Effect and redundancy, in one pass."""
    free = label_free(work.ledger.scorer(work.setting.prompt))
    cosines = free.gram.cosines
    largest, nearest = redundancy(cosines)
    notices = [*([ALONE] if len(work.labels) == 1 else []), *([CAPPED] if free.capped else [])]
    notices += [
        f"The query's last token sees nothing of {work.labels[k]} (sliding windows): no effect, no redundancy."
        for k in free.unseen
    ]
    columns: Columns = {
        "effect": numbers(free.gram.energy),
        "redundancy": numbers(largest),
        "nearest": [None if other is None else work.labels[other] for other in nearest],
    }
    fields = {"cosines": tuple(tuple(numbers(line)) for line in cosines)}
    return Measured(columns, free.spent.passes, free.spent.seconds, tuple(notices), fields)


def measured_gain(work: QualityWork) -> Measured:
    """The gain, with its interval where ablations were made."""
    gain = work.gain
    columns: Columns = {"gain": numbers(gain.values)}
    if gain.low is not None and gain.high is not None:
        columns |= {"gain_low": numbers(gain.low), "gain_high": numbers(gain.high)}
    noisy = _noisy(work)
    missing = [label for place, label in enumerate(work.labels) if place not in work.places]
    notices = [f"{label} was cut from the prompt with the proxy target, so it has no gain there." for label in missing]
    return Measured(
        columns | noisy.columns, gain.spent.passes, gain.spent.seconds, (*notices, *noisy.notices), noisy.fields
    )


def _noisy(work: QualityWork) -> Measured:
    """Which gains are noise, where a server gave the scores, and the ends of intervals that say so; those of ablations
    have the noise in them."""
    gain, noise = work.gain, work.noise
    if noise is None:
        return Measured({})
    marks = within_noise(gain.values.tolist(), noise.floor)
    columns: Columns = {"within_noise": marks}
    if gain.low is None or gain.high is None:
        columns |= {"gain_low": numbers(gain.values - noise.floor), "gain_high": numbers(gain.values + noise.floor)}
    sentence = noise_sentence(noise, [work.labels[place] for place in work.places], marks)
    return Measured(columns, notices=(sentence,), fields={"noise": noise})


def measured_alignment(work: QualityWork) -> Measured:
    """The alignment, over all layers and within each."""
    parts = alignment(work.score)
    by_layer = [tuple(numbers(line)) for line in parts.by_layer]
    columns: Columns = {"alignment": numbers(parts.values), "alignment_by_layer": by_layer}
    return Measured(columns, parts.spent.passes, parts.spent.seconds)


def measured_stability(work: QualityWork) -> Measured:
    """The stability, by one gradient for each perturbation."""
    perturbations = chosen_variants(work.scored, work.task.stability)
    if not perturbations:
        return Measured({}, notices=(NO_PERTURBATION,))
    ledger = work.ledger
    passes, seconds = ledger.passes, ledger.seconds
    gradient = work.gain.gradient
    gains = gradient_at(work.score, 0.5).values if gradient is None else gradient
    shares, counts = stability(gains, [_perturbed_gains(ledger, work.scored, variant) for variant in perturbations])
    undefined = [work.labels[place] for place, share in zip(work.places, shares, strict=True) if math.isnan(share)]
    notices = [
        f"No perturbation left {label} in, or it adds exactly nothing: it has no stability." for label in undefined
    ]
    columns: Columns = {"stability": numbers(shares), "perturbations": [int(count) for count in counts]}
    return Measured(columns, ledger.passes - passes, ledger.seconds - seconds, tuple(notices))


def chosen_variants(setting: Setting, count: int) -> list[Variant]:
    """At most `count` perturbations of a case, taking turns over kinds, then strengths, then repeats."""
    each_once = len(variants(setting, repeats=1))
    if each_once == 0:
        return []
    drawn = variants(setting, repeats=math.ceil(count / each_once))
    return sorted(drawn, key=lambda variant: (variant.repeat, variant.strength))[:count]


def _perturbed_gains(ledger: Ledger, setting: Setting, variant: Variant) -> Array:
    """One-gradient contributions under one perturbation, [demo of the unperturbed prompt].

    Copies of a demonstration count together; nan where it was taken away, and where its own answer was flipped, for
    then it is another demonstration.
    """
    prompt = prompt_of_variant(setting, variant)
    gains = np.full(len(setting.prompt.demos), np.nan)
    if not prompt.demos:
        return gains
    targets = target_places(variant.case, setting.target, setting.against)
    score = TargetScore(ledger.scorer(prompt), *targets, explain=setting.explain)
    values = gradient_at(score, 0.5).values
    for place, value in zip(prompt.kept_demos, values, strict=True):
        origin = variant.origin[place]
        if origin is not None and not (PERTURBATIONS[variant.kind].new_answers and origin in variant.touched):
            gains[origin] = value + (0.0 if np.isnan(gains[origin]) else gains[origin])
    return gains

"""How is a case changed to see whether its answer stands: history, demonstrations, answers and titles?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.analysis.robustness.perturbations import KINDS, PERTURBATIONS, REPEATS, STRENGTHS, PerturbationKind
from core.analysis.robustness.variant import Draw, Variant
from core.analysis.setting import Setting
from core.errors import RequestError
from core.prompt.spans import Prompt


def variants(
    setting: Setting,
    *,
    kinds: Sequence[PerturbationKind] = KINDS,
    strengths: Sequence[float] = STRENGTHS,
    repeats: int = REPEATS,
    seed: int | None = None,
) -> list[Variant]:
    """The variants of a case: `repeats` of every kind that applies at every strength, kinds in the order given.

    Draws depend on the case (its user and seed, or `seed`), the kind, the strength and the repeat only; the repeats
    of one kind and strength begin with different items or demonstrations until each has had its turn. Kinds that
    cannot apply are left out, see `reason_against`. Raises `RequestError` for a strength outside (0, 1], an unknown
    kind, or fewer than one repeat.
    """
    _check(kinds, strengths, repeats)
    case_key = (setting.case.dataset_id, setting.case.user_id, setting.case.seed if seed is None else seed)
    return [
        PERTURBATIONS[kind].function(Draw(setting, kind, strength, repeat, case_key))
        for kind in kinds
        if reason_against(setting, kind) is None
        for strength in strengths
        for repeat in range(repeats)
    ]


def reason_against(setting: Setting, kind: PerturbationKind) -> str | None:
    """Why a kind cannot apply to this case, one sentence; None when it can."""
    return PERTURBATIONS[kind].reason_against(setting)


def prompt_of_variant(setting: Setting, variant: Variant) -> Prompt:
    """The prompt of a variant, written by the builder that wrote the original, so that it is as well formed."""
    added = {interaction.item_id for interaction in variant.case.history} - set(setting.items)
    items = setting.items | (setting.data.items(sorted(added)) if added else {})
    items = items | {item: replace(items[item], title=title) for item, title in variant.titles.items()}
    length = max(setting.spec.history, len(variant.case.history))
    return setting.write(variant.case, variant.demos, items=items, history=length, liked=lambda _interaction: True)


def _check(kinds: Sequence[PerturbationKind], strengths: Sequence[float], repeats: int) -> None:
    for kind in kinds:
        if kind not in PERTURBATIONS:
            raise RequestError(f"perturbation {str(kind)[:40]!r}", expected=f"one of {', '.join(KINDS)}")
    for strength in strengths:
        if not 0 < strength <= 1:
            raise RequestError(f"strength {strength:g}", expected="a share above 0 and up to 1")
    if repeats < 1:
        raise RequestError(f"{repeats} repeats", expected="1 or more")

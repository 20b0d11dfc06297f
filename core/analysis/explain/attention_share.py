"""The attention that each demonstration receives, as an attribution method to compare with."""

from __future__ import annotations

from core.analysis.dual.parts import attention_mass
from core.analysis.explain.ablation import AblationAnswer
from core.analysis.values import Meter, TargetScore


def attention_share(score: TargetScore) -> AblationAnswer:
    """Attention mass on each demonstration [demo], by one pass over the full prompt with the target."""
    meter = Meter(score.scorer)
    return AblationAnswer(attention_mass(score.scorer, score.target), meter.read())

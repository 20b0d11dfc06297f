"""The weight of popularity in the ranking, fitted on the validation lists on which default demonstrations are chosen.

The lists lie in the latest tenth of what lies before the test, so no test list has a part. Each is scored once by the
model; every weight, and popularity alone, are read from these scores and from the likes before each list's moment.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from core.comparison.arm_row import arm_of
from core.comparison.blend_fit import BlendFit, BlendPoint
from core.comparison.blend_settings import BlendSettings
from core.comparison.compared_lists import validation_lists_of
from core.comparison.comparison import arm_rows, blend_lists
from core.comparison.kept_choice import Choice
from core.comparison.list_outcomes import ListOutcomes
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.metrics.blend import BlendLists, cross_fitted, fitted_weight
from core.question.command_line import command_of
from core.tuning.evaluation.blends import estimates
from core.tuning.evaluation.evaluation_plan import ScoreCache, uncached

GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Weights whose NDCG@10 is told beside the fitted one."""
ROUND = 5
"""Lists between two words of how far the scoring is."""


def blend(
    settings: BlendSettings,
    dataset: Dataset,
    model: LanguageModel,
    kept: Choice | None,
    *,
    cache: ScoreCache = uncached,
    between: Callable[[str, float], None] = lambda _label, _fraction: None,
) -> Choice:
    """The default choice for the data, the model and the adapter with a fitted weight of popularity.

    It is the one that is `kept`, where the settings name no other demonstrations; else it holds those that they name.
    Raises `DataError` for data without timestamps or without later lists.
    """
    lists = validation_lists_of(settings, dataset)
    arm, scoring = settings.arm(kept)
    outcomes = ListOutcomes(
        dataset, {settings.adapter: model}, settings.history, settings.dataset, settings.model, cache
    )
    arms = [arm] if arm == arm.bare else [arm.bare, arm]
    for start in range(0, len(lists), ROUND):
        between(f"ranking list {start + 1} of {len(lists)}", start / len(lists))
        outcomes.measure(arms, lists[start : start + ROUND])
    fit = fit_of(blend_lists(outcomes, arm, scoring, lists), seed=settings.seed, command=command_of(settings, "blend"))
    if kept is not None and (arm_of(kept), kept.scoring) == (arm, scoring):
        return kept.model_copy(update={"blend": fit})
    rows = [row for each in arms for row in arm_rows(outcomes, each, lists, seed=settings.seed, scorings=(scoring,))]
    return Choice(
        **arm.model_dump(),
        scoring=scoring,
        dataset_id=dataset.dataset_id,
        dataset_name=dataset.name,
        model=settings.model,
        model_id=model.model_id,
        history=settings.history,
        lists=len(lists),
        candidates=settings.candidates,
        rows=tuple(rows),
        command=fit.command,
        created=fit.created,
        raced=False,
        blend=fit,
    )


def fit_of(lists: BlendLists, *, seed: int, command: str) -> BlendFit:
    """The fitted weight with its cross-fitted figures; 0 is kept where the gain is not surely above zero."""

    fitted = fitted_weight(lists)
    figures = estimates(lists, cross_fitted(lists, seed=seed), seed=seed)
    return BlendFit(
        weight=fitted if (figures["over_model"].low or 0.0) > 0 else 0.0,
        fitted=fitted,
        lists=len(lists),
        users=len(set(lists.users)),
        **figures,
        grid=tuple(BlendPoint(weight=weight, ndcg=float(lists.ndcg(weight).mean())) for weight in GRID),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )

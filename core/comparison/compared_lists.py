"""The lists on which strategies are compared: an item really chosen and liked, among items that its user never met."""

from __future__ import annotations

from core.comparison.comparison_settings import ListSettings
from core.data.cases import case_of, eligible_users, met_before
from core.data.dataset import Dataset
from core.data.records import Case
from core.errors import DataError
from core.seeds import generator
from core.tuning.evaluation.evaluate import CandidateList, draw_lists
from core.tuning.examples import Window, split_times

DRAWN = 3
"""Lists drawn for every one that is needed, where some are left out."""


def validation_lists(
    dataset: Dataset, *, count: int, candidates: int, history: int, share: float = 0.8, seed: int = 0
) -> tuple[Case, ...]:
    """Lists of the latest tenth of what lies before the test; nobody's last interaction is asked about.

    Defaults are chosen on them; test lists ask for later interactions, or for the last one of each user. Raises
    `DataError` for data without timestamps, and where the period has no list.
    """
    _, validation, _ = split_times(dataset, share=share)
    drawn = _cases(dataset, validation, DRAWN * count, candidates, history, seed)
    lists = [case for case in drawn if case.target != dataset.history(case.user_id)[-1].item_id][:count]
    if not lists:
        raise DataError(f"the validation period of {dataset.name} has no list", expected="later liked interactions")
    return tuple(lists)


def validation_lists_of(settings: ListSettings, dataset: Dataset) -> tuple[Case, ...]:
    """The validation lists that choices name; raises as `validation_lists` does."""
    names = ("candidates", "history", "share", "seed")
    return validation_lists(dataset, count=settings.lists, **{name: getattr(settings, name) for name in names})


def later_lists(
    dataset: Dataset, *, count: int, candidates: int, history: int, share: float = 0.8, seed: int = 0
) -> tuple[Case, ...]:
    """Lists of the latest time; over data without timestamps, of the last interaction of drawn users."""
    if dataset.has_time:
        _, _, test = split_times(dataset, share=share)
        return _cases(dataset, test, count, candidates, history, seed)
    users = eligible_users(dataset, limit=dataset.size["users"])
    order = generator("lists", dataset.dataset_id, seed).permutation(len(users))
    drawn = (case_of(dataset, users[int(place)], candidates=candidates, seed=seed) for place in order)
    liked = (case for case in drawn if dataset.liked(dataset.history(case.user_id)[-1]))
    return tuple(case for case, _ in zip(liked, range(count), strict=False))


def _cases(dataset: Dataset, window: Window, count: int, candidates: int, history: int, seed: int) -> tuple[Case, ...]:
    rows = draw_lists(
        dataset,
        window,
        count=count,
        candidates=candidates,
        demos=1,
        history=history,
        seed=seed,
        families=("next_item",),
    )
    return tuple(case_of_list(dataset, row, seed=seed) for row in rows)


def case_of_list(dataset: Dataset, row: CandidateList, *, seed: int = 0) -> Case:
    """A list as a case: everything strictly before the interaction is its history."""
    query = row.examples["next_item"]
    moment = query.timestamp
    return Case(
        dataset_id=dataset.dataset_id,
        user_id=query.user_id,
        split="time",
        history=met_before(dataset.history(query.user_id), query.position, moment),
        candidates=row.candidates,
        target=query.item_id,
        moment=moment,
        seed=seed,
    )

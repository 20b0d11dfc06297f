"""Where the target stands if one interaction of the history had never been: exact deletion, measured."""

from __future__ import annotations

from dataclasses import replace

from core.analysis.explain.explanation import HistoryRemoval
from core.analysis.setting import Setting
from core.analysis.values import Array
from core.data.records import Interaction
from core.lm.scoring.many import ManyScorer
from core.metrics.ranking import ranks


def in_query(setting: Setting) -> list[int]:
    """Indices into the case's history of the interactions whose titles stand in the query, oldest first."""
    return _latest(setting, setting.case.history)


def history_removals(setting: Setting, sweep: ManyScorer, free: Array | float = 0.0) -> tuple[HistoryRemoval, ...]:
    """One row for each title of the query, from prompts that are built anew without it; the demonstrations stay.

    An older title moves in where the history has more than the query shows. `free` [candidate] is taken from scores
    before ranking.
    """
    places = in_query(setting)
    demos = tuple(setting.demos[index] for index in setting.prompt.kept_demos)
    cases = [replace(setting.case, history=_without(setting, place)) for place in places]
    table = sweep.scores([setting.write(case, demos) for case in cases]) - free
    return tuple(_row(setting, place, scores) for place, scores in zip(places, table, strict=True))


def _row(setting: Setting, place: int, scores: Array) -> HistoryRemoval:
    target, _ = setting.targets
    item = setting.items[setting.case.history[place].item_id]
    order = ranks(scores)
    return HistoryRemoval(
        position=place,
        item_id=item.item_id,
        title=item.title,
        moves_in=_moves_in(setting, place),
        score=float(scores[target]),
        place=order[target],
        ranks=order,
    )


def _moves_in(setting: Setting, place: int) -> str | None:
    """Title of the interaction that takes the free place."""
    history = _without(setting, place)
    in_query_then = [history[index] for index in _latest(setting, history)]
    before = {setting.case.history[index].position for index in in_query(setting)}
    fresh = [row for row in in_query_then if row.position not in before]
    return setting.items[fresh[0].item_id].title if fresh else None


def _without(setting: Setting, place: int) -> tuple[Interaction, ...]:
    history = setting.case.history
    return (*history[:place], *history[place + 1 :])


def _latest(setting: Setting, history: tuple[Interaction, ...]) -> list[int]:
    liked = [index for index, row in enumerate(history) if setting.dataset.liked(row)]
    return liked[max(0, len(liked) - setting.most_history) :]

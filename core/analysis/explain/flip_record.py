"""The record of a search for the smallest set whose removal brings the target to another place."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np

from core.analysis.explain.explanation import FlipSet, FlipStatus, PlaceRange, VerifiedSet
from core.analysis.explain.flip_set import FlipSearch, Foresight
from core.analysis.setting import Setting
from core.analysis.values import Array, Masks
from core.metrics.ranking import Rank
from core.question.flip_goals import places_of


def flip_record(search: FlipSearch, setting: Setting) -> FlipSet:
    """The record, with the rival by id and title."""
    rival = None if search.rival is None else setting.items[setting.case.candidates[search.rival]]
    return flip_set(search).model_copy(
        update={"rival_id": rival and rival.item_id, "rival_title": rival and rival.title},
    )


def flip_set(search: FlipSearch) -> FlipSet:
    """The record, without the rival's name."""
    sets = _sets(search)
    best = next((row for row in sets if row.reached), None)
    full, empty = (_rank(places_of(scores, search.target)) for scores in (search.case.full, search.case.empty))
    return FlipSet(
        goal=search.goal,
        ahead_of_rival=_ahead_of_rival(search),
        status=_status(search, best),
        left_out=None if best is None else best.left_out,
        place=None if best is None else best.place,
        smallest=best is not None and _no_smaller(search.work.masks, len(best.left_out)),
        place_full=full,
        place_empty=empty,
        passes=len(search.foretold),
        sets=sets,
    )


def _status(search: FlipSearch, best: VerifiedSet | None) -> FlipStatus:
    if search.pointless:
        return "nothing"
    if best is None:
        return "none"
    return "all" if len(best.left_out) == search.work.masks.shape[1] else "verified"


def _sets(search: FlipSearch) -> tuple[VerifiedSet, ...]:
    """Smallest first, in the order in which they were measured; none where there is nothing to flip."""
    if search.pointless:
        return ()
    masks, scores = search.work.masks, search.work.scores()
    reached, places = search.reached(scores), places_of(scores, search.target)
    tried = [mask.tobytes() in search.foretold for mask in masks]
    rows = np.flatnonzero(reached | np.array(tried))
    return tuple(
        VerifiedSet(
            left_out=tuple(np.flatnonzero(~masks[row]).tolist()),
            place=_rank(places[row]),
            reached=bool(reached[row]),
            **_foretold(search.foretold.get(masks[row].tobytes())),
        )
        for row in rows[np.argsort((~masks[rows]).sum(axis=1), kind="stable")]
    )


def _foretold(foresight: Foresight | None) -> dict[str, Any]:
    """The fields that say what was foretold of a set before its pass."""
    if foresight is None:
        return {"foretold": None}
    return {"foretold": foresight.probability, "predicted": PlaceRange(**foresight.place._asdict())}


def _no_smaller(masks: Masks, size: int) -> bool:
    """Whether every set with fewer than `size` demonstrations was measured."""
    demos = masks.shape[1]
    return int(((~masks).sum(axis=1) < size).sum()) == sum(comb(demos, count) for count in range(size))


def _ahead_of_rival(search: FlipSearch) -> bool | None:
    if search.rival is None:
        return None
    return bool(search.case.full[search.target] > search.case.full[search.rival])


def _rank(place: Array) -> Rank:
    number = float(place)
    return int(number) if number.is_integer() else number

"""The perturbations of a case: a row each, with its words, cost, when it applies and its function; needs no torch.

A new perturbation is a function of a `Draw` and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from core.analysis.robustness.variant import (
    Draw,
    Random,
    Variant,
    demo_labels,
    deranged,
    listing,
    prompt_demos,
    query_history,
)
from core.data.records import Interaction, Item
from core.prompt.families import Family
from core.prompt.logged import with_other_answer
from core.prompt.titles import LONGEST_TITLE, quoted

if TYPE_CHECKING:
    from core.analysis.setting import Setting

PerturbationKind = Literal[
    "history_drop",
    "history_swap",
    "history_shuffle",
    "popular_replace",
    "inject",
    "demo_permute",
    "demo_drop",
    "demo_duplicate",
    "label_flip",
    "typos",
]
STRENGTHS = (0.1, 0.5)
REPEATS = 3
QUICK: tuple[PerturbationKind, ...] = ("history_drop", "demo_drop", "demo_permute", "typos")
"""Kinds of a first look."""
QUERY_PASSES = 0.12
"""Full-prompt forward equivalents of one more variant of the query, without its candidates (counted on the sample
data with 8 demonstrations, as the next ones)."""
DEMO_PASSES = 0.5
TYPO_PASSES = 1.2
NEIGHBOURS = 10
"""An item of nearly equal popularity is drawn among this many nearest ones."""
TRIES = 200
"""Items looked at to find one that shares no category with the history."""


def as_logged(_setting: Setting) -> str | None:
    """Why most kinds do not apply to a finished prompt."""
    return "A finished prompt is run in its own words: parts of it are left out or moved as wholes, none is rewritten."


@dataclass(frozen=True)
class Perturbation:
    """One way to change a case."""

    name: PerturbationKind
    words: str
    """What it does, on the screen."""
    short: str
    """The same where room is short."""
    function: Callable[[Draw], Variant]
    passes: float = QUERY_PASSES
    """Cost of one variant without its candidates, in full-prompt forward equivalents."""
    least_demos: int = 0
    """Demonstrations that it needs; above 0 where it changes demonstrations as wholes."""
    families: tuple[Family, ...] | None = None
    """Prompt families whose demonstrations hold the answer that it changes; None where it changes no answer."""
    every_demo: bool = False
    """Whether each demonstration has a turn at the smallest strength, so that the weakest can be named."""
    new_answers: bool = False
    """Whether a demonstration it touches becomes another one."""
    obstacle: Callable[[Setting], str | None] = lambda _setting: None
    """Why history, titles or data of a case do not suffice, one sentence; None where they do."""
    logged: Callable[[Setting], str | None] = as_logged
    """The same for a case from a file, whose prompt is finished."""

    def reason_against(self, setting: Setting) -> str | None:
        """Why it cannot apply to this case, one sentence; None when it can."""
        demos = len(prompt_demos(setting))
        if setting.case.logged is not None:
            return self.count_obstacle(demos) or self.logged(setting)
        return self.prompt_obstacle(setting.spec.family, demos) or self.obstacle(setting)

    def prompt_obstacle(self, family: Family, demos: int) -> str | None:
        """Why it cannot apply to a prompt of this family and number of demonstrations; None when it can."""
        if self.families is not None and family not in self.families:
            return f"The demonstrations of a {family} prompt hold no answer that could be flipped."
        return self.count_obstacle(demos)

    def count_obstacle(self, demos: int) -> str | None:
        """Why it cannot apply to a prompt of this number of demonstrations; None when it can."""
        if self.least_demos and demos == 0:
            return "The prompt holds no demonstration."
        if demos < self.least_demos:
            return "The prompt holds one demonstration, so there is no order to change."
        return None


# ---- what a case must hold


def _no_history(setting: Setting) -> str | None:
    return None if query_history(setting) else "The query shows no history."


def _no_order(setting: Setting) -> str | None:
    count = len(query_history(setting))
    if count >= 2:
        return None
    return f"The query shows {count or 'no'} history item{'s' * (count != 1)}; a change of order needs two."


def _no_new_items(setting: Setting) -> str | None:
    return None if len(_new_items(setting)) else "The data hold no other item that the user has not met."


def _no_label(setting: Setting) -> str | None:
    logged = setting.case.logged
    if logged is not None and all(with_other_answer(demo, logged) for demo in prompt_demos(setting)):
        return None
    return "Not every demonstration ends with one of the labels, so no answers are flipped."


def _nothing(_setting: Setting) -> str | None:
    return None


def _nothing_to_replace(setting: Setting) -> str | None:
    return _no_history(setting) or _no_new_items(setting)


def _no_letters(setting: Setting) -> str | None:
    return None if _letters(setting) else "The prompt shows no title but those of candidates, which stay as they are."


# ---- changes of the history


def _history_drop(draw: Draw) -> Variant:
    gone = draw.places(len(draw.history), draw.random())
    rest = [interaction for place, interaction in enumerate(draw.history) if place not in gone]
    return draw.with_history(rest, f"{draw.titles_of([draw.history[place] for place in gone])} left out of the history")


def _history_swap(draw: Draw) -> Variant:
    """Disjoint pairs of neighbours change places; a pair touches two items."""
    history, random = list(draw.history), draw.random()
    most = max(1, draw.share(len(history)) // 2)
    firsts = len(history) - 1
    pairs: list[int] = []
    for first in [draw.lead(firsts), *(int(place) for place in random.permutation(firsts))]:
        if len(pairs) < most and all(abs(first - other) > 1 for other in pairs):
            pairs.append(first)
    names = [f"{draw.titles_of([history[at]])} and {draw.titles_of([history[at + 1]])}" for at in sorted(pairs)]
    for first in pairs:
        history[first], history[first + 1] = history[first + 1], history[first]
    return draw.with_history(history, f"{'; '.join(names)} swapped in the history")


def _history_shuffle(draw: Draw) -> Variant:
    random = draw.random()
    places = draw.places(len(draw.history), random, least=2)
    mixed = list(draw.history)
    for place, source in zip(places, deranged(places, random), strict=True):
        mixed[place] = draw.history[source]
    titles = draw.titles_of([draw.history[place] for place in places])
    return draw.with_history(mixed, f"{titles} shuffled in the history")


def _popular_replace(draw: Draw) -> Variant:
    history, random = list(draw.history), draw.random()
    catalogue, free = draw.setting.data.catalogue, _new_items(draw.setting)
    words = []
    for place in draw.places(len(history), random)[: len(free)]:
        apart = np.abs(catalogue.popularity[free] - catalogue.popularity[catalogue.places[history[place].item_id]])
        nearest = np.argsort(apart, kind="stable")[:NEIGHBOURS]
        pick = int(random.choice(nearest))
        new = replace(history[place], item_id=catalogue.ids[int(free[pick])])
        words.append(f"{draw.titles_of([history[place]])} replaced by {draw.titles_of([new])}")
        history[place] = new
        free = np.delete(free, pick)
    return draw.with_history(history, "; ".join(words))


def _inject(draw: Draw) -> Variant:
    history, random = list(draw.history), draw.random()
    count = max(1, draw.share(len(history)))
    new = [Interaction(item.item_id, position=0) for item in _unrelated(draw.setting, count, random)]
    for interaction in new:
        history.insert(int(random.integers(len(history) + 1)), interaction)
    return draw.with_history(history, f"{draw.titles_of(new)} added to the history")


def _new_items(setting: Setting) -> NDArray[np.int64]:
    """Places, in the catalogue, of items that the user never met and that are not candidates, [item]."""
    catalogue = setting.data.catalogue
    met = {interaction.item_id for interaction in setting.data.history(setting.case.user_id)}
    taken = met | set(setting.case.candidates)
    return np.setdiff1d(np.arange(len(catalogue.ids)), [catalogue.places[item] for item in taken])


def _unrelated(setting: Setting, count: int, random: Random) -> list[Item]:
    """Items that share no category with the query's history, as far as `TRIES` draws hold such; else any new ones."""
    dataset = setting.data
    categories = {name for row in query_history(setting) for name in dataset.item(row.item_id).categories}
    order = random.permutation(_new_items(setting))[: max(TRIES, count)]
    drawn = [dataset.item(dataset.catalogue.ids[int(place)]) for place in order]
    return sorted(drawn, key=lambda item: not categories.isdisjoint(item.categories))[:count]


# ---- changes of the demonstrations


def _demo_permute(draw: Draw) -> Variant:
    random = draw.random()
    places = draw.places(len(draw.demos), random, least=2)
    origin = list(range(len(draw.demos)))
    for place, source in zip(places, deranged(places, random), strict=True):
        origin[place] = source
    return _from_origin(draw, origin, f"{demo_labels(places)} in another order", places)


def _demo_drop(draw: Draw) -> Variant:
    gone = draw.places(len(draw.demos), draw.random())
    origin = [place for place in range(len(draw.demos)) if place not in gone]
    return _from_origin(draw, origin, f"{demo_labels(gone)} left out", gone)


def _demo_duplicate(draw: Draw) -> Variant:
    """Copies stand behind the last demonstration, so that everything before them stays as it is."""
    twice = draw.places(len(draw.demos), draw.random())
    return _from_origin(draw, [*range(len(draw.demos)), *twice], f"{demo_labels(twice)} repeated at the end", twice)


def _from_origin(draw: Draw, origin: Sequence[int], words: str, touched: Sequence[int]) -> Variant:
    return draw.with_demos([draw.demos[place] for place in origin], origin, words, touched)


def _label_flip(draw: Draw) -> Variant:
    demos = list(draw.demos)
    flipped = draw.places(len(demos), draw.random())
    for place in flipped:
        old = demos[place]
        if draw.setting.case.logged is not None:
            demos[place] = with_other_answer(old, draw.setting.case.logged) or old
            continue
        answer = "no" if old.liked else "yes"
        demos[place] = replace(old, liked=not old.liked, demo_id=f"{old.user_id}:{old.position}:{answer}")
    return draw.with_demos(demos, range(len(demos)), f"answer of {demo_labels(flipped)} flipped", flipped)


# ---- changes of titles


def _typos(draw: Draw) -> Variant:
    letters, random = _letters(draw.setting), draw.random()
    count = max(1, draw.share(len(letters)))
    picks = sorted(int(place) for place in random.permutation(len(letters))[:count])
    places: dict[str, list[int]] = {}
    for item, place in (letters[pick] for pick in picks):
        places.setdefault(item, []).append(place)
    titles = {item: _mistyped(draw.setting.items[item].title, at, random) for item, at in places.items()}
    words = f"{count} character{'s' * (count != 1)} mistyped in {listing([quoted(title) for title in titles.values()])}"
    return replace(draw.with_history(draw.history, words), titles=titles)


def _letters(setting: Setting) -> list[tuple[str, int]]:
    """Item id and place of every letter or digit in titles of the history and the demonstrations, once per item.

    Titles of candidates are left alone: the answers that are scored never change.
    """
    items = [interaction.item_id for interaction in query_history(setting)]
    for demo in prompt_demos(setting):
        items += [*demo.history[max(0, len(demo.history) - setting.most_history) :], demo.item_id]
    return [
        (item, place)
        for item in dict.fromkeys(items)
        if item not in setting.case.candidates
        for place, letter in enumerate(setting.items[item].title[: LONGEST_TITLE - 1])
        if letter.isalnum()
    ]


def _mistyped(title: str, places: Sequence[int], random: Random) -> str:
    """The title with the letters at `places` (rising) doubled, left out or exchanged with their neighbour.

    Only characters of the title itself are used, and the last letter is never left out.
    """
    letters = list(title)
    for place in reversed(places):
        can_swap = place + 1 < len(letters) and letters[place] != letters[place + 1] and letters[place + 1].isalnum()
        ways = ["double", *(["omit"] if sum(map(str.isalnum, letters)) > 1 else []), *(["swap"] if can_swap else [])]
        way = ways[int(random.integers(len(ways)))]
        if way == "double":
            letters.insert(place, letters[place])
        elif way == "omit":
            del letters[place]
        else:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    if "".join(letters) == title:
        letters.insert(places[0], letters[places[0]])
    return "".join(letters)


# ---- the rows

ROWS = (
    Perturbation(
        "history_drop", "history items dropped", "drop items", _history_drop, obstacle=_no_history, logged=_no_history
    ),
    Perturbation("history_swap", "history neighbours swapped", "swap items", _history_swap, obstacle=_no_order),
    Perturbation("history_shuffle", "history items shuffled", "shuffle items", _history_shuffle, obstacle=_no_order),
    Perturbation(
        "popular_replace",
        "history items replaced by equally popular ones",
        "replace items",
        _popular_replace,
        obstacle=_nothing_to_replace,
    ),
    Perturbation("inject", "unrelated items injected", "inject items", _inject, obstacle=_no_new_items),
    Perturbation(
        "demo_permute",
        "demonstrations permuted",
        "permute demos",
        _demo_permute,
        DEMO_PASSES,
        least_demos=2,
        logged=_nothing,
    ),
    Perturbation(
        "demo_drop",
        "demonstrations dropped",
        "drop demos",
        _demo_drop,
        DEMO_PASSES,
        least_demos=1,
        every_demo=True,
        logged=_nothing,
    ),
    Perturbation(
        "demo_duplicate",
        "demonstrations duplicated",
        "duplicate demos",
        _demo_duplicate,
        DEMO_PASSES,
        least_demos=1,
        logged=_nothing,
    ),
    Perturbation(
        "label_flip",
        "answers flipped",
        "flip answers",
        _label_flip,
        DEMO_PASSES,
        least_demos=1,
        families=("yes_no",),
        new_answers=True,
        logged=_no_label,
    ),
    Perturbation("typos", "typos in titles", "typos", _typos, TYPO_PASSES, obstacle=_no_letters),
)
PERTURBATIONS: dict[PerturbationKind, Perturbation] = {row.name: row for row in ROWS}
KINDS: tuple[PerturbationKind, ...] = tuple(PERTURBATIONS)
NAMES: dict[PerturbationKind, str] = {row.name: row.words for row in ROWS}
"""What each kind does, in words."""

"""How is a case changed to see whether its answer stands: history, demonstrations, answers and titles?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.analysis.robustness.kinds import KINDS, OF_DEMOS, REPEATS, STRENGTHS, Kind
from core.analysis.setting import Setting
from core.data.records import Case, Demonstration, Interaction, Item
from core.errors import RequestError
from core.prompt.build import build
from core.prompt.spans import Prompt
from core.prompt.titles import LONGEST_TITLE, quoted
from core.seeds import generator

ALIKE = 10
"""An item of nearly equal popularity is drawn among this many nearest ones."""
TRIES = 200
"""Items looked at to find one that shares no category with the history."""

Random = np.random.Generator


@dataclass(frozen=True)
class Variant:
    """A case under one perturbation; its candidates and target are those of the original.

    `case.history` holds what the query shows and nothing else; `strength` is the share of history items,
    demonstrations or characters touched (at least one, or two where order is changed).
    """

    kind: Kind
    strength: float
    repeat: int
    case: Case
    demos: tuple[Demonstration, ...]
    origin: tuple[int | None, ...]
    """For each of `demos` the place, in the original prompt, of the demonstration it comes from."""
    titles: dict[str, str] = field(default_factory=dict)
    """Changed titles by item id."""
    touched: tuple[int, ...] = ()
    """Places, in the original prompt, of the demonstrations that were moved, dropped, doubled or answered anew."""
    words: str = ""
    """What was done, for a reader."""


def variants(
    setting: Setting,
    *,
    kinds: Sequence[Kind] = KINDS,
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
    parts = (setting.case.dataset_id, setting.case.user_id, setting.case.seed if seed is None else seed)
    return [
        _WAYS[kind](_Draw(setting, kind, strength, repeat, parts))
        for kind in kinds
        if reason_against(setting, kind) is None
        for strength in strengths
        for repeat in range(repeats)
    ]


def reason_against(setting: Setting, kind: Kind) -> str | None:
    """Why a kind cannot apply to this case, one sentence; None when it can."""
    history, demos = len(shown_history(setting)), len(shown_demos(setting))
    if kind == "label_flip" and setting.spec.family != "yes_no":
        return "The demonstrations of a next_item prompt hold no answer that could be flipped."
    if kind in OF_DEMOS and demos == 0:
        return "The prompt holds no demonstration."
    if kind == "demo_permute" and demos == 1:
        return "The prompt holds one demonstration, so there is no order to change."
    if kind in ("history_drop", "popular_replace") and history == 0:
        return "The query shows no history."
    if kind in ("history_swap", "history_shuffle") and history < 2:
        return f"The query shows {history or 'no'} history item{'s' * (history != 1)}; a change of order needs two."
    if kind in ("popular_replace", "inject") and not len(_free(setting)):
        return "The data hold no other item that the user has not met."
    if kind == "typos" and not _letters(setting):
        return "The prompt shows no title but those of candidates, which stay as they are."
    return None


def prompt_of_variant(setting: Setting, variant: Variant) -> Prompt:
    """The prompt of a variant, written by the builder that wrote the original, so that it is as well formed."""
    added = {one.item_id for one in variant.case.history} - set(setting.items)
    items = setting.items | setting.dataset.items(sorted(added))
    items = items | {item: replace(items[item], title=title) for item, title in variant.titles.items()}
    return build(
        variant.case,
        variant.demos,
        items,
        setting.model.tokenizer,
        family=setting.spec.family,
        noun=setting.dataset.noun,
        history=max(setting.spec.history, len(variant.case.history)),
        chat=setting.spec.chat,
        context=setting.model.context,
        codes=setting.model.codes_for(setting.dataset.dataset_id),
    )


def shown_history(setting: Setting) -> tuple[Interaction, ...]:
    """The interactions whose titles the query shows, oldest first."""
    liked = [one for one in setting.case.history if setting.dataset.liked(one)]
    return tuple(liked[max(0, len(liked) - setting.spec.history) :])


def shown_demos(setting: Setting) -> tuple[Demonstration, ...]:
    """The demonstrations that stand in the prompt, in its order."""
    return tuple(setting.demos[index] for index in setting.prompt.kept_demos)


@dataclass(frozen=True)
class _Draw:
    """One variant to be made: what is changed, how much of it, and the random numbers for it."""

    setting: Setting
    kind: Kind
    strength: float
    repeat: int
    parts: tuple[object, ...]

    def random(self) -> Random:
        return generator("perturbation", *self.parts, self.kind, self.strength, self.repeat)

    def chosen(self, size: int, random: Random, *, least: int = 1) -> list[int]:
        """Places of the things touched among `size`, rising; the first one drawn takes turns over the repeats."""
        count = min(size, max(least, _share(self.strength, size)))
        lead = self.lead(size)
        rest = random.permutation([place for place in range(size) if place != lead])
        return sorted([lead, *(int(place) for place in rest[: count - 1])])

    def lead(self, size: int) -> int:
        """The place among `size` whose turn it is in this repeat."""
        turns = generator("perturbation", *self.parts, self.kind, self.strength).permutation(size)
        return int(turns[self.repeat % size])

    def with_history(self, items: Sequence[Interaction], words: str) -> Variant:
        history = tuple(replace(one, position=place) for place, one in enumerate(items))
        demos = shown_demos(self.setting)
        return self._variant(history, demos, tuple(range(len(demos))), words)

    def with_demos(
        self, demos: Sequence[Demonstration], origin: Sequence[int], words: str, touched: Sequence[int]
    ) -> Variant:
        made = self._variant(shown_history(self.setting), tuple(demos), tuple(origin), words)
        return replace(made, touched=tuple(touched))

    def _variant(
        self, history: tuple[Interaction, ...], demos: tuple[Demonstration, ...], origin: tuple[int, ...], words: str
    ) -> Variant:
        case = replace(self.setting.case, history=history)
        return Variant(self.kind, self.strength, self.repeat, case, demos, origin, words=words)

    def named(self, items: Sequence[Interaction]) -> str:
        known = self.setting.items
        return _listed([quoted((known.get(one.item_id) or self._item(one.item_id)).title) for one in items])

    def _item(self, item: str) -> Item:
        return self.setting.dataset.item(item)


def _history_drop(draw: _Draw) -> Variant:
    shown = shown_history(draw.setting)
    gone = draw.chosen(len(shown), draw.random())
    kept = [one for place, one in enumerate(shown) if place not in gone]
    return draw.with_history(kept, f"{draw.named([shown[place] for place in gone])} left out of the history")


def _history_swap(draw: _Draw) -> Variant:
    """Disjoint pairs of neighbours change places; a pair touches two items."""
    shown, random = list(shown_history(draw.setting)), draw.random()
    wanted = max(1, _share(draw.strength, len(shown)) // 2)
    firsts = len(shown) - 1
    pairs: list[int] = []
    for first in [draw.lead(firsts), *(int(place) for place in random.permutation(firsts))]:
        if len(pairs) < wanted and all(abs(first - other) > 1 for other in pairs):
            pairs.append(first)
    names = [f"{draw.named([shown[first]])} and {draw.named([shown[first + 1]])}" for first in sorted(pairs)]
    for first in pairs:
        shown[first], shown[first + 1] = shown[first + 1], shown[first]
    return draw.with_history(shown, f"{'; '.join(names)} swapped in the history")


def _history_shuffle(draw: _Draw) -> Variant:
    shown, random = shown_history(draw.setting), draw.random()
    places = draw.chosen(len(shown), random, least=2)
    mixed = list(shown)
    for place, source in zip(places, _deranged(places, random), strict=True):
        mixed[place] = shown[source]
    return draw.with_history(mixed, f"{draw.named([shown[place] for place in places])} shuffled in the history")


def _popular_replace(draw: _Draw) -> Variant:
    shown, random = list(shown_history(draw.setting)), draw.random()
    catalogue, free = draw.setting.dataset.catalogue, _free(draw.setting)
    words = []
    for place in draw.chosen(len(shown), random)[: len(free)]:
        apart = np.abs(catalogue.popularity[free] - catalogue.popularity[catalogue.places[shown[place].item_id]])
        nearest = np.argsort(apart, kind="stable")[:ALIKE]
        pick = int(random.choice(nearest))
        new = replace(shown[place], item_id=catalogue.ids[int(free[pick])])
        words.append(f"{draw.named([shown[place]])} replaced by {draw.named([new])}")
        shown[place] = new
        free = np.delete(free, pick)
    return draw.with_history(shown, "; ".join(words))


def _inject(draw: _Draw) -> Variant:
    shown, random = list(shown_history(draw.setting)), draw.random()
    count = max(1, _share(draw.strength, len(shown)))
    new = [Interaction(item.item_id, position=0) for item in _unrelated(draw.setting, count, random)]
    for one in new:
        shown.insert(int(random.integers(len(shown) + 1)), one)
    return draw.with_history(shown, f"{draw.named(new)} added to the history")


def _demo_permute(draw: _Draw) -> Variant:
    demos, random = shown_demos(draw.setting), draw.random()
    places = draw.chosen(len(demos), random, least=2)
    origin = list(range(len(demos)))
    for place, source in zip(places, _deranged(places, random), strict=True):
        origin[place] = source
    return draw.with_demos([demos[k] for k in origin], origin, f"{_labels(places)} in another order", places)


def _demo_drop(draw: _Draw) -> Variant:
    demos = shown_demos(draw.setting)
    gone = draw.chosen(len(demos), draw.random())
    origin = [place for place in range(len(demos)) if place not in gone]
    return draw.with_demos([demos[k] for k in origin], origin, f"{_labels(gone)} left out", gone)


def _demo_duplicate(draw: _Draw) -> Variant:
    """Copies stand behind the last demonstration, so that everything before them stays as it is."""
    demos = shown_demos(draw.setting)
    twice = draw.chosen(len(demos), draw.random())
    origin = [*range(len(demos)), *twice]
    return draw.with_demos([demos[k] for k in origin], origin, f"{_labels(twice)} repeated at the end", twice)


def _label_flip(draw: _Draw) -> Variant:
    demos = list(shown_demos(draw.setting))
    flipped = draw.chosen(len(demos), draw.random())
    for place in flipped:
        old = demos[place]
        answer = "no" if old.liked else "yes"
        demos[place] = replace(old, liked=not old.liked, demo_id=f"{old.user_id}:{old.position}:{answer}")
    return draw.with_demos(demos, range(len(demos)), f"answer of {_labels(flipped)} flipped", flipped)


def _typos(draw: _Draw) -> Variant:
    letters, random = _letters(draw.setting), draw.random()
    count = max(1, _share(draw.strength, len(letters)))
    picked = sorted(int(place) for place in random.permutation(len(letters))[:count])
    places: dict[str, list[int]] = {}
    for item, place in (letters[pick] for pick in picked):
        places.setdefault(item, []).append(place)
    titles = {item: _mistyped(draw.setting.items[item].title, at, random) for item, at in places.items()}
    words = f"{count} character{'s' * (count != 1)} mistyped in {_listed([quoted(title) for title in titles.values()])}"
    return replace(draw.with_history(shown_history(draw.setting), words), titles=titles)


_WAYS: dict[Kind, Callable[[_Draw], Variant]] = {
    "history_drop": _history_drop,
    "history_swap": _history_swap,
    "history_shuffle": _history_shuffle,
    "popular_replace": _popular_replace,
    "inject": _inject,
    "demo_permute": _demo_permute,
    "demo_drop": _demo_drop,
    "demo_duplicate": _demo_duplicate,
    "label_flip": _label_flip,
    "typos": _typos,
}


def _check(kinds: Sequence[Kind], strengths: Sequence[float], repeats: int) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise RequestError(f"perturbation {str(kind)[:40]!r}", expected=f"one of {', '.join(KINDS)}")
    for strength in strengths:
        if not 0 < strength <= 1:
            raise RequestError(f"strength {strength:g}", expected="a share above 0 and up to 1")
    if repeats < 1:
        raise RequestError(f"{repeats} repeats", expected="1 or more")


def _share(strength: float, size: int) -> int:
    """`strength` of `size`, rounded half up."""
    return int(strength * size + 0.5)


def _deranged(places: Sequence[int], random: Random) -> list[int]:
    """The places in an order where none keeps its own (a random cycle, by Sattolo's algorithm)."""
    order = list(places)
    for last in range(len(order) - 1, 0, -1):
        other = int(random.integers(last))
        order[last], order[other] = order[other], order[last]
    return order


def _free(setting: Setting) -> NDArray[np.int64]:
    """Places, in the catalogue, of items that the user never met and that are not candidates, [item]."""
    catalogue = setting.dataset.catalogue
    taken = {one.item_id for one in setting.dataset.history(setting.case.user_id)} | set(setting.case.candidates)
    return np.setdiff1d(np.arange(len(catalogue.ids)), [catalogue.places[item] for item in taken])


def _unrelated(setting: Setting, count: int, random: Random) -> list[Item]:
    """Items that share no category with the history shown, as far as `TRIES` draws find them; else any free ones."""
    dataset = setting.dataset
    known = {name for one in shown_history(setting) for name in dataset.item(one.item_id).categories}
    order = random.permutation(_free(setting))[: max(TRIES, count)]
    drawn = [dataset.item(dataset.catalogue.ids[int(place)]) for place in order]
    return sorted(drawn, key=lambda item: not known.isdisjoint(item.categories))[:count]


def _letters(setting: Setting) -> list[tuple[str, int]]:
    """Item id and place of every letter or digit in titles of the history and the demonstrations, once per item.

    Titles of candidates are left alone: the answers that are scored never change.
    """
    shown = [one.item_id for one in shown_history(setting)]
    for demo in shown_demos(setting):
        shown += [*demo.history[max(0, len(demo.history) - setting.spec.history) :], demo.item_id]
    return [
        (item, place)
        for item in dict.fromkeys(shown)
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


def _labels(places: Sequence[int]) -> str:
    return _listed([f"D{place + 1}" for place in places])


def _listed(names: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))

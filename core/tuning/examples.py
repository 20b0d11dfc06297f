"""The examples that a model is tuned and judged on: an interaction, and what its user had liked before it.

Nothing at or after an interaction's moment enters its example, neither demonstrations nor histories; the history of a
demonstration ends before the demonstration's moment. Interactions at the same moment are left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from core.data.dataset import Dataset
from core.data.duck import first_row
from core.data.records import Case, Demonstration, Interaction
from core.errors import DataError, RequestError
from core.prompt.build import build
from core.prompt.codes import Codes
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt, Tokenizer
from core.seeds import generator


@dataclass(frozen=True)
class Window:
    """A half-open stretch of time: since <= timestamp < until, in the data's own seconds; None means without end."""

    since: float | None = None
    until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has no end at all."""
        return self.since is None and self.until is None

    @property
    def condition(self) -> str:
        """SQL condition of the interactions inside, with `parameters`; an open window holds those without time, too."""
        return "true" if self.is_open else "timestamp >= $since AND timestamp < $until"

    @property
    def parameters(self) -> dict[str, object]:
        """Values of the names in `condition`."""
        if self.is_open:
            return {}
        since = -math.inf if self.since is None else self.since
        return {"since": since, "until": math.inf if self.until is None else self.until}

    def holds(self, moment: float | None) -> bool:
        """Whether a timestamp lies inside."""
        if moment is None:
            return self.is_open
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Example:
    """One interaction to predict, with what happened strictly before it."""

    user_id: str
    position: int
    """Of the query interaction in the user's stream, from 0."""
    timestamp: float | None
    item_id: str
    liked: bool
    """The query's true answer."""
    history: tuple[str, ...]
    """Item ids liked before the query, oldest first."""
    demos: tuple[Demonstration, ...]
    """The most recent interactions before the query, both answers (`next_item`: liked ones only), oldest first."""

    def with_titles(self, count: int) -> Example:
        """The same with the latest `count` titles of its own history."""
        return replace(self, history=self.history[max(0, len(self.history) - count) :])


def split_times(dataset: Dataset, *, share: float = 0.8, validation: float = 0.1) -> tuple[Window, Window, Window]:
    """Windows of training, validation and test, in this order of time.

    The test begins at the moment below which `share` of all interactions lie; validation is the latest `validation`
    share of what lies before it. Raises `DataError` for data without timestamps, `RequestError` for shares outside
    0 < share < 1 and 0 <= validation < 1.
    """
    if not 0 < share < 1 or not 0 <= validation < 1:
        raise RequestError(
            f"shares {share} and {validation}", expected="one between 0 and 1, and one from 0 to below 1"
        )
    _check_time(dataset)
    cut = dataset.time_cut(share)
    early = _quantile(dataset, Window(until=cut), 1 - validation) if validation else cut
    return Window(until=early), Window(early, cut), Window(since=cut)


def periods(dataset: Dataset, window: Window, count: int) -> tuple[Window, ...]:
    """At most `count` windows of about equal numbers of interactions, in order of time; equal timestamps stay together.

    Fewer come back where many interactions share a timestamp. Raises `DataError` for data without timestamps,
    `RequestError` for less than one period.
    """
    if count < 1:
        raise RequestError(f"{count} periods", expected="at least 1")
    _check_time(dataset)
    cuts = sorted({_quantile(dataset, window, place / count) for place in range(1, count)})
    inner = [cut for cut in cuts if window.since is None or cut > window.since]
    edges = [window.since, *inner, window.until]
    return tuple(Window(since, until) for since, until in pairwise(edges))


def examples_in(
    dataset: Dataset,
    window: Window,
    *,
    demos: int,
    history: int,
    limit: int | None = None,
    seed: int = 0,
    family: Family = "yes_no",
) -> tuple[Example, ...]:
    """An example for each interaction inside the window, by user and position; `limit` of them drawn by the seed.

    `demos` is the most demonstrations, `history` the most titles in each history. `next_item` uses liked interactions
    only; `yes_no` leaves out interactions without a rating, which have no answer.
    Raises `DataError` when the window has no such interaction, `RequestError` for negative numbers, for a window with
    ends over data without timestamps, and for `yes_no` over data without ratings.
    """
    if min(demos, history) < 0 or (limit is not None and limit < 1):
        raise RequestError(
            f"{demos} demonstrations, {history} titles, {limit} examples", expected="0 or more, and at least 1 example"
        )
    if not window.is_open:
        _check_time(dataset)
    check_answerable(dataset, (family,))
    places = _queries(dataset, window, family)
    if limit is not None and limit < len(places):
        random = generator(dataset.dataset_id, "examples", window.since, window.until, family, seed)
        places = [places[chosen] for chosen in sorted(random.permutation(len(places))[:limit].tolist())]
    streams = _streams(dataset, dict.fromkeys(user for user, _ in places), family)
    return tuple(streams[user].example(position, demos, history) for user, position in places)


def check_answerable(dataset: Dataset, families: Iterable[Family]) -> None:
    """Raise `RequestError` for a family with labels over data without ratings."""
    if any(FAMILIES[family].labelled for family in families) and not dataset.has_ratings:
        raise RequestError(
            f"the data set {dataset.name} has no ratings, or only equal ones, so nobody is known to have said No",
            expected="family next_item, which needs none",
        )


def prompt_of(
    example: Example,
    dataset: Dataset,
    tokenizer: Tokenizer,
    *,
    family: Family,
    context: int | None = None,
    codes: Codes | None = None,
    candidates: tuple[str, ...] | None = None,
) -> Prompt:
    """The example's prompt without a chat template; its only candidate is the query's item, unless others are named.

    Raises `PromptError` as `core.prompt.build.build` does.
    """
    items = (example.item_id,) if candidates is None else candidates
    case = Case(
        dataset_id=dataset.dataset_id,
        user_id=example.user_id,
        split="time",
        history=tuple(Interaction(item, place) for place, item in enumerate(example.history)),
        candidates=items,
        target=example.item_id,
        moment=example.timestamp,
        seed=0,
    )
    titles = [*items, *example.history]
    titles += [item for demo in example.demos for item in (*demo.history, demo.item_id)]
    return build(
        case,
        example.demos,
        dataset.items(dict.fromkeys(titles)),
        tokenizer,
        family=family,
        noun=dataset.noun,
        history=max(map(len, (example.history, *(demo.history for demo in example.demos)))),
        context=context,
        codes=codes,
    )


@dataclass(frozen=True)
class _UserStream:
    """One user's interactions that have an answer, in order of time."""

    user_id: str
    interactions: tuple[Interaction, ...]
    liked: tuple[bool, ...]
    demo_places: tuple[int, ...]
    """Places in `interactions` that may be demonstrations."""

    def example(self, position: int, demos: int, history: int) -> Example:
        place = bisect_left(self.interactions, position, key=lambda row: row.position)
        query, moment = self.interactions[place], _clock(self.interactions[place])
        before = self._before(self.demo_places, moment)
        return Example(
            user_id=self.user_id,
            position=position,
            timestamp=query.timestamp,
            item_id=query.item_id,
            liked=self.liked[place],
            history=self._titles(moment, history),
            demos=tuple(self._demo(demo, history) for demo in self.demo_places[max(0, before - demos) : before]),
        )

    def _demo(self, place: int, history: int) -> Demonstration:
        row = self.interactions[place]
        return Demonstration(
            demo_id=f"{self.user_id}:{row.position}",
            user_id=self.user_id,
            position=row.position,
            history=self._titles(_clock(row), history),
            item_id=row.item_id,
            liked=self.liked[place],
            source="recent",
        )

    def _titles(self, moment: float, count: int) -> tuple[str, ...]:
        """The latest `count` item ids liked strictly before `moment`, oldest first."""
        before = range(self._before(range(len(self.interactions)), moment) - 1, -1, -1)
        latest = islice((self.interactions[place].item_id for place in before if self.liked[place]), count)
        return tuple(latest)[::-1]

    def _before(self, places: Sequence[int], moment: float) -> int:
        """How many of `places` lie strictly before `moment`."""
        return bisect_left(places, moment, key=lambda place: _clock(self.interactions[place]))


def _clock(interaction: Interaction) -> float:
    """What orders interactions: the timestamp, or the position where the data have none."""
    return interaction.position if interaction.timestamp is None else interaction.timestamp


def _check_time(dataset: Dataset) -> None:
    if not dataset.has_time:
        raise DataError(
            f"the data set {dataset.name} has no timestamps, so nothing tells what was known before the test",
            expected="a timestamp column; cases and demonstrations can be looked at without one",
        )


def _quantile(dataset: Dataset, window: Window, share: float) -> float:
    """The discrete quantile of the window's timestamps. Raises `DataError` for an empty window."""
    query = f"SELECT quantile_disc(timestamp, $share) FROM interactions WHERE {window.condition}"
    (moment,) = first_row(dataset.cursor(), query, {"share": share, **window.parameters})
    if moment is None:
        raise DataError("no interaction lies in the stretch of time that is to be divided", expected="more data")
    return float(str(moment))


def _usable(dataset: Dataset, family: Family) -> str:
    """SQL condition of the interactions that can be queries or demonstrations."""
    if not dataset.has_ratings:
        return "true"
    return "rating IS NOT NULL" if FAMILIES[family].labelled else f"rating >= {dataset.like_threshold!r}"


def _queries(dataset: Dataset, window: Window, family: Family) -> list[tuple[str, int]]:
    """(user id, position) of the query interactions, by user and position."""
    query = (
        "SELECT user_id, position FROM interactions JOIN users USING (user_id)"
        f" WHERE {window.condition} AND {_usable(dataset, family)} ORDER BY place, position"
    )
    rows = dataset.cursor().execute(query, window.parameters).fetchall()
    if not rows:
        what = "interaction with a rating" if FAMILIES[family].labelled else "liked interaction"
        raise DataError(
            f"no {what} of the data set {dataset.name} lies {_window_words(window)}",
            expected="a stretch of time with interactions",
        )
    return rows


def _window_words(window: Window) -> str:
    since = "" if window.since is None else f" from {window.since:.0f}"
    until = "" if window.until is None else f" before {window.until:.0f}"
    return f"in time{since}{until}" if since or until else "anywhere"


def _streams(dataset: Dataset, users: Iterable[str], family: Family) -> dict[str, _UserStream]:
    query = (
        "SELECT user_id, item_id, position, rating, timestamp FROM interactions"
        f" WHERE user_id IN (SELECT unnest($users)) AND {_usable(dataset, 'yes_no')} ORDER BY user_id, position"
    )
    streams: dict[str, list[Interaction]] = {user: [] for user in users}
    for user, *rest in dataset.cursor().execute(query, {"users": list(streams)}).fetchall():
        streams[user].append(Interaction(*rest))
    return {user: _stream(dataset, user, rows, family) for user, rows in streams.items()}


def _stream(dataset: Dataset, user: str, rows: Sequence[Interaction], family: Family) -> _UserStream:
    liked = tuple(map(dataset.liked, rows))
    demo_places = tuple(place for place, answer in enumerate(liked) if answer or FAMILIES[family].labelled)
    return _UserStream(user, tuple(rows), liked, demo_places)

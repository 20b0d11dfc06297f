"""The interactions of a play at each of its steps, and the demonstrations that are known by then.

A strategy picks anew at every step, and knows what was known then: the user's interactions up to the new one, and of
other users what lies strictly before the next one. Without timestamps positions are the clock, and an interaction made
by hand moves it on by one, as any other does.

The strategy `recent` shows a window of the stream. With a window of exactly K latest interactions the first one shown
would be another one at every step, and nothing behind it could be remembered. So the window begins at a multiple of K
in the user's stream and shows the latest K to 2K - 1: it grows by one a step, then the oldest K leave it at once. Where
it begins depends on the number of interactions, not on where a play began, so the same interactions give the same list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.analysis.subject import case_for, demonstrations_for
from core.data.dataset import Dataset, answer_rating
from core.data.model_reader import ModelReader
from core.data.records import Case, Demonstration, Interaction
from core.errors import DataError, RequestError
from core.personal.personalise_task import PersonaliseTask, StepKind, answer_of, windowed
from core.prompt.families import FAMILIES
from core.question.case_spec import CaseSpec
from core.words import brief


@dataclass(frozen=True)
class PlayedInteraction:
    """One interaction of a play: of the user's stream, or added by hand."""

    item_id: str
    liked: bool
    demo_id: str
    """`user:position`; one added by hand is `added-1`, which names no interaction of the data."""
    position: int | None = None
    timestamp: float | None = None

    @property
    def kind(self) -> StepKind:
        """Where it comes from."""
        return "added" if self.position is None else "stream"


@dataclass(frozen=True)
class Play:
    """A case and the interactions that join its history, one after the other."""

    spec: CaseSpec
    dataset: Dataset
    case: Case
    """With everything before its moment as history."""
    interactions: tuple[PlayedInteraction, ...]
    """All interactions at the end, oldest first, those added by hand last."""
    start: int
    """How many of them come before the first step."""
    notices: tuple[str, ...]

    def case_at(self, count: int) -> Case:
        """The case after the first `count` interactions, at the moment of the next one of the stream.

        Behind its last one it is the case's own moment. Interactions made by hand carry ratings that say their answers.
        """
        streamed = sum(row.kind == "stream" for row in self.interactions[:count])
        following = next(iter(self.rated[streamed:]), None)
        met = self.case.history if following is None else self.case.history[: following.position]
        by_hand = tuple(
            Interaction(row.item_id, place, answer_rating(liked=row.liked))
            for place, row in enumerate(self.interactions[streamed:count], start=len(met))
        )
        moment = self.case.moment if following is None else following.timestamp
        return replace(self.case, history=met + by_hand, moment=moment)

    @property
    def rated(self) -> tuple[Interaction, ...]:
        """The stream: the interactions before the case's moment whose answer is known."""
        return rated(self.case, self.dataset)

    def demonstrations(self, count: int, reader: ModelReader | None = None) -> tuple[Demonstration, ...]:
        """Those shown after the first `count` interactions; some strategies need a model's `reader`."""
        return self._window(count) if windowed(self.spec) else self._picked(count, self.case_at(count), reader)

    def as_time_passes(self, count: int, reader: ModelReader | None = None) -> tuple[Demonstration, ...]:
        """Those that would be shown at the same moment if the last of `count` interactions had not happened."""
        if windowed(self.spec) or self.case.moment is None:
            return self.demonstrations(count - 1, reader)
        return self._picked(count - 1, replace(self.case_at(count - 1), moment=self.case_at(count).moment), reader)

    def _picked(self, count: int, case: Case, reader: ModelReader | None) -> tuple[Demonstration, ...]:
        """What the strategy picks for a case that knows the first `count` interactions, those by hand under their ids.

        Only they stand behind the interactions of the data in the case's history.
        """
        by_hand = [row.demo_id for row in self.interactions[:count] if row.kind == "added"]
        names = dict(enumerate(by_hand, start=len(case.history) - len(by_hand)))
        return tuple(
            replace(demo, demo_id=names[demo.position], source="manual")
            if demo.user_id == case.user_id and demo.position in names
            else demo
            for demo in demonstrations_for(self.spec, self.dataset, case, reader)
        )

    def _window(self, count: int) -> tuple[Demonstration, ...]:
        """The latest K to 2K - 1 of the first `count` interactions (`next_item`: of the liked ones), oldest first."""
        both = FAMILIES[self.spec.family].labelled
        usable = [place for place in range(count) if both or self.interactions[place].liked]
        return tuple(self._demonstration(usable[place]) for place in window(len(usable), self.spec.demos))

    def _demonstration(self, place: int) -> Demonstration:
        interaction, history = self.interactions[place], self.spec.history
        liked = [earlier.item_id for earlier in self.interactions[:place] if earlier.liked]
        return Demonstration(
            demo_id=interaction.demo_id,
            user_id=self.case.user_id,
            position=place,
            history=tuple(liked[-history:]) if history > 0 else (),
            item_id=interaction.item_id,
            liked=interaction.liked,
            source="recent" if interaction.kind == "stream" else "manual",
        )


def rated(case: Case, dataset: Dataset) -> tuple[Interaction, ...]:
    """The interactions of a case's history whose answer is known."""
    return tuple(row for row in case.history if dataset.is_rated(row))


def window(count: int, demos: int) -> range:
    """Places, among `count` interactions in time order, of those shown: the latest K to 2K - 1 for K = `demos`.

    The first place is a multiple of K, so that K steps in a row have the same one; fewer than K are all shown.
    """
    return range(max(count // demos - 1, 0) * demos, count) if demos > 0 else range(0)


def play_of(task: PersonaliseTask, dataset: Dataset) -> Play:
    """The play of a task.

    Nothing at or after the case's moment takes part, the target least of all. Raises `RequestError` for more known
    interactions than there are before it, `DataError` for an unknown user or item, and for a user with nothing to play.
    """
    case = case_for(task.case, dataset)
    user = case.user_id
    stream = rated(case, dataset)
    count = _count_of(task, user, len(stream))
    interactions = [
        PlayedInteraction(row.item_id, dataset.liked(row), f"{user}:{row.position}", row.position, row.timestamp)
        for row in stream[:count]
    ]
    interactions += _added(task, dataset)
    start = count - min(task.steps, count)
    notices = tuple(_notices(task, count, interactions[start:]))
    return Play(task.case, dataset, case, tuple(interactions), start, notices)


def _count_of(task: PersonaliseTask, user: str, there: int) -> int:
    if there == 0 and not task.added:
        subject = f"user {brief(user)} has no interaction before the case's moment"
        raise DataError(subject, expected="at least one to play, or one made by hand")
    count = task.known or there
    if count > there:
        subject = f"{count} known interactions of user {brief(user)}"
        raise RequestError(subject, expected=f"at most {there}, those strictly before the case's moment", where="known")
    return count


def _added(task: PersonaliseTask, dataset: Dataset) -> list[PlayedInteraction]:
    additions = []
    for number, text in enumerate(task.added, start=1):
        item_id, liked = answer_of(text)
        if item_id not in dataset.catalogue:
            subject = f"item {brief(item_id)} is not in the data set {dataset.name}"
            raise DataError(subject, expected="an item id of this data set", where="added")
        additions.append(PlayedInteraction(item_id, liked, f"added-{number}"))
    return additions


def _notices(task: PersonaliseTask, count: int, steps: list[PlayedInteraction]) -> list[str]:
    spec, notices = task.case, []
    if count < task.steps:
        notices.append(f"{task.steps} steps were asked for; {count} can be played, as no more interactions are known.")
    if spec.demos == 0:
        notices.append("No demonstrations are asked for, so a new interaction changes only the history in the query.")
    elif not windowed(spec):
        notices.append(
            "Demonstrations are picked anew at every step, from what is known by then: of other users, only what lies"
            " before this user's next interaction."
        )
    return [*notices, *_about_the_window(spec, steps)] if windowed(spec) else notices


def _about_the_window(spec: CaseSpec, steps: list[PlayedInteraction]) -> Iterator[str]:
    """Why the user's latest interactions are shown, how many of them, and which not."""
    if spec.demo_ids is not None:
        yield "Demonstrations chosen by hand are not played: every step shows the user's latest interactions."
    if spec.demos > 1:
        yield (
            f"The prompt shows the latest {spec.demos} to {2 * spec.demos - 1} demonstrations: the oldest"
            f" {spec.demos} leave it together, so that most steps reuse what was read before."
        )
    if spec.demos > 1 and spec.order == "nearest_first":
        yield "The user's latest interactions stand in order of time, the newest last, so that a step can be reused."
    out = sum(not interaction.liked for interaction in steps)
    if not FAMILIES[spec.family].labelled and out:
        which = "1 new interaction is" if out == 1 else f"{out} new interactions are"
        yield f"{which} not liked; prompts of the family {spec.family} show liked ones only."

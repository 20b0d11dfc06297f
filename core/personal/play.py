"""The interactions of a play at each of its steps, and which of them are demonstrations.

With a window of exactly K latest interactions the first demonstration would be another one at every step, and nothing
behind it could be remembered. So the window begins at a multiple of K in the user's stream and shows the latest K to
2K - 1: it grows by one a step, then the oldest K leave it at once. Where it begins depends on the number of
interactions, not on where a play began, so the same interactions give the same list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.analysis.subject import case_for
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction
from core.errors import DataError, RequestError
from core.personal.personalise_task import PersonaliseTask, StepKind, answer_of
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
    case: Case
    """With everything before its moment as history, in data with ratings everything that has one."""
    interactions: tuple[PlayedInteraction, ...]
    """All interactions at the end, oldest first, those added by hand last."""
    start: int
    """How many of them come before the first step."""
    notices: tuple[str, ...]

    def case_at(self, count: int) -> Case:
        """The case after the first `count` interactions."""
        rows = enumerate(self.interactions[:count])
        return replace(
            self.case, history=tuple(Interaction(row.item_id, place, None, row.timestamp) for place, row in rows)
        )

    def liked(self, interaction: Interaction) -> bool:
        """The answer of an interaction of `case_at`."""
        return self.interactions[interaction.position].liked

    def demonstrations(self, count: int) -> tuple[Demonstration, ...]:
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
    rated = tuple(row for row in case.history if dataset.is_rated(row))
    count = _count_of(task, user, len(rated))
    interactions = [
        PlayedInteraction(row.item_id, dataset.liked(row), f"{user}:{row.position}", row.position, row.timestamp)
        for row in rated[:count]
    ]
    interactions += _added(task, dataset)
    start = count - min(task.steps, count)
    notices = tuple(_notices(task, count, interactions[start:]))
    return Play(task.case, replace(case, history=rated), tuple(interactions), start, notices)


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
    if spec.demo_ids is not None or spec.strategy != "recent":
        notices.append("A play shows the user's latest interactions, whatever other demonstrations were chosen.")
    if spec.demos == 0:
        notices.append("No demonstrations are asked for, so a new interaction changes only the history in the query.")
    if spec.demos > 1:
        notices.append(
            f"The prompt shows the latest {spec.demos} to {2 * spec.demos - 1} demonstrations: the oldest"
            f" {spec.demos} leave it together, so that most steps reuse what was read before."
        )
    out = sum(not interaction.liked for interaction in steps)
    if not FAMILIES[spec.family].labelled and out:
        which = "1 new interaction is" if out == 1 else f"{out} new interactions are"
        notices.append(f"{which} not liked; prompts of the family {spec.family} show liked ones only.")
    return notices

"""What do sets of demonstrations do to the case's own list, which had no part in the choice between them?"""

from __future__ import annotations

from collections.abc import Mapping

from core.analysis.ledger import aggregate_of
from core.analysis.setting import Setting
from core.data.records import Demonstration
from core.lm.scoring.many import ManyScorer
from core.metrics.intervals import Floats
from core.metrics.ranking import best_first, expected_ndcg, ranks
from core.prompt.families import FAMILIES
from core.question.targets import field_margin
from core.selection.improve_task import Outcome, PlacesRow, SetRole
from core.selection.pool_effects import prompt_with


class ListsOfSets:
    """The scores of all candidates of a case under each of several sets, one prompt a set."""

    def __init__(self, setting: Setting, sets: Mapping[SetRole, tuple[Demonstration, ...]]) -> None:
        self.setting, self.sets = setting, sets
        case, scorer = setting.case, ManyScorer(setting.model, aggregate=aggregate_of(setting.spec))
        table = scorer.scores([prompt_with(setting, demos) for demos in sets.values()])
        if setting.spec.calibrated:
            table = table - scorer.scores([setting.content_free()])
        self.scores: dict[SetRole, Floats] = dict(zip(sets, table, strict=True))
        """Scores [candidate] under each set, nats."""
        self.tokens = scorer.cost.tokens
        """Tokens that were run."""
        self.target = case.candidates.index(str(case.target)) if case.target in case.candidates else None
        """Candidate index of the item really chosen next; None where it is no candidate."""

    def outcomes(self) -> tuple[Outcome, ...] | None:
        """The target under each set; None where it is no candidate."""
        if self.target is None:
            return None
        return tuple(self._outcome(which, self.target) for which in self.sets)

    def _outcome(self, which: SetRole, target: int) -> Outcome:
        scores = self.scores[which]
        return Outcome(
            which=which,
            demo_ids=tuple(demo.demo_id for demo in self.sets[which]),
            score=float(scores[target]),
            margin=float(field_margin(scores, target)),
            rank=ranks(scores)[target],
            candidates=len(scores),
            ndcg=expected_ndcg(scores, target),
        )

    def rows(self) -> tuple[PlacesRow, ...]:
        """Every candidate with its places and scores, the best place with the advised set first."""
        case, items = self.setting.case, self.setting.items
        names: tuple[SetRole, ...] = ("best", "current", "zero_shot")
        places = {which: ranks(self.scores[which]) for which in names}
        return tuple(
            PlacesRow.model_validate(
                {"item_id": case.candidates[index], "title": items[case.candidates[index]].title}
                | {"is_target": index == self.target}
                | {f"{which}_rank": places[which][index] for which in names}
                | {f"{which}_score": float(self.scores[which][index]) for which in names}
            )
            for index in best_first(places["best"], [items[item] for item in case.candidates])
        )

    def target_answer(self) -> str | None:
        """The target's true answer; None for `next_item`, a finished prompt, no target, and one without a rating."""
        if self.target is None or self.setting.case.logged is not None:
            return None
        case, dataset = self.setting.case, self.setting.data
        later = dataset.history(case.user_id)[len(case.history) :]
        chosen = next(row for row in later if (row.item_id, row.timestamp) == (case.target, case.moment))
        if not dataset.is_rated(chosen):
            return None
        return FAMILIES[self.setting.spec.family].answer(dataset.liked(chosen))

"""How far do other words of the prompt move the answer, beside other demonstrations of the same number?

Other demonstrations are the control: as many as the prompt holds, of other users drawn at random. The list is compared
by places, the demonstrations by their effect: what they change in the target's margin over the other candidates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.analysis.explain.faithfulness import number
from core.analysis.robustness.robustness_task import RewritingRow, RewritingSource, SensitivityRow
from core.analysis.robustness.sweep import estimate, estimate_of_difference
from core.analysis.robustness.variant import prompt_demos
from core.analysis.setting import Setting
from core.analysis.subject import demonstrations_for, item_ids
from core.analysis.values import Array
from core.data.records import Demonstration
from core.metrics.ranking import firsts, ranks
from core.prompt.spans import Prompt
from core.prompt.wordings import WORDINGS, other_wordings
from core.seeds import seed_of
from core.words import counted

TRIES = 4
"""Sets drawn for each one that is wanted, where users are so few that sets repeat."""
ScorePrompts = Callable[[Sequence[Prompt]], Array]


@dataclass(frozen=True)
class Rewriting:
    """The case's prompt in other words or with other demonstrations; `setting` is the case's, in its words."""

    source: RewritingSource
    name: str
    words: str
    setting: Setting
    demos: tuple[Demonstration, ...]

    def prompt(self) -> Prompt:
        """The whole prompt."""
        return self.setting.write(self.setting.case, self.demos)


@dataclass(frozen=True)
class RewritingScores:
    """Scores of each rewriting, less those without any history where scores are calibrated; the first is the case."""

    rewritings: tuple[Rewriting, ...]
    scores: Array
    """[rewriting, candidate]"""
    bare: Array | None
    """The same in the same words without demonstrations; None for a case that has none."""
    cut: bool
    """Whether one of the prompts but the case's own did not fit the model as a whole."""


def rewritings(setting: Setting) -> tuple[Rewriting, ...]:
    """The case as it is, in other words, and with other demonstrations, as many sets as there are other words."""
    own, demos = setting.spec.wording, prompt_demos(setting)
    unchanged = Rewriting("unchanged", own, WORDINGS[own].words, setting, demos)
    others = other_wordings(own) if reason_against_words(setting) is None else ()
    worded = [Rewriting("wording", row.name, row.words, _worded(setting, row.name), demos) for row in others]
    return unchanged, *worded, *_other_sets(setting, len(other_wordings(own)))


def reason_against_words(setting: Setting) -> str | None:
    """Why no other words are tried, one sentence; None where they are."""
    if setting.spec.template is not None:
        return "The prompt has a template of its own, which has no other wordings, so no other words are tried."
    if setting.model.codes_for(setting.dataset.dataset_id) is None:
        return None
    return "The prompt shows codes of users and items, which no other wording has, so no other words are tried."


def reason_against_sets(setting: Setting, scores: RewritingScores) -> str | None:
    """Why no other demonstrations are tried, one sentence; None where they are."""
    demos = len(prompt_demos(setting))
    if any(rewriting.source == "demonstrations" for rewriting in scores.rewritings):
        return None
    if demos == 0:
        return "The prompt holds no demonstration, so other words cannot be held beside other demonstrations."
    return f"Other users have no other set of {counted(demos, 'demonstration')} before this moment to hold beside."


def scored(rewritings: tuple[Rewriting, ...], score: ScorePrompts) -> RewritingScores:
    """Scores of every prompt, whole and without demonstrations, in one sweep."""
    settings = {each.setting.spec.wording: each.setting for each in reversed(rewritings)}
    spec, words = rewritings[0].setting.spec, list(settings)
    whole = [each.prompt() for each in rewritings]
    bare = [each.write(each.case, ()) for each in settings.values()] if rewritings[0].demos else []
    free = [each.content_free() for each in settings.values()] if spec.calibrated else []
    table = score([*whole, *bare, *free])
    of_words = [words.index(each.setting.spec.wording) for each in rewritings]
    stop = len(whole) + len(bare)
    without_history = table[stop:][of_words] if free else 0.0
    without_demos = table[len(whole) : stop][of_words] - without_history if bare else None
    cut = any(prompt.cut for prompt in [*whole[1:], *bare])
    return RewritingScores(rewritings, table[: len(whole)] - without_history, without_demos, cut)


def rewriting_rows(scores: RewritingScores, target: int | None, against: int | None) -> tuple[RewritingRow, ...]:
    """What each rewriting changes; `target` and `against` are candidate indices, None where there is none."""
    places = np.array([ranks(row) for row in scores.scores], dtype=np.float64)
    effects = _effects(scores, target, against)
    top = firsts(scores.scores[0])
    return tuple(
        RewritingRow(
            source=each.source,
            name=each.name,
            words=each.words,
            place=None if target is None else float(places[index, target]),
            place_change=None if target is None else float(places[index, target] - places[0, target]),
            order_change=float(np.abs(places[index] - places[0]).mean()),
            effect=number(effects[index]),
            effect_change=number(effects[index] - effects[0]),
            flips=top.isdisjoint(firsts(scores.scores[index])),
        )
        for index, each in enumerate(scores.rewritings)
    )


def sensitivity_rows(rows: Sequence[RewritingRow], *, seed: object) -> tuple[SensitivityRow, ...]:
    """Mean sizes of the changes by other words and by other demonstrations, with intervals over the prompts."""
    words, sets = (_Sizes.of(rows, source) for source in ("wording", "demonstrations"))
    made = [sizes.row(seed) for sizes in (words, sets) if len(sizes.order)]
    return (*made, _difference(words, sets, seed)) if len(made) == 2 else tuple(made)


@dataclass(frozen=True)
class _Sizes:
    """Sizes of the changes of one source, [rewriting]; nan where they are not defined."""

    source: RewritingSource
    place: Array
    order: Array
    effect: Array

    @classmethod
    def of(cls, rows: Sequence[RewritingRow], source: RewritingSource) -> _Sizes:
        chosen = [row for row in rows if row.source == source]
        columns: dict[str, list[float | None]] = {
            "place": [row.place_change for row in chosen],
            "order": [row.order_change for row in chosen],
            "effect": [row.effect_change for row in chosen],
        }
        sizes = {name: np.abs([math.nan if x is None else x for x in values]) for name, values in columns.items()}
        return cls(source, **sizes)

    def row(self, seed: object) -> SensitivityRow:
        estimates = {name: estimate(getattr(self, name), seed=(seed, self.source, name)) for name in MEASURES}
        return SensitivityRow.model_validate({"source": self.source, "count": len(self.order)} | estimates)


MEASURES = ("place", "order", "effect")


def _difference(words: _Sizes, sets: _Sizes, seed: object) -> SensitivityRow:
    estimates = {
        name: estimate_of_difference(getattr(words, name), getattr(sets, name), seed=(seed, "sensitivity", name))
        for name in MEASURES
    }
    count = len(words.order) + len(sets.order)
    return SensitivityRow.model_validate({"source": "difference", "count": count} | estimates)


def _effects(scores: RewritingScores, target: int | None, against: int | None) -> Array:
    """What the demonstrations change in the target's margin, [rewriting]; nan where there is none."""
    if target is None or scores.bare is None:
        return np.full(len(scores.scores), math.nan)
    return _margins(scores.scores, target, against) - _margins(scores.bare, target, against)


def _margins(scores: Array, target: int, against: int | None) -> Array:
    """Margin of the target over `against`, or over the mean of all other candidates, [rewriting]."""
    others = np.delete(scores, target, axis=1).mean(axis=1) if against is None else scores[:, against]
    margins: Array = scores[:, target] - others
    return margins


def _worded(setting: Setting, wording: str) -> Setting:
    return replace(setting, spec=setting.spec.model_copy(update={"wording": wording}))


def _other_sets(setting: Setting, count: int) -> Iterator[Rewriting]:
    """Up to `count` different sets of as many demonstrations as the prompt holds, of other users drawn at random."""
    demos = len(prompt_demos(setting))
    shown = {frozenset(demo.demo_id for demo in prompt_demos(setting))}
    for draw in range(TRIES * count if demos else 0):
        if len(shown) > count:
            return
        chosen = _random_set(setting, demos, draw)
        ids = frozenset(demo.demo_id for demo in chosen)
        if len(chosen) == demos and ids not in shown:
            shown.add(ids)
            words = f"{counted(demos, 'demonstration')} of other users, drawn at random"
            yield Rewriting("demonstrations", f"random {len(shown) - 1}", words, _knowing(setting, chosen), chosen)


def _random_set(setting: Setting, demos: int, draw: int) -> tuple[Demonstration, ...]:
    spec = setting.spec.model_copy(update={"strategy": "random", "demo_ids": None, "demos": demos})
    seeded = replace(setting.case, seed=seed_of("other demonstrations", setting.case.seed, draw))
    return demonstrations_for(spec, setting.dataset, seeded)


def _knowing(setting: Setting, demos: tuple[Demonstration, ...]) -> Setting:
    """The setting with the items that these demonstrations name."""
    missing = item_ids(setting.case, demos) - set(setting.items)
    return replace(setting, items=setting.items | setting.data.items(missing))

"""Does a recommendation stand when its case is changed? Kind after kind, one prefix-sharing sweep each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.analysis.explain.faithfulness import number
from core.analysis.ledger import Ledger, silent
from core.analysis.noise import measured_floor
from core.analysis.noise_floor import NoiseFloor, changes_sentence, within_noise
from core.analysis.robustness.inference import recommend
from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.robustness.perturb import prompt_of_variant, reason_against, variants
from core.analysis.robustness.perturbations import NAMES
from core.analysis.robustness.robustness_task import (
    BesideRewriting,
    LeftOut,
    Mode,
    ModeRow,
    RankLine,
    RewritingRow,
    RobustnessReport,
    RobustnessTask,
    SmallestFlip,
    TargetPlaces,
    VariantGrid,
    VariantRow,
    Weakest,
)
from core.analysis.robustness.sensitivity import (
    RewritingScores,
    reason_against_sets,
    reason_against_words,
    rewriting_rows,
    rewritings,
    scored,
    sensitivity_rows,
)
from core.analysis.robustness.sweep import Departures, departures, estimate, gains, rows_of, smallest_flip, weakest
from core.analysis.robustness.target_places import beside_rewritings, target_places
from core.analysis.robustness.variant import Variant
from core.analysis.setting import Setting, tie_notices
from core.analysis.subject import Subject
from core.analysis.values import Array
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import separate_tokens
from core.metrics.ranking import best_first, ranks
from core.prompt.case_source import CaseSource
from core.prompt.spans import Prompt
from core.question.targets import EXPLAINED
from core.question.task import Progress

FLOW = 20
"""Most candidates in the rank flow."""


def robustness(
    task: RobustnessTask,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[RobustnessReport]:
    """Reports of one case, one kind of perturbation more in each; the last has stage `complete`.

    Each kind's variants are scored in one sweep behind the original prompt, whose prefix is run once. Raises
    `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    sweep = _Sweep(ledger, ledger.set_up(dataset, subject), task.inference)
    scores = sweep.unchanged()
    sweep.measure_noise()
    grids = task.grids(len(sweep.setting.prompt.demos))
    reasons = {grid.kind: reason_against(sweep.setting, grid.kind) for grid in grids}
    left_out = tuple(LeftOut(kind=kind, reason=reason) for kind, reason in reasons.items() if reason is not None)
    for grid in grids:
        if reasons[grid.kind] is None:
            scores = sweep.joined(scores, grid)
            yield _Summary(sweep, scores).report(task, left_out)
    if task.compares:
        scores = sweep.rewritten(scores)
    yield ledger.complete(_Summary(sweep, scores).report(task, left_out))


@dataclass(frozen=True)
class _VariantScores:
    """Variants so far, and the scores of each mode before, [candidate], and after, [variant, candidate]."""

    variants: tuple[Variant, ...]
    base: dict[Mode, Array]
    scores: dict[Mode, Array]
    spread: Array | None = None
    """Standard deviation of the changed models' scores before, [candidate]."""
    rewritten: RewritingScores | None = None
    """The prompt in other words and with other demonstrations."""


class _Sweep:
    """Scores variants of one case, under the plain model and under the changed dual models."""

    def __init__(self, ledger: Ledger, setting: Setting, inference: InferenceSettings | None) -> None:
        self.ledger, self.setting, self.inference = ledger, setting, inference
        self.scorer = ledger.sweep()
        self.free: Array | float = 0.0
        self.separate = self.longest = 0
        self.noise: NoiseFloor | None = None
        """Of a server's scores, where there is a target."""

    def measure_noise(self) -> None:
        """Score the case again and again, where a server scores it and there is a target whose margin changes."""
        case, setting = self.setting.case, self.setting
        if setting.target is not None or case.target in case.candidates:
            weights = EXPLAINED["field"].weights(len(case.candidates), setting.targets[0])
            self.noise = measured_floor(self.ledger, setting, weights)

    def unchanged(self) -> _VariantScores:
        """The case as it is."""
        self.ledger.label = "scoring the candidates"
        prompt = self.setting.prompt
        scores = self.scorer.remember(prompt)
        self._count([prompt])
        self.free = self._content_free()
        base: dict[Mode, Array] = {"plain": scores - self.free}
        spread = None
        if self.inference is not None:
            base["changed"], spread = self._under(prompt, self.inference)
        return _VariantScores((), base, {mode: np.empty((0, len(scores))) for mode in base}, spread)

    def joined(self, scores: _VariantScores, grid: VariantGrid) -> _VariantScores:
        """The scores with those of one more kind."""
        self.ledger.label = NAMES[grid.kind]
        more_variants = variants(self.setting, kinds=[grid.kind], strengths=grid.strengths, repeats=grid.repeats)
        prompts = [prompt_of_variant(self.setting, variant) for variant in more_variants]
        more: dict[Mode, Array] = {"plain": self.scorer.scores(prompts) - self.free}
        self._count(prompts)
        if self.inference is not None:
            more["changed"] = np.array([self._under(prompt, self.inference)[0] for prompt in prompts])
        tables = {mode: np.concatenate([scores.scores[mode], rows]) for mode, rows in more.items()}
        return replace(scores, variants=(*scores.variants, *more_variants), scores=tables)

    def rewritten(self, scores: _VariantScores) -> _VariantScores:
        """The scores with those of the prompt in other words and with other demonstrations."""
        self.ledger.label = "other words and other demonstrations"
        return replace(scores, rewritten=scored(rewritings(self.setting), self._counted_scores))

    def _counted_scores(self, prompts: Sequence[Prompt]) -> Array:
        self._count(prompts)
        scores: Array = self.scorer.scores(prompts)
        return scores

    def _under(self, prompt: Prompt, settings: InferenceSettings) -> tuple[Array, Array]:
        """Scores under changed dual models, the same ones for every prompt, and their spread; both [candidate]."""
        changed = recommend(self.ledger.scorer(prompt), settings, self.setting.case.seed)
        return changed.scores - self.free, changed.spread

    def _content_free(self) -> Array | float:
        """Scores [candidate] under a prompt without any history, by the sweep's scorer; else 0."""
        if not self.setting.spec.calibrated:
            return 0.0
        prompt = self.setting.content_free()
        self._count([prompt])
        free: Array = self.scorer.scores([prompt])[0]
        return free

    def _count(self, prompts: Sequence[Prompt]) -> None:
        self.separate += separate_tokens(prompts)
        self.longest = max([self.longest, *(prompt.length for prompt in prompts)])


class _Summary:
    """The rows of a report from the scores so far."""

    def __init__(self, sweep: _Sweep, scores: _VariantScores) -> None:
        self.sweep, self.setting, self.scores = sweep, sweep.setting, scores
        case = self.setting.case
        chosen_scored = case.target in case.candidates
        self.chosen = case.candidates.index(str(case.target)) if chosen_scored else None
        """Candidate index of the item really chosen next; None where it is no candidate."""
        # Candidate indices of what the target score is of, and of what it is held against.
        self.target: int | None = None
        self.against: int | None = None
        if chosen_scored or self.setting.target is not None:
            self.target, self.against = self.setting.targets
        self.seed = (case.user_id, case.seed)

    @cached_property
    def departures(self) -> dict[Mode, Departures]:
        """How far each mode's scores depart from its own without perturbation."""
        places = {"chosen": self.chosen, "target": self.target, "against": self.against}
        return {mode: departures(self.scores.base[mode], rows, **places) for mode, rows in self.scores.scores.items()}

    def report(self, task: RobustnessTask, left_out: tuple[LeftOut, ...]) -> RobustnessReport:
        """The report so far."""
        sweep, lines = self.sweep, self._lines()
        cells = [(variant.kind, variant.strength) for variant in self.scores.variants]
        head, ties = self.setting.head(task), tie_notices(self.scores.base["plain"])
        report = RobustnessReport.model_validate(head | {"tokens": sweep.longest})
        return report.model_copy(
            update={
                "target": report.target if self.target is not None else None,
                "notices": tuple(dict.fromkeys([*report.notices, *ties, *self._notices()])),
                "lines": lines,
                "rows": tuple(
                    row
                    for mode, apart in self.departures.items()
                    for row in rows_of(cells, apart, seed=self.seed, mode=mode)
                ),
                "modes": tuple(self._mode(mode, apart) for mode, apart in self.departures.items()),
                "variants": self._variant_rows(lines),
                "weakest": self._weakest(),
                "smallest": self._smallest(),
                "left_out": left_out,
                "rewritings": self._rewritings,
                "beside": self._beside(),
                "sensitivity": sensitivity_rows(self._rewritings, seed=self.seed),
                "noise": sweep.noise,
                "sweep_tokens": sweep.scorer.cost.tokens,
                "separate_tokens": sweep.separate,
                **sweep.ledger.spent(),
            },
        )

    def _notices(self) -> Iterator[str]:
        if self.chosen is None:
            undefined = "NDCG is" if self.target is not None else "NDCG and the target score are"
            yield f"The {self.setting.spec.truth} is not among the candidates, so {undefined} not defined."
        if (noise := self.sweep.noise) is not None and self.scores.variants:
            changes = self.departures["plain"].margin.tolist()
            yield changes_sentence(noise, changes, what="Changes of the target's margin", unit="variants")
        if self.setting.prompt.cut:
            yield "The prompt is cut to fit the model, so a change can also bring back or push out a title."
        if self.sweep.inference is not None:
            yield from self.sweep.inference.notices(len(self.setting.prompt.demos))
        if (rewritten := self.scores.rewritten) is not None:
            yield from filter(None, (reason_against_words(self.setting), reason_against_sets(self.setting, rewritten)))
            if rewritten.cut:
                yield "Some prompts in other words or with other demonstrations are cut to fit the model."

    def _within_noise(self) -> list[bool | None]:
        """Which variants change the target's margin by no more than the server's noise, [variant]."""
        changes, noise = self.departures["plain"].margin.tolist(), self.sweep.noise
        return [None] * len(changes) if noise is None else list(within_noise(changes, noise.floor))

    @cached_property
    def _rewritings(self) -> tuple[RewritingRow, ...]:
        rewritten = self.scores.rewritten
        return () if rewritten is None else rewriting_rows(rewritten, self.target, self.against)

    def _beside(self) -> tuple[BesideRewriting, ...]:
        if self.target is None:
            return ()
        return beside_rewritings(self.departures["plain"], self._rewritings, seed=self.seed)

    def _lines(self) -> tuple[RankLine, ...]:
        """The best candidates; what must be among them stands in place of the last ones where it is not."""
        case, base, changed = self.setting.case, self.scores.base["plain"], self.scores.base.get("changed")
        spread = self.scores.spread
        before, after = ranks(base), None if changed is None else ranks(changed)
        order = self._best_first(base)
        must = [index for index in (self.target, self.chosen) if index is not None]
        must += [] if changed is None else self._best_first(changed)[:1]
        flow = list(dict.fromkeys([*must, *order]))[:FLOW]
        return tuple(
            RankLine(
                item_id=case.candidates[index],
                title=self.setting.items[case.candidates[index]].title,
                is_target=case.candidates[index] == case.target,
                score=float(base[index]),
                rank=before[index],
                changed_score=None if changed is None else float(changed[index]),
                changed_spread=None if spread is None else number(spread[index]),
                changed_rank=None if after is None else after[index],
            )
            for index in order
            if index in flow
        )

    def _best_first(self, scores: Array) -> list[int]:
        return best_first(ranks(scores), [self.setting.items[item] for item in self.setting.case.candidates])

    def _top(self, index: int) -> str:
        """Item id that comes first under a variant of the plain model."""
        return self.setting.case.candidates[self._best_first(self.scores.scores["plain"][index])[0]]

    def _variant_rows(self, lines: tuple[RankLine, ...]) -> tuple[VariantRow, ...]:
        flow = [self.setting.case.candidates.index(line.item_id) for line in lines]
        after = [ranks(row) for row in self.scores.scores["plain"]]
        apart, noisy = self.departures["plain"], self._within_noise()
        return tuple(
            VariantRow(
                kind=variant.kind,
                strength=variant.strength,
                repeat=variant.repeat,
                words=variant.words,
                touched=variant.touched,
                ranks=tuple(after[index][candidate] for candidate in flow),
                top=self._top(index),
                flips=bool(apart.flips[index]),
                tau=number(apart.tau[index]),
                overlap=number(apart.overlap[index]),
                ndcg=number(apart.ndcg[index]),
                score=number(apart.score[index]),
                place=None if self.target is None else after[index][self.target],
                margin=number(apart.margin[index]),
                within_noise=noisy[index],
            )
            for index, variant in enumerate(self.scores.variants)
        )

    def _mode(self, mode: Mode, apart: Departures) -> ModeRow:
        base, scores, inference = self.scores.base[mode], self.scores.scores[mode], self.sweep.inference
        after = np.empty(0) if self.chosen is None else gains(scores, self.chosen)
        return ModeRow(
            mode=mode,
            name="plain" if mode == "plain" or inference is None else inference.name,
            variants=len(self.scores.variants),
            flips=estimate(apart.flips.astype(np.float64), seed=(self.seed, mode, "all flips")),
            tau=estimate(apart.tau, seed=(self.seed, mode, "all tau")),
            ndcg_before=None if self.chosen is None else float(gains(base[None], self.chosen)[0]),
            ndcg=estimate(after, seed=(self.seed, mode, "all ndcg")),
            target=self._target_places(mode, apart),
        )

    def _target_places(self, mode: Mode, apart: Departures) -> TargetPlaces | None:
        if self.target is None:
            return None
        base, kinds = self.scores.base[mode], [variant.kind for variant in self.scores.variants]
        place, seed = ranks(base)[self.target], (self.seed, mode)
        return target_places(base, apart, kinds, place=place, target=self.target, seed=seed)

    def _smallest(self) -> SmallestFlip | None:
        strengths = np.array([variant.strength for variant in self.scores.variants])
        index = smallest_flip(strengths, self.departures["plain"])
        if index is None:
            return None
        variant, top = self.scores.variants[index], self._top(index)
        title = self.setting.items[top].title
        return SmallestFlip(kind=variant.kind, strength=variant.strength, words=variant.words, top=top, title=title)

    def _weakest(self) -> Weakest | None:
        weakness = weakest([variant.touched for variant in self.scores.variants], self.departures["plain"])
        if weakness is None:
            return None
        flip = None if weakness.flip is None else self.scores.variants[weakness.flip]
        return Weakest(
            place=weakness.place,
            label=f"D{weakness.place + 1}",
            flips_with=None if flip is None else len(flip.touched),
            kind=None if flip is None else flip.kind,
            change=number(weakness.change),
            places=number(weakness.places),
            variants=weakness.variants,
        )

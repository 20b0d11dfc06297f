"""Whole games: the scores of all candidates at every subset of a case's demonstrations, to judge estimators by.

In the terms of cooperative game theory the demonstrations are the players, a subset of them is a coalition, and the
scores of the candidates are its value. With 8 demonstrations there are 256 coalitions, so every truth (Banzhaf values,
places, flip sets) is looked up instead of estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from bench.case_list import Bench, PromptSubject
from bench.constants import CANDIDATES, DEMOS
from bench.record_store import GAME_RECORDS, CaseRecord
from core.analysis.setting import Setting, setting_for
from core.analysis.values import Array, Masks, all_masks
from core.data.records import Strategy
from core.errors import DemoLensError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.prompt.families import Family
from core.question.case_spec import CaseSpec

HALF = 0.5
"""Learning rate of every demonstration at which the gradients are taken."""


@dataclass(frozen=True)
class GameKind:
    """Which prompts a game is about."""

    family: Family
    adapter: str | None
    strategy: Strategy

    @property
    def name(self) -> str:
        """Family, adapter and strategy in one word."""
        return f"{self.family}-{self.adapter or 'base'}-{self.strategy}"


DEFAULT_STRATEGY: Strategy = CaseSpec().strategy
KINDS = (
    GameKind("next_item", None, DEFAULT_STRATEGY),
    GameKind("yes_no", None, "recent"),
    GameKind("next_item", "recicl", "recent"),
    GameKind("yes_no", None, DEFAULT_STRATEGY),
    GameKind("next_item", None, "recent"),
    GameKind("yes_no", "recicl", "recent"),
    GameKind("next_item", "recicl", DEFAULT_STRATEGY),
    GameKind("yes_no", "recicl", DEFAULT_STRATEGY),
)
"""They take turns: any few games in a row mix families, adapters and strategies."""


@dataclass(frozen=True)
class GameSubject:
    """A prompt whose game is played."""

    kind: GameKind
    user: str
    setting: Setting

    @property
    def prompt_subject(self) -> PromptSubject:
        """The prompt and its target, for methods that explain one score."""
        prompt = self.setting.prompt
        return PromptSubject(self.user, self.kind.family, self.kind.strategy, prompt, self.setting.targets[0])

    @property
    def game_tokens(self) -> int:
        """New tokens of all subsets together, about what playing the game costs."""
        prompt = self.setting.prompt
        demos = np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64)
        tail = len(prompt.query.token_ids) + sum(len(span.token_ids) for span in prompt.candidates)
        return int(new_tokens(demos, tail).sum())


@dataclass(frozen=True)
class WholeGame:
    """All that is known of a case; subsets are in the order of `all_masks`."""

    kind: GameKind
    user: str
    target: int
    scores: Array
    """[subset, candidate], nats"""
    gradient_mean: Array
    """[demo]: derivative of the mean score over all candidates by every learning rate at 1/2, nats."""
    gradient_score: Array
    """[demo]: the same of the target's own score."""
    demo_tokens: Array
    """[demo]"""
    query_tokens: int
    candidate_tokens: Array
    """[candidate]"""
    length: int
    """Tokens of the longest full prompt: one F."""

    @property
    def name(self) -> str:
        """Kind and user."""
        return f"{self.kind.name}-user{self.user}"

    @property
    def masks(self) -> Masks:
        """Every subset, [subset, demo]."""
        return all_masks(len(self.demo_tokens))

    @property
    def gradient_field(self) -> Array:
        """[demo]: the derivative of the target's margin over the mean of the other candidates, by linearity."""
        candidates = self.scores.shape[1]
        return np.asarray((self.gradient_score - self.gradient_mean) * candidates / (candidates - 1))

    def costs(self, candidates: Sequence[int] | None = None) -> Array:
        """New tokens of each subset's prompt as a share of the full prompt, [subset]; all candidates by default.

        Only what follows the first missing demonstration is run, as in the product.
        """
        read = self.candidate_tokens if candidates is None else self.candidate_tokens[list(candidates)]
        return new_tokens(self.demo_tokens, self.query_tokens + read.sum()) / self.length


def new_tokens(demo_tokens: Array, tail: float) -> Array:
    """Tokens of each subset's prompt behind its first missing demonstration, [subset]; `tail` are query and candidates.

    What lies before is run once for all subsets.
    """
    masks = all_masks(len(demo_tokens))
    after_gap = np.logical_or.accumulate(~masks, axis=1)
    return np.asarray((masks & after_gap) @ demo_tokens + tail, dtype=np.float64)


def game_subjects(bench: Bench, users: Iterator[str], count: int) -> Iterator[GameSubject]:
    """`count` prompts of as many users with 8 demonstrations and 20 candidates each; the kinds take turns.

    Raises `SystemExit` with a sentence where the users do not suffice.
    """
    models: dict[str | None, LanguageModel] = {}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        if kind.adapter not in models:
            models[kind.adapter] = bench.model.with_adapter(kind.adapter)
        yield _next(bench, models[kind.adapter], kind, users)


def _next(bench: Bench, model: LanguageModel, kind: GameKind, users: Iterator[str]) -> GameSubject:
    for user in users:
        choices = {"strategy": kind.strategy, "history": CaseSpec().history, "adapter": kind.adapter}
        spec = bench.case(user, kind.family).model_copy(update=choices)
        try:
            setting = setting_for(spec, bench.dataset, model)
        except DemoLensError:
            continue
        if len(setting.prompt.demos) == DEMOS and len(setting.prompt.candidates) == CANDIDATES:
            return GameSubject(kind, user, setting)
    raise SystemExit("bench: the sample data have too few users for so many games")


def is_played(subject: GameSubject) -> bool:
    """Whether the scores of a prompt's game are stored."""
    return GAME_RECORDS.has("scores", _question(subject.setting))


def whole_game(subject: GameSubject) -> WholeGame:
    """The game of a prompt; what is not stored of it is measured now."""
    setting, prompt = subject.setting, subject.setting.prompt
    target, question = setting.targets[0], _question(setting)
    details = {"kind": subject.kind.name, "user": subject.user}
    scores = GAME_RECORDS.record("scores", question, partial(all_scores, setting), **details)
    slopes = GAME_RECORDS.record("gradients", [*question, target], partial(gradients, setting), **details)
    return WholeGame(
        kind=subject.kind,
        user=subject.user,
        target=target,
        scores=np.array(scores["scores"]),
        gradient_mean=np.array(slopes["mean"]),
        gradient_score=np.array(slopes["score"]),
        demo_tokens=np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64),
        query_tokens=len(prompt.query.token_ids),
        candidate_tokens=np.array([len(span.token_ids) for span in prompt.candidates], dtype=np.float64),
        length=prompt.length,
    )


def _question(setting: Setting) -> list[object]:
    prompt = setting.prompt
    spans = [span.token_ids for span in (*prompt.prefix, *prompt.candidates)]
    return [setting.model.model_id, prompt.answer_ids, spans]


def all_scores(setting: Setting) -> CaseRecord:
    """The scores [subset, candidate] at every subset of the demonstrations."""
    scorer = Scorer(setting.model, setting.prompt)
    return {"scores": scorer.subsets(all_masks(scorer.demos)).tolist(), "passes": scorer.passes}


def gradients(setting: Setting) -> CaseRecord:
    """Derivatives [demo] of the mean score and of the target's own by the learning rates, from one graph."""
    scorer = Scorer(setting.model, setting.prompt)
    gates = torch.full((scorer.demos,), HALF, device=setting.model.device, requires_grad=True)
    with torch.enable_grad():
        scores = scorer.gated(gates)
        (mean,) = torch.autograd.grad(scores.mean(), gates, retain_graph=True)
        (score,) = torch.autograd.grad(scores[setting.targets[0]], gates)
    return {"mean": mean.double().tolist(), "score": score.double().tolist()}

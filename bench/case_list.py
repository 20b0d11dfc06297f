"""On which prompts is everything measured?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.analysis.quality.utility_run import drawn_users
from core.analysis.quality.utility_task import UtilityTask
from core.analysis.request import Request
from core.analysis.subject import item_ids
from core.analysis.values import TargetScore
from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.records import Strategy
from core.data.strategies import pick
from core.errors import DemoLensError
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.score import Scorer
from core.prompt.build import build
from core.prompt.spans import Family, Prompt
from core.seeds import generator

THREADS = 2
DEMOS = 8
CANDIDATES = 20
LEAST_INTERACTIONS = 30
TUNED_USERS = 60
"""Users that the defaults were tuned on: so many, first in the order of seed `dev`. They are never measured on."""
FAMILIES: tuple[Family, ...] = ("yes_no", "next_item")
STRATEGIES: dict[Family, tuple[Strategy, ...]] = {"yes_no": ("recent", "random"), "next_item": ("recent", "similar")}
HISTORY: dict[Family, int] = {"yes_no": 8, "next_item": 10}
"""Titles in each history: with these the median prompt of either family has about 600 tokens (measured: 591, 589)."""


@dataclass(frozen=True)
class Subject:
    """One prompt and the candidate whose score is explained."""

    user: str
    family: Family
    strategy: Strategy
    prompt: Prompt
    target: int

    def ids(self, kept: np.ndarray | None = None) -> list[int]:
        """Token ids of the prompt with the target candidate and the demonstrations of the mask `kept` [demo]."""
        demos = [span for k, span in enumerate(self.prompt.demos) if kept is None or kept[k]]
        spans = (self.prompt.instruction, *demos, self.prompt.query, self.prompt.candidates[self.target])
        return [token for span in spans for token in span.token_ids]

    def packed_ids(self) -> list[int]:
        """Token ids of the prompt with all candidates one after the other."""
        spans = (*self.prompt.prefix, *self.prompt.candidates)
        return [token for span in spans for token in span.token_ids]

    def score(self, model: LanguageModel) -> TargetScore:
        """The target score with nothing remembered yet."""
        return TargetScore(Scorer(model, self.prompt), self.target)


@dataclass(frozen=True)
class Bench:
    """The sample model twice, with our attention and untouched, and the sample data."""

    model: LanguageModel
    dataset: Dataset
    seed: int

    @property
    def plain(self) -> Any:
        """The untouched network, with PyTorch's own fused attention."""
        return plain_network(self.model.folder)

    def users(self) -> Iterator[str]:
        """Users to measure on, in the order of the seed."""
        return measured_users(self.dataset, self.seed)

    def ranked(self) -> Iterator[tuple[str, int]]:
        """Users whose demonstrations are ranked by worth, in the order of the seed, and how many each is shown."""
        return ((user, DEMOS) for user in drawn_users(UtilityTask(seed=self.seed), self.dataset))

    def request(self, user: str, family: Family, *, demos: int = DEMOS, candidates: int = CANDIDATES) -> Request:
        """What is asked about a user's latest choice."""
        return Request(user=user, family=family, demos=demos, candidates=candidates)

    def notes(self) -> tuple[str, ...]:
        """What a reader of figures on these data should know, one sentence each."""
        return self.dataset.notices

    def subjects(self, count: int, *, demos: int = DEMOS) -> list[Subject]:
        """`count` prompts of as many users; families take turns, and within each of them its two strategies."""
        users = measured_users(self.dataset, self.seed)
        return [self._next(place, users, demos) for place in range(count)]

    def _next(self, place: int, users: Iterator[str], demos: int) -> Subject:
        family = FAMILIES[place % 2]
        strategy = STRATEGIES[family][place // 2 % 2]
        for user in users:
            try:
                subject = subject_of(self, user, family, strategy, demos)
            except DemoLensError:
                continue
            if len(subject.prompt.demos) == demos and len(subject.prompt.candidates) == CANDIDATES:
                return subject
        raise SystemExit("bench: the sample data have too few users for so many cases")


def opened(seed: int) -> Bench:
    """The sample model in fp32 on `THREADS` threads of the CPU, and the sample data."""
    torch.set_num_threads(THREADS)
    return Bench(load("sample", device="cpu", dtype="float32"), open_dataset("sample"), seed)


@cache
def plain_network(folder: Path) -> Any:
    """The network in a folder as the library loads it, once for all data sets."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    network = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    return network.eval().requires_grad_(False)


def measured_users(dataset: Dataset, seed: int) -> Iterator[str]:
    """Users to measure on, in the order of the seed: enough interactions, and not tuned on."""
    users = [user for user, count in dataset.users(limit=1_000) if count >= LEAST_INTERACTIONS]
    tuned = {users[place] for place in generator("dev").permutation(len(users))[:TUNED_USERS]}
    free = [user for user in users if user not in tuned]
    return iter([free[place] for place in generator("bench", seed).permutation(len(free))])


def subject_of(bench: Bench, user: str, family: Family, strategy: Strategy, demos: int) -> Subject:
    """The prompt of a user's latest choice. Raises `DemoLensError` for a user without a case."""
    dataset, history = bench.dataset, HISTORY[family]
    case = case_of(dataset, user, candidates=CANDIDATES)
    picked = pick(dataset, case, k=demos, strategy=strategy, history=history)
    prompt = build(
        case,
        picked,
        dataset.items(item_ids(case, picked)),
        bench.model.tokenizer,
        family=family,
        noun=dataset.noun,
        history=history,
        liked=dataset.liked,
        context=bench.model.context,
    )
    return Subject(user, family, strategy, prompt, case.candidates.index(str(case.target)))

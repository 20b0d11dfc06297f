"""The prompts of the sample data that everything is measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.constants import CANDIDATES, DEMOS, FAMILIES, HISTORY, STRATEGIES, THREADS
from bench.record_store import CaseRecord, RecordStore
from core.analysis.quality.utility_run import TUNED_HISTORY, TUNED_USERS, drawn_users
from core.analysis.quality.utility_task import UtilityTask
from core.analysis.setting import setting_for
from core.analysis.values import TargetScore
from core.data.dataset import Dataset, open_dataset
from core.data.records import Strategy
from core.errors import DemoLensError
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.score import Scorer
from core.prompt.families import Family
from core.prompt.spans import Prompt
from core.question.case_spec import CaseSpec
from core.seeds import generator


@dataclass(frozen=True)
class PromptSubject:
    """One prompt and the candidate whose score is explained."""

    user: str
    family: Family
    strategy: Strategy
    prompt: Prompt
    target: int

    def ids(self, mask: NDArray[np.bool_] | None = None) -> list[int]:
        """Token ids of the prompt with the target candidate and the demonstrations in `mask` [demo]; all by default."""
        demos = [span for k, span in enumerate(self.prompt.demos) if mask is None or mask[k]]
        spans = (self.prompt.instruction, *demos, self.prompt.query, self.prompt.candidates[self.target])
        return [token for span in spans for token in span.token_ids]

    def score(self, model: LanguageModel) -> TargetScore:
        """The target score, with no subset scored yet."""
        return TargetScore(Scorer(model, self.prompt), self.target)


@dataclass(frozen=True)
class Bench:
    """The sample model, with our attention and untouched, and the sample data."""

    model: LanguageModel
    dataset: Dataset
    seed: int

    @property
    def untouched(self) -> Any:
        """The untouched network, with PyTorch's own fused attention."""
        return plain_network(self.model.folder)

    def users(self) -> Iterator[str]:
        """Users to measure on, in the order of the seed."""
        return measured_users(self.dataset, self.seed)

    def ranked(self) -> Iterator[tuple[str, int]]:
        """Users whose demonstrations are ranked by worth, in the order of the seed, and how many each prompt has."""
        return ((user, DEMOS) for user in drawn_users(UtilityTask(users_seed=self.seed), self.dataset))

    def case(self, user: str, family: Family, *, demos: int = DEMOS, candidates: int = CANDIDATES) -> CaseSpec:
        """The spec about a user's latest choice, with the user's own latest interactions as demonstrations."""
        return CaseSpec(user=user, family=family, demos=demos, strategy="recent", candidates=candidates)

    def record(
        self, store: RecordStore, measurement: str, question: object, measure: Callable[[], CaseRecord]
    ) -> CaseRecord:
        """The record of a question about these data to this model, from `store` or measured now."""
        content = [self.model.model_id, self.dataset.dataset_id, question]
        return store.record(measurement, content, measure, question=question)

    def notes(self) -> tuple[str, ...]:
        """What a reader of figures on these data should know, one sentence each."""
        return self.dataset.notices

    def subjects(self, count: int, *, demos: int = DEMOS) -> list[PromptSubject]:
        """`count` prompts of as many users; families take turns, and within each of them its two strategies."""
        users = self.users()
        return [self._next(place, users, demos) for place in range(count)]

    def _next(self, place: int, users: Iterator[str], demos: int) -> PromptSubject:
        family = FAMILIES[place % 2]
        strategy = STRATEGIES[family][place // 2 % 2]
        for user in users:
            choices = {"strategy": strategy, "history": HISTORY[family]}
            try:
                spec = self.case(user, family, demos=demos).model_copy(update=choices)
                setting = setting_for(spec, self.dataset, self.model)
            except DemoLensError:
                continue
            case, prompt = setting.case, setting.prompt
            if len(prompt.demos) == demos and len(prompt.candidates) == CANDIDATES:
                return PromptSubject(user, family, strategy, prompt, case.candidates.index(str(case.target)))
        raise SystemExit("bench: the sample data have too few users for so many cases")


def open_bench(seed: int) -> Bench:
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


def packed_ids(prompt: Prompt) -> list[int]:
    """Token ids of a prompt with all candidates one after the other."""
    return [token for span in (*prompt.prefix, *prompt.candidates) for token in span.token_ids]


def measured_users(dataset: Dataset, seed: int) -> Iterator[str]:
    """Users to measure on, in the order of the seed: enough interactions, and not tuned on."""
    users = [user for user, count in dataset.users(limit=1_000) if count >= TUNED_HISTORY]
    tuned = {users[place] for place in generator("dev").permutation(len(users))[:TUNED_USERS]}
    free = [user for user in users if user not in tuned]
    return iter([free[place] for place in generator("bench", seed).permutation(len(free))])

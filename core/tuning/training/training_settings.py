"""The choices of a tuning run."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.data.records import Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import Family
from core.question.case_spec import Scoring, Text

TuningMethod = Literal["lora", "full"]
Loss = Literal["all", "query", "list"]

FORMAT = 1
"""Changes whenever equal settings would be tuned differently."""
FREE = frozenset({"minutes", "checkpoint_every", "keep"})
"""Choices that may change between the sessions of one run: they say when it pauses and what it leaves, not what
it learns."""
LIST_ONLY = frozenset({"strategies", "candidates", "popular", "shorten", "answer_weight", "scoring", "temperature"})
"""Choices that only loss `list` reads."""


class TuningSettings(BaseModel):
    """Every choice of a tuning run; equal settings, data and model on one machine give equal weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dataset: Text = "sample"
    """`sample`, the name of a data set that was added with `demolens data add`, or a folder with its files."""
    model: Text = "sample"
    """`sample`, a model folder, a `.gguf` file, or a hub name."""
    families: Annotated[tuple[Family, ...], Field(min_length=1, max_length=2)] = ("yes_no",)
    """Prompt families to tune on. Two of them share every batch half and half."""
    demos: Annotated[int, Field(ge=0, le=32)] = 4
    """Most demonstrations in a prompt. 0 is tuning without demonstrations, as in TALLRec (arXiv 2305.00447)."""
    history: Annotated[int, Field(ge=0, le=50)] = 3
    """Most titles in each history."""
    dropped: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of prompts that show a random number of demonstrations, 0 to all, so that every number works afterwards.
    Without effect where `demos` is 0."""
    codes: bool = False
    """Show user and item codes of 32 bits in every prompt, learned from the training interactions (BinLLM)."""
    context: Annotated[int, Field(ge=64, le=131072)] | None = None
    """Most tokens of a prompt. None means what the model takes."""
    method: TuningMethod = "lora"
    """`lora` learns small matrices beside every linear layer of the blocks. `full` changes every weight but the
    embeddings, and with them an output layer that shares their weights."""
    adapter: Text | None = None
    """An adapter whose matrices the run begins with, in place of fresh ones: `recicl`, `tallrec`, or its folder. Rank
    and alpha must be its own."""
    rank: Annotated[int, Field(ge=1, le=256)] = 8
    """Rank of the LoRA matrices."""
    alpha: Annotated[int, Field(ge=1, le=1024)] = 16
    """LoRA's product is multiplied by alpha / rank."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout before the LoRA matrices."""
    loss: Loss = "all"
    """What is learned from. `all` takes the answers of the demonstrations and of the query, `query` the query's alone,
    `list` the place of the item really liked next among candidates behind one prompt."""
    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)] = ("co_likes", "recent", "mixed")
    """How demonstrations of a list are picked, at its moment: one of these is drawn for each list, and the first
    picks for validation (loss `list`)."""
    candidates: Annotated[int, Field(ge=2, le=64)] = 16
    """Candidates of a list: the item really liked next, and items that its user had not met by then (loss `list`)."""
    popular: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the other candidates that are drawn by their likes until then, the rest uniformly (loss `list`)."""
    shorten: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of lists whose own history shows a random number of titles, 0 to all, so that the demonstrations must be
    read (loss `list`)."""
    answer_weight: Annotated[float, Field(ge=0, le=10)] = 0.2
    """Weight of the mean loss of the demonstrations' answers beside a list's (loss `list`)."""
    scoring: Scoring = "calibrated"
    """How a title's tokens become one score, of `next_item` (loss `list`)."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Scores are divided by it before their softmax (loss `list`)."""
    class_balance: bool = False
    """Give Yes and No the same total weight over the training set."""
    batch: Annotated[int, Field(ge=1, le=4096)] = 16
    """Prompts per step."""
    micro_tokens: Annotated[int, Field(ge=64, le=1_000_000)] = 1024
    """Most tokens run at once, padding included. A batch is cut to this size and its gradients are added up."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    """Highest learning rate of AdamW. It rises in a line, then falls as a cosine to 0."""
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay of matrices."""
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Longest gradient. A longer one is scaled down."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often the training set is gone through."""
    most_steps: Annotated[int, Field(ge=1)] | None = None
    """Most steps, if that is less."""
    most_examples: Annotated[int, Field(ge=1)] | None = None
    """Most training examples. They are drawn at random by the seed, half of them for each of two families."""
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Longest time of training, over all sessions. The schedule stays that of all steps."""
    evaluate_every: Annotated[int, Field(ge=1)] = 50
    """Steps between validations."""
    validation_examples: Annotated[int, Field(ge=0)] = 200
    """Validation examples, drawn by the seed. 0 means no validation: then the last weights are kept."""
    patience: Annotated[int, Field(ge=1)] = 5
    """Validations without a better result after which training stops."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Share of all interactions, in order of time, that lie before the test."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of those, the latest, that is kept for validation."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 25
    """Steps between checkpoints."""
    keep: Literal["best", "last"] = "best"
    """Which weights are stored. `best` are those of the best validation, `last` those at the end, for a run that goes
    on from there."""
    half: bool = True
    """Store the adapter in 16 bits."""
    autocast: bool = True
    """Multiply matrices in bfloat16 on CUDA and on CPUs with AMX or AVX-512 BF16. The learned weights stay in 32
    bits."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass, to need less memory."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    seed: int = 0
    """Seed of everything that is drawn."""

    @model_validator(mode="after")
    def _consistent(self) -> TuningSettings:
        if len(set(self.families)) < len(self.families):
            raise ValueError(f"families names {self.families[0]} twice")
        if len(self.families) > self.batch:
            raise ValueError("a batch of one prompt cannot be shared by two families")
        if self.adapter is not None and self.method != "lora":
            raise ValueError("only method lora can begin from an adapter")
        if self.loss == "list":
            self._check_lists()
        return self

    def _check_lists(self) -> None:
        rows = [STRATEGIES[name] for name in self.strategies]
        other = next((row.name for row in rows if row.choose is None or row.needs_model), None)
        if other is not None:
            raise ValueError(f"strategy {other} cannot pick while a model is tuned")
        if self.gradient_checkpointing:
            raise ValueError("loss list keeps its activations; smaller micro_tokens need less memory")
        if self.class_balance:
            raise ValueError("loss list has no answers to balance")

    def key(self, *, dataset_id: str, model_id: str) -> str:
        """32 hex digits of what a run learns from: settings but for `FREE`, data and model."""
        idle = set(FREE) if self.loss == "list" else FREE | LIST_ONLY
        parts = [FORMAT, self.model_dump(mode="json", exclude=set(idle)), dataset_id, model_id]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def apart_from(self, other: TuningSettings) -> str | None:
        """The first choice in which a run of `other` is another run, in words; None if there is none."""
        for name in type(self).model_fields:
            value, other_value = getattr(self, name), getattr(other, name)
            if name not in FREE and value != other_value:
                return f"{name} {other_value!r:.60}, not {value!r:.60}"
        return None

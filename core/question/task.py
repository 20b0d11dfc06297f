"""A question about a case, and its answer: the base of every kind of task and report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializeAsAny, model_validator

from core.question.case_spec import SETTINGS, CaseSpec, Text
from core.question.targets import Explained

SCHEMA_VERSION = 6
"""Of the JSON of every report; rises when a field moves."""
Stage = Literal["partial", "scores", "first", "refined", "complete"]
"""How far a report is. Of an explanation: `scores` recommendations only, `first` one-gradient answer, `refined` the
method's answer. Of every other report: `partial`. `complete` is the last of all."""
Progress = Callable[[str, float], None]
"""`progress(label, fraction)`, called between forward passes; may raise `Cancelled`."""


class Record(BaseModel):
    """A frozen row; unknown fields are refused, NaN and infinities become null in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Task(BaseModel):
    """A question about a case; equal tasks have equal reports, apart from timings."""

    model_config = SETTINGS

    case: CaseSpec = CaseSpec()

    @property
    def named_targets(self) -> tuple[str | None, str | None]:
        """Item ids of the target and of the candidate it is held against, where the task names them."""
        return None, None

    @property
    def explained(self) -> Explained:
        """What of the target the task is about."""
        return "score"

    @property
    def variant(self) -> str:
        """What tells tasks of this kind apart whose cost per pass differs; empty for most kinds."""
        return ""

    @property
    def predicted_passes(self) -> float:
        """Full-prompt forward equivalents it will probably need once its demonstrations are picked."""
        raise NotImplementedError

    def sized(self, demos: int, candidates: int) -> Self:
        """The same question for forecasts, with the sizes of its case; a case from a file does not say them itself."""
        if not self.case.imported:
            return self
        sizes = {"demos": demos, "candidates": candidates, "demo_ids": None}
        return self.model_copy(update={"case": self.case.model_copy(update=sizes)})

    @property
    def picks(self) -> int:
        """How many times demonstrations are picked by the case's strategy."""
        return 1

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing at their defaults: what a job's key rests on."""
        return self.model_dump(mode="json") | {"case": self.case.effective()}


class TargetTask(Task):
    """A question about one candidate's score, or about its margin over another's."""

    target: Text | None = None
    """Item id of the candidate that is explained [default: the item really chosen next]."""
    against: Text | None = None
    """Item id of a second candidate, to explain the margin between the two."""

    @property
    def named_targets(self) -> tuple[str | None, str | None]:
        """Item ids of the target and of the candidate it is held against, where the task names them."""
        return self.target, self.against

    @property
    def explained(self) -> Explained:
        """What of the target the task is about."""
        return "score" if self.against is None else "pair"

    @model_validator(mode="after")
    def _two_candidates(self) -> TargetTask:
        if self.against is not None and self.against == self.target:
            raise ValueError("against must differ from target")
        return self


class DemoRow(Record):
    """One demonstration as it stands in the prompt, in prompt order."""

    demo_id: str
    label: str
    """`D1`, `D2`, … in prompt order."""
    user_id: str
    item_id: str
    title: str
    answer: str | None
    """`Yes` or `No` (`yes_no` only)."""
    history: tuple[str, ...]
    """Titles in the demonstration's history, oldest first."""
    source: str
    shows: tuple[str, ...] = ()
    """Item ids of the candidates that the demonstration shows, as its item or in its history."""
    text: str
    tokens: int


class Target(Record):
    """What is explained of which candidate."""

    item_id: str
    title: str
    explain: Explained = "score"
    against_id: str | None = None
    against_title: str | None = None


class DataReading(Record):
    """How the files of a data set were read."""

    noun: str
    """What an item is called in prompts."""
    like_threshold: float | None
    """Least rating that counts as liked; None without ratings, where every interaction counts as liked."""
    like_share: float | None
    """Share of the rated interactions that count as liked."""
    rating_column: str | None
    title_column: str | None
    unused_columns: tuple[str, ...]
    """Columns of the files that were not read."""


class ModelProof(Record):
    """How far the logits of shared and remembered passes lie from plain passes of the same network, measured when the
    model was loaded: largest differences, as shares of the spread of a row's logits."""

    packed: float
    """Several continuations of one beginning in one pass."""
    remembered: float
    """A continuation of remembered keys and values."""
    gate_one: float
    """Behind a demonstration with a learning rate of 1."""
    gate_zero: float
    """Behind a demonstration with a learning rate of 0, against one whose tokens are masked."""
    limit: float
    """Beyond it the model is refused."""


class ServerRecord(Record):
    """What was found of the server that gave the scores; its key stands nowhere."""

    address: str
    model: str
    """As the server names it."""
    software: str
    context: int
    """Most tokens of a prompt."""
    titles: str | None
    """How titles are scored; null where the server cannot."""
    labels: str | None
    """How labels such as Yes and No are scored; null where the server cannot."""
    tokenizer: str
    """Where the tokenizer of this machine comes from."""
    tokenizer_hash: str
    tokenizer_compared: bool
    """Whether the server's own tokenizer gave the same ids for a text."""


class TemplateRecord(Record):
    """The template that a person brought and the prompt was written with."""

    name: str
    """Of the file that it came from."""
    content_hash: str
    """First 16 hex digits of the SHA-256 of its four texts: the name under which it is stored."""

    @property
    def words(self) -> str:
        """Name and hash; the name is untrusted text."""
        return f"{self.name} (content {self.content_hash})"


class Provenance(Record):
    """Everything needed to repeat the numbers."""

    dataset_id: str
    dataset_name: str
    data: DataReading | None = None
    """None for a case from a file, and in results of versions before 0.2."""
    model_id: str
    """Hash of configuration and weights; of a server's model, of its address, name and tokenizer."""
    model_name: str
    adapter: str | None
    device: str
    dtype: str
    layers: int
    """0 of a server's model, which says none."""
    heads: int
    proof: ModelProof | None = None
    """None in results of versions before 0.2."""
    server: ServerRecord | None = None
    """What gave the scores; None for a model that is loaded here."""
    template: TemplateRecord | None = None
    """None where the prompt is written with a template that is shipped, and for a case from a file."""
    case_seed: int
    versions: dict[str, str]
    """demolens, python, torch, transformers and the other libraries that made the numbers."""
    created: str
    """UTC, ISO 8601."""
    command: str
    """The command line that repeats this report."""


class Report(Record):
    """The answer to a task, as complete as `stage` says."""

    schema_version: int = SCHEMA_VERSION
    task: SerializeAsAny[Task]
    stage: Stage = "partial"
    demos: tuple[DemoRow, ...] = ()
    """Demonstrations of the case, in prompt order."""
    target: Target | None = None
    provenance: Provenance
    tokens: int
    """Tokens of the longest full prompt."""
    forwards: int = 0
    """Forward passes so far."""
    passes: float = 0.0
    """Cost so far in full-prompt forward equivalents."""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

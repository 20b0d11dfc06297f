"""The card beside every tuned model: the data, the settings, the training curve and the result."""

from __future__ import annotations

import platform
import shlex
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from core.errors import MaterialError
from core.question import command_line
from core.question.task import Record
from core.store.material import LICENCES
from core.tuning.training.training_settings import TuningSettings

if TYPE_CHECKING:
    from core.data.dataset import Dataset

CARD = "card.json"
LONGEST = 5_000_000
"""Most bytes of a card."""
LIBRARIES = ("demolens", "torch", "transformers", "peft", "accelerate", "numpy", "duckdb")
TrainingStop = Literal["steps", "patience", "minutes"]
"""Why training ended: all steps were made, validation no longer got better, or the time was up."""


class Point(Record):
    """Where a run stood after some steps."""

    step: int
    loss: float | None
    """Mean training loss per answer since the point before, in nats; none at step 0."""
    learning_rate: float
    validation_auc: float | None = None
    """Of logit(Yes) - logit(No); none where nothing was validated, or only one answer occurs."""
    validation_loss: float | None = None
    """Mean cross entropy of the query's answer or title, or of the lists, in nats."""
    validation_ndcg: float | None = None
    """NDCG@10 of the validation lists (loss `list` only, as all that follows)."""
    validation_gain: float | None = None
    """That minus NDCG@10 of the same lists without demonstrations."""
    demo_attention: float | None = None
    """Share of attention that the prompt's last token pays to the demonstrations, mean over layers and heads."""
    demo_effect: float | None = None
    """Spread over candidates of what the demonstrations add to the scores, over the spread of the scores."""
    seconds: float = 0.0
    """Of training and validation until here, over all sessions."""


class LearnedFamily(Record):
    """What a family of prompts brought into the training."""

    family: str
    examples: int
    labels: int
    """Answers, titles or lists learned from in one epoch, before demonstrations are dropped at random."""
    yes: int | None = None
    """How many of the labels are Yes (`yes_no` only); the rest is No."""


class EarlierRun(Record):
    """A finished run whose adapter another one began with."""

    command: str
    learned: tuple[LearnedFamily, ...]
    steps: int
    planned_steps: int
    seconds: float


class Card(Record):
    """The whole account of a run."""

    format: Literal[1] = 1
    command: str
    key: str
    """Equal keys are equal settings, data and model."""
    settings: TuningSettings
    dataset_id: str
    dataset_name: str
    dataset_licence: str
    model_id: str
    model_name: str
    model_licence: str
    start_id: str | None = None
    """Of the adapter that the run began from, by its files; none where it began from the model alone."""
    earlier: tuple[EarlierRun, ...] = ()
    """The runs that made that adapter, oldest first, as far as its card tells."""
    device: str
    arithmetic: Literal["float32", "bfloat16"] | None = None
    """Number type in which matrices were multiplied; none in cards from before it was told."""
    processes: int
    versions: dict[str, str]
    train_until: float | None
    """Timestamp before which all training examples lie."""
    validation_until: float | None
    """Timestamp before which all validation examples lie, and at which the test begins."""
    learned: tuple[LearnedFamily, ...]
    validation_examples: int
    weights: int
    """Numbers that were trained."""
    steps: int
    """Steps made; the schedule's are `planned_steps`."""
    planned_steps: int
    stop: TrainingStop
    best_step: int
    """Step whose weights were kept."""
    best: Literal["validation_auc", "validation_loss", "validation_ndcg", "last"]
    """By which measure they were the best."""
    curve: tuple[Point, ...]
    seconds: float
    notices: tuple[str, ...] = ()
    prior: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weight of popularity in the ranking that is the default with this model, as `demolens blend` fits it; 0 for none.
    Training does not set it."""


def versions() -> dict[str, str]:
    """Of this package, its libraries and Python."""
    return {name: metadata.version(name) for name in LIBRARIES} | {"python": platform.python_version()}


def runs_of(card: Card) -> tuple[EarlierRun, ...]:
    """The run of a card after those that it builds on, oldest first."""
    fields = {name: getattr(card, name) for name in EarlierRun.model_fields}
    return (*card.earlier, EarlierRun.model_validate(fields))


def command_of(settings: TuningSettings, out: Path) -> str:
    """The command that repeats a run; it names the folder without its path."""
    return f"{command_line.command_of(settings, 'tune')} --out {shlex.quote(out.name)}"


def plain_name(name: str) -> str:
    """A model's name without the folders of this machine."""
    return Path(name).name if Path(name).is_absolute() else name


def licences(settings: TuningSettings, dataset: Dataset) -> tuple[str, str]:
    """The licences of data and model."""
    sample = next(f"{licence}: {note}" for name, licence, note, _ in LICENCES if name.startswith("SmolLM2"))
    return dataset.licence, sample if settings.model == "sample" else "see the model's own files"


def read_card(folder: Path) -> Card | None:
    """The card in a folder, None where there is none. Raises `MaterialError` for one that cannot be read."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        if path.stat().st_size <= LONGEST:
            return Card.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass
    raise MaterialError("the card cannot be read", expected="the card.json that demolens tune wrote", where=folder.name)


def later(moment: float | None, reference: float | None) -> bool:
    """Whether the first of two moments of a card or a window, without end if None, lies behind the other."""
    return moment is None or (reference is not None and moment > reference)


def readme(card: Card) -> str:
    """A short page about the tuned model, in Markdown."""
    settings = card.settings
    demos = f"{settings.demos} demonstrations" if settings.demos else "no demonstrations"
    subject = "A LoRA adapter" if settings.method == "lora" else "A model"
    families = f"prompt {'families' if len(settings.families) > 1 else 'family'} {' and '.join(settings.families)}"
    lines = [
        f"# {subject} for recommending with {demos}",
        "",
        f"Tuned from `{card.model_name}` ({card.model_id}){_begun(card)} on the data set"
        f" `{card.dataset_name}` ({card.dataset_id}), {families}, on interactions"
        f" before timestamp {_moment(card.train_until)}; the test begins at {_moment(card.validation_until)}.",
        "",
        *_results(card),
        "",
        f"Made by `{card.command}` in {_minutes(card.seconds)} on {card.device}. All choices, figures and"
        f" versions are in `{CARD}`.",
        "",
        *_before(card),
        f"Licence of the model: {card.model_licence}",
        "",
        f"Licence of the data: {card.dataset_licence}",
        "",
        *(f"- {notice}" for notice in card.notices),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _begun(card: Card) -> str:
    if card.settings.adapter is None:
        return ""
    return f", beginning with the adapter `{plain_name(card.settings.adapter)}` ({card.start_id}),"


def _before(card: Card) -> list[str]:
    if not card.earlier:
        return []
    rows = (
        f"{place}. `{run.command}`: {_examples(run.learned)}; {run.steps} of {run.planned_steps} steps,"
        f" {_minutes(run.seconds)}"
        for place, run in enumerate(card.earlier, start=1)
    )
    return ["Runs before it, each beginning with the adapter of the one before:", "", *rows, ""]


def _examples(learned: tuple[LearnedFamily, ...]) -> str:
    return ", ".join(f"{row.examples} examples ({row.labels} labels) of {row.family}" for row in learned)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes"


def _results(card: Card) -> list[str]:
    source = f"Learned from {_examples(card.learned)} in {card.steps} of {card.planned_steps} steps."
    measured = [point for point in card.curve if point.validation_loss is not None]
    if not measured:
        return [f"{source} Nothing was validated: these are the last weights."]
    best = next((point for point in measured if point.step == card.best_step), measured[-1])
    why = "They are the last." if card.best == "last" else "The best of several, so judge by a test."
    if best.validation_ndcg is not None:
        first = measured[0]
        return [
            f"{source} NDCG@10 on {card.validation_examples} validation lists: {_number(first.validation_ndcg)} at step"
            f" {first.step}, {_number(best.validation_ndcg)} at step {best.step}, whose weights these are; gain of the"
            f" demonstrations {_number(first.validation_gain)} and {_number(best.validation_gain)}. {why}"
        ]
    if best.validation_auc is None:
        return [f"{source} Validation loss {_number(measured[0].validation_loss)} -> {_number(best.validation_loss)}."]
    before = _number(measured[0].validation_auc)
    return [
        f"{source} Validation AUC on {card.validation_examples} examples: {before} at step {measured[0].step},"
        f" {_number(best.validation_auc)} at step {best.step}, whose weights these are. {why}"
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _moment(timestamp: float | None) -> str:
    return "-" if timestamp is None else f"{timestamp:.0f}"

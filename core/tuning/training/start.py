"""The adapter that a run begins from: its checks, its weights, and what it was tuned on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import Tensor

from core.data.dataset import Dataset
from core.errors import MaterialError, ModelError, RequestError
from core.lm.loading.adapter import CONFIG, LONGEST_CONFIG, WEIGHTS, checked_adapter
from core.lm.loading.hashes import model_id_of
from core.lm.loading.json_files import read_object
from core.prompt.codes import Codes
from core.tuning.examples import Window
from core.tuning.training.card import Card, EarlierRun, later, read_card, runs_of
from core.tuning.training.training_settings import TuningSettings


@dataclass(frozen=True)
class Start:
    """An adapter whose files passed every check that needs no network."""

    name: str
    content_id: str
    """16 hex digits of its files."""
    tensors: Mapping[str, Tensor]
    """By their names in PEFT's file."""
    notice: str
    """A warning about what it was tuned on; empty where all of it lies in the run's training period."""
    codes: Codes | None = None
    """Codes of users and items that it was tuned to read; None where it knows none."""
    runs: tuple[EarlierRun, ...] = ()
    """What made it, oldest first; empty where no card tells."""


def open_start(settings: TuningSettings, dataset: Dataset, windows: tuple[Window, Window, Window]) -> Start | None:
    """The adapter that a run begins from; None where it begins from the model alone.

    `windows` are the run's training, validation and test. Raises `ModelError` as `checked_adapter` does, and
    `RequestError` for an adapter of another rank or alpha, or one that was tuned on the run's test.
    """
    if settings.adapter is None:
        return None
    name, adapter = settings.adapter, checked_adapter(settings.adapter)
    config = read_object(adapter.path / CONFIG, longest=LONGEST_CONFIG, where=name)
    adapter_size, run_size = (config.get("r"), config.get("lora_alpha")), (settings.rank, settings.alpha)
    uneven = any(config.get(option) for option in ("rank_pattern", "alpha_pattern", "use_rslora", "use_dora"))
    if adapter_size != run_size or uneven:
        words = "not the same everywhere" if uneven else f"{str(adapter_size[0])[:20]} and {str(adapter_size[1])[:20]}"
        raise RequestError(
            f"rank and alpha of the adapter are {words}",
            expected=f"this run's {run_size[0]} and {run_size[1]}",
            where=name,
        )
    try:
        card = read_card(adapter.path)
    except MaterialError:
        card = None
    content_id = model_id_of(adapter.files, where=name)
    tensors = safetensors.torch.load_file(adapter.path / WEIGHTS)
    runs = () if card is None else runs_of(card)
    return Start(name, content_id, tensors, _notice(name, card, dataset, windows), adapter.codes, runs)


def _notice(name: str, card: Card | None, dataset: Dataset, windows: tuple[Window, Window, Window]) -> str:
    training, validation, _ = windows
    if card is None or card.dataset_id != dataset.dataset_id:
        return f"Nothing tells whether the adapter {name} had seen interactions of the validation or the test."
    if later(card.validation_until, validation.until):
        raise RequestError(
            f"the adapter {name} was tuned on interactions of this run's test", expected="one tuned before it"
        )
    if later(card.train_until, training.until):
        return f"The adapter {name} had learned from interactions of this run's validation."
    return ""


def check_codes(name: str, learned: Codes | None, run_codes: Codes | None) -> None:
    """Raise `RequestError` for a model or an adapter tuned to read other codes than the run shows (None: none)."""
    if learned not in (None, run_codes):
        raise RequestError(
            f"{name} knows {'' if run_codes is None else 'other '}user and item codes",
            expected="--codes, on the data, split and seed that it was tuned with",
        )


@torch.no_grad()
def copy_weights(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Give each weight the value of its name."""
    for name, weight in weights.items():
        weight.copy_(values[name])


def begin_from(weights: Mapping[str, Tensor], names: Mapping[str, str], start: Start) -> None:
    """Give each trainable weight the adapter's value; `names` maps its name in the network to that in PEFT's file.

    Raises `ModelError` for an adapter with other matrices.
    """
    shapes = {names[name]: tuple(weight.shape) for name, weight in weights.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in start.tensors.items()}:
        raise ModelError(
            "its matrices do not fit", expected="two beside every linear layer of this model's blocks", where=start.name
        )
    copy_weights(weights, {name: start.tensors[names[name]] for name in weights})

"""What the commands that keep a default choice share: its data and model, where it is kept, and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.output import write_or_print, write_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.comparison.comparison_settings import ListSettings
    from core.comparison.kept_choice import Choice
    from core.data.dataset import Dataset
    from core.lm.loading.load import LanguageModel


def opened(settings: ListSettings, report: Callable[[str, float], None]) -> tuple[Dataset, LanguageModel]:
    """The data, and the model with its adapter; raises what opening and loading raise."""
    from core.data.dataset import open_dataset
    from core.lm.loading.load import load

    report("opening the data", 0.0)
    dataset = open_dataset(settings.dataset)
    report("loading the model", 0.0)
    model = load(settings.model, device=settings.device, dtype=settings.dtype).with_adapter(settings.adapter)
    return dataset, model


def keep_and_print(choice: Choice, lines: Iterable[str], *, into: str, json_to: str) -> None:
    """Keep a choice in the folder `into`, or in the home, and print its lines and, where asked for, its JSON."""
    from core.comparison.kept_choice import keep_choice, write_choice

    if into:
        write_choice(choice, Path(into))
    else:
        keep_choice(choice)
    if json_to:
        write_or_print(json_to, choice.model_dump_json(indent=1) + "\n")
    if json_to != "-":
        write_out("\n".join(lines) + "\n")

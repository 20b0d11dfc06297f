"""The command that chooses the default demonstrations of a data set on validation lists and keeps the choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.output import check_target, write_or_print, write_out
from core.cli.progress import progress
from core.comparison.comparison_settings import ChoiceSettings
from core.question.checked import checked
from core.work.log import log_to_file


def choose(
    choices: dict[str, object],
    json_to: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write JSON too; - means stdout.", show_default=False)
    ] = "",
    into: Annotated[
        str,
        typer.Option("--into", metavar="FOLDER", help="Keep the choice there, not in the home.", show_default=False),
    ] = "",
) -> None:
    """Choose which demonstrations, how many and in which order are the default for a data set, on earlier lists."""
    settings = checked(ChoiceSettings, "choose", choices)
    check_target(json_to)
    log_to_file("command")
    from core.cli.comparison_lines import choice_lines
    from core.comparison.comparing import choose as chosen
    from core.comparison.kept_choice import keep_choice, kept_choice, with_fitted_blend, write_choice
    from core.data.dataset import open_dataset
    from core.lm.loading.load import load
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        report("opening the data", 0.0)
        dataset = open_dataset(settings.dataset)
        report("loading the model", 0.0)
        model = load(settings.model, device=settings.device, dtype=settings.dtype).with_adapter(settings.adapter)
        choice = chosen(settings, dataset, model, between=lambda arm: report(arm, 0.0))
        choice = with_fitted_blend(choice, kept_choice(dataset.dataset_id, settings.model, settings.adapter))
    if into:
        write_choice(choice, Path(into))
    else:
        keep_choice(choice)
    if json_to:
        write_or_print(json_to, choice.model_dump_json(indent=1) + "\n")
    if json_to != "-":
        write_out("\n".join(choice_lines(choice)) + "\n")

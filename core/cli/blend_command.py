"""The command that fits the weight of popularity in the ranking on validation lists and keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.output import check_target, write_or_print, write_out
from core.cli.progress import progress
from core.comparison.blend_settings import BlendSettings
from core.question.checked import checked
from core.work.log import log_to_file


def blend(
    choices: dict[str, object],
    json_to: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write JSON too; - means stdout.", show_default=False)
    ] = "",
    into: Annotated[
        str,
        typer.Option("--into", metavar="FOLDER", help="Keep the weight there, not in the home.", show_default=False),
    ] = "",
) -> None:
    """Fit which weight popularity gets beside the model's score, on earlier lists, and keep it as a default."""
    settings = checked(BlendSettings, "blend", choices)
    check_target(json_to)
    log_to_file("command")
    from core.cli.comparison_lines import blend_lines
    from core.comparison.blending import blend as blended
    from core.comparison.kept_choice import keep_choice, kept_choice, write_choice
    from core.data.dataset import open_dataset
    from core.lm.loading.load import load
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        report("opening the data", 0.0)
        dataset = open_dataset(settings.dataset)
        kept = kept_choice(dataset.dataset_id, settings.model, settings.adapter)
        report("loading the model", 0.0)
        model = load(settings.model, device=settings.device, dtype=settings.dtype).with_adapter(settings.adapter)
        choice = blended(settings, dataset, model, kept, between=report)
    if into:
        write_choice(choice, Path(into))
    else:
        keep_choice(choice)
    if json_to:
        write_or_print(json_to, choice.model_dump_json(indent=1) + "\n")
    if json_to != "-":
        write_out("\n".join(blend_lines(choice)) + "\n")

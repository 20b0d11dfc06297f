"""The command that fits the weight of popularity in the ranking on validation lists and keeps it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.choice_command import keep_and_print, opened
from core.cli.output import check_target
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
    from core.comparison.kept_choice import kept_choice
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        dataset, model = opened(settings, report)
        kept = kept_choice(dataset.dataset_id, settings.model, settings.adapter)
        choice = blended(settings, dataset, model, kept, between=report)
    keep_and_print(choice, blend_lines(choice), into=into, json_to=json_to)

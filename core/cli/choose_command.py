"""The command that chooses the default demonstrations of a data set on validation lists and keeps the choice."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.choice_command import keep_and_print, opened
from core.cli.output import check_target
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
    from core.comparison.kept_choice import kept_choice, with_fitted_blend
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        dataset, model = opened(settings, report)
        choice = chosen(settings, dataset, model, between=lambda arm: report(arm, 0.0))
        choice = with_fitted_blend(choice, kept_choice(dataset.dataset_id, settings.model, settings.adapter))
    keep_and_print(choice, choice_lines(choice), into=into, json_to=json_to)

"""The command `data`: adds interaction data under a name, after a report of what they were taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.data_lines import added_lines, list_lines, report_lines
from core.cli.options import with_own_options
from core.cli.output import check_target, write_or_print, write_out
from core.data.data_report import DataReport
from core.data.names import check_name, dataset_names, keep_named, named_dataset, origin_of, remove_named, unknown_name
from core.data.reading.import_choices import NONE, DataChoices
from core.data.reading.sources import recognised
from core.data.stored import prepared
from core.errors import DataError
from core.question.checked import checked
from core.store.names import form_fault
from core.words import brief
from core.work.log import log_to_file

LONGEST_PATH = 4096
data_app = typer.Typer(
    help="Add interaction data under a name: show what they were taken for, list, show and remove them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Json = Annotated[str, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - means stdout.")]


def add(
    choices: dict[str, object],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Files or folders with interactions, items.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The name to add the data under.", show_default=False)] = "",
    report: Annotated[bool, typer.Option("--report", help="Show the report and store nothing.")] = False,
    json_to: _Json = "",
) -> None:
    """Read interaction data, report what they were taken for, and store them under a name."""
    settings = _settings(choices)
    check_target(json_to)
    if not paths:
        raise DataError("no files", expected="the path of a file or folder", where="data add")
    if not report:
        if not name:
            raise DataError("no name", expected="--name NAME, or --report to store nothing", where="data add")
        check_name(name)
    log_to_file("command")
    sources = recognised(tuple(map(_path, paths)), settings)
    with prepared(sources) as data:
        if not report:
            keep_named(name, data, origin_of(sources))
        _show(data.report, json_to, [] if report else added_lines(name))


def _settings(choices: dict[str, object]) -> DataChoices:
    """The choices as one checked record; `--not-rated none` is an empty list."""
    if choices.get("not_rated") == [NONE]:
        choices = choices | {"not_rated": []}
    return checked(DataChoices, "data add", choices)


def _path(text: str) -> Path:
    fault = form_fault(text, longest=LONGEST_PATH)
    if fault:
        raise DataError(f"{brief(text)} is no path", expected=f"a file or folder, not a name {fault}", where="data add")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise DataError(f"{brief(text)} names the home of a user unknown here", where="data add") from None


def _show(report: DataReport, json_to: str, more: list[str]) -> None:
    if json_to:
        write_or_print(json_to, report.model_dump_json(indent=2) + "\n")
    if json_to != "-":
        write_out("\n".join([*report_lines(report), *more]) + "\n")


@data_app.command("list")
def list_names() -> None:
    """List the data sets that were added."""
    entries = [entry for name in dataset_names() if (entry := named_dataset(name)) is not None]
    write_out("\n".join(list_lines(entries)) + "\n")


@data_app.command("show")
def show(name: Annotated[str, typer.Argument(help="The data set's name.")], json_to: _Json = "") -> None:
    """Show the report of a data set that was added."""
    check_target(json_to)
    entry = named_dataset(name)
    if entry is None:
        raise unknown_name(name)
    more = [f"Added {entry.added} from {', '.join(entry.files)}; licence: {entry.licence}."]
    _show(entry.report, json_to, more)


@data_app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The data set's name.")]) -> None:
    """Remove a data set that was added; the files that it came from stay."""
    whole = remove_named(name)
    write_out(f"{name} is removed{'' if whole else '; its data stay, as another name has them'}.\n")


data_app.command("add")(with_own_options(add, DataChoices))

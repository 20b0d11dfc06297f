"""The `demolens` command but for its subcommand `app`, which `app.command` adds.

Errors are one sentence on stderr: status 2 for what a person can correct, 1 for a fault of DemoLens (with an error id),
130 after Ctrl-C. Whatever needs torch is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from core.cli.blend_command import blend
from core.cli.cases_command import cases
from core.cli.choose_command import choose
from core.cli.data_command import data_app
from core.cli.default_choices import filled
from core.cli.evaluate_command import evaluate
from core.cli.model_command import model
from core.cli.options import with_own_options, with_task_options
from core.cli.output import check_target, write_or_print, write_out
from core.cli.progress import progress
from core.cli.schemas import SHAPES, schema_text, write_schemas
from core.cli.template_option import with_template
from core.cli.tune_command import tune
from core.comparison.blend_settings import BlendSettings
from core.comparison.comparison_settings import ChoiceSettings
from core.errors import SHORT_OF_MEMORY, ComputeError, DemoLensError, MaterialError, RequestError, short_of_memory
from core.lm.server.address import name_server
from core.question.command_line import task_of
from core.question.kinds import KINDS, Kind, kind_of
from core.question.task import Report, Task
from core.store.home import fix_home
from core.store.results import Results
from core.tuning.evaluation.evaluation_settings import EvaluationSettings
from core.tuning.training.training_settings import TuningSettings
from core.work.envelope import enveloped
from core.work.job import job_key, package_version
from core.work.log import escaped, log_to_file, unexpected
from core.work.runner import quiet_environment
from core.work.stopping import STOPPED, interruptible, pressed, say_stopped

MISTAKE, FAULT = 2, 1
TOKENIZER = "Of a server's model: sample, a model folder, a .gguf file, or a hub name."
app = typer.Typer(
    help="See what each in-context demonstration teaches a language-model recommender, and whether to keep it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line and exit with its status."""
    interruptible()
    fix_home()
    for name, value in quiet_environment().items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # Titles may hold what an old terminal cannot show.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(status_of(lambda: app(standalone_mode=False)))


def status_of(run: Callable[[], object]) -> int:
    """The exit status of `run`, its error said in one sentence on stderr; no traceback ever."""
    try:
        status = run()
    except (KeyboardInterrupt, typer.Abort):
        return say_stopped()
    except typer.TyperException as error:
        return write_error(error.format_message(), MISTAKE)
    except DemoLensError as error:
        return write_error(str(error), MISTAKE)
    except BrokenPipeError:
        # The reader of a pipe left (`| head`); stdout must not be flushed into it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        if pressed():  # A library made another error of it.
            return say_stopped()
        log_to_file("command")
        sentence, _ = unexpected(error)
        return write_error(SHORT_OF_MEMORY, MISTAKE) if short_of_memory(error) else write_error(sentence, FAULT)
    if status == STOPPED:  # Typer turns Ctrl-C inside a command into this status, without a word.
        return say_stopped()
    return status if isinstance(status, int) else 0


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        write_out(f"demolens {package_version()}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        write_out(context.get_help() + "\n")


def _answer(task: Task, json_to: str) -> None:
    """Do the work, and print it or write it as JSON."""
    check_target(json_to)
    log_to_file("command")
    report = _report_of(task)
    try:
        _show(report, json_to)
    except RequestError as error:
        raise RequestError(f"{error.problem}{_stored(report)}", where=error.where) from None


def _show(report: Report, json_to: str) -> None:
    if json_to:
        write_or_print(json_to, report.model_dump_json(indent=2) + "\n")
    else:
        write_out("\n".join(kind_of(report.task).lines(report)) + "\n")


def _stored(report: Report) -> str:
    """Store what could not be written, where the page finds it; returns what to add to the sentence."""
    try:
        Results().save(job_key(report.task), enveloped(report.task, report.model_dump_json()))
    except MaterialError:
        return ""
    return "; the result is stored, the page shows it at once for the same choices"


def _add(kind: Kind) -> None:
    """The command of a kind of task."""

    def command(
        choices: dict[str, object],
        tokenizer: Annotated[str, typer.Option("--tokenizer", metavar="TEXT", help=TOKENIZER, show_default=False)] = "",
        json_to: Annotated[
            str, typer.Option("--json", metavar="FILE", help="Write JSON; - means stdout.", show_default=False)
        ] = "",
    ) -> None:
        name_server(choices.get("model"), tokenizer)
        choices = with_template(choices)
        _answer(task_of(kind.task, filled(kind, choices), kind.name), json_to)

    command.__doc__ = kind.summary
    app.command(kind.name)(with_task_options(command, kind.task))


for _kind in KINDS.values():
    _add(_kind)

app.command("tune")(with_own_options(tune, TuningSettings))
app.command("choose")(with_own_options(choose, ChoiceSettings))
app.command("blend")(with_own_options(blend, BlendSettings))
app.command("model")(model)
app.add_typer(data_app, name="data")
app.command("evaluate")(with_own_options(evaluate, EvaluationSettings))
app.add_typer(cases, name="cases")


@app.command()
def prepare(
    examples_into: Annotated[
        str,
        typer.Option(
            "--examples-into",
            metavar="FOLDER",
            help="Instead, compute the packaged examples there.",
            show_default=False,
        ),
    ] = "",
    example: Annotated[
        list[str] | None, typer.Option("--example", metavar="KIND", help="With the above: only this one; repeatable.")
    ] = None,
) -> None:
    """Fetch, unpack and check the sample model and data once; the pages' first examples come with the package."""
    if examples_into:
        write_out("".join(f"{path}\n" for path in _examples(Path(examples_into), example or [])))
    else:
        write_out(prepared_sentence() + "\n")


def _examples(folder: Path, kinds: list[str]) -> list[Path]:
    from core.cli.prepare import computed_examples
    from core.work.packaged import EXAMPLES

    if unknown := [kind for kind in kinds if kind not in EXAMPLES]:
        raise RequestError(
            f"no example of {unknown[0]!r:.40}", expected=f"one of {', '.join(EXAMPLES)}", where="--example"
        )
    log_to_file("command")
    with progress() as tell:
        return computed_examples(tell, folder, kinds or EXAMPLES)


@app.command()
def schema(
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help=f"One of {', '.join(SHAPES)}.", show_default=False)
    ] = "explain",
    into: Annotated[
        str, typer.Option("--into", metavar="FOLDER", help="Write every kind's schema there.", show_default=False)
    ] = "",
) -> None:
    """Print the JSON schema of what a command writes with --json; without KIND, of an explanation."""
    if into:
        write_out("".join(f"{path}\n" for path in write_schemas(Path(into))))
    else:
        write_out(schema_text(kind))


def prepared_sentence() -> str:
    """Make this machine ready, with progress on stderr; what is ready, in one sentence."""
    from core.cli.prepare import prepared

    log_to_file("command")
    with progress() as report:
        return prepared(report)


def _report_of(task: Task) -> Report:
    from core.work.engine import ModelEngine

    with progress() as tell:
        last = deque(ModelEngine().run(task, tell), maxlen=1)
    if not last:
        raise ComputeError("the run ended without a report")
    return last[0]


def write_error(sentence: str, status: int) -> int:
    """One sentence on stderr; returns the status to exit with."""
    sys.stderr.write(f"demolens: {escaped(sentence)}\n")
    return status


if __name__ == "__main__":
    main()

"""The commands about finished prompts: import them into a case file, check one, show the cuts of a case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import write_out
from core.errors import DataError, RequestError
from core.words import brief, counted
from core.work.log import escaped, log_to_file

if TYPE_CHECKING:
    from core.prompt.imported.answer_options import OptionSource
    from core.prompt.imported.case_file import PromptCase
    from core.prompt.imported.importing import ImportChoices, ImportReport

TEMPLATE_ENDS = (".j2", ".jinja", ".jinja2")
MOST_TITLES_BYTES = 64_000_000
MOST_TEMPLATE_BYTES = 400_000
MOST_REASONS = 20

cases = typer.Typer(
    help="Finished prompts of other programs: import, check and show them.", no_args_is_help=True, rich_markup_mode=None
)


@cases.command("import")
def import_(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Logged calls, tables or a prompt.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The case file to write.")],
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help="The format; auto recognises it by its keys.")
    ] = "auto",
    options: Annotated[
        str,
        typer.Option(
            "--options",
            metavar="SOURCE|A,B,…",
            help="Where options come from (labels, candidates, titles, completion), or the options themselves.",
        ),
    ] = "auto",
    titles: Annotated[
        str, typer.Option("--titles", metavar="FILE", help="Titles to choose from, one a line.", show_default=False)
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="FILE",
            help="A template that each row fills in; no code of it is run. A PATH that ends in .j2 is one too.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Most cases; 0 for all.")] = 0,
) -> None:
    """Import finished prompts into a case file, and say what became of every call."""
    from core.prompt.imported.importing import ImportChoices

    log_to_file("command")
    templates = [path for path in paths if path.lower().endswith(TEMPLATE_ENDS)] + [template] * bool(template)
    files = [Path(path) for path in paths if path not in templates]
    if len(templates) > 1 or not files:
        raise RequestError(f"{len(templates)} templates and {counted(len(files), 'file')}", expected="files of calls")
    source, labels = _options(options)
    choices = ImportChoices(
        format=format_name,
        options=source,
        labels=labels,
        titles=tuple(_titles(Path(titles))) if titles else (),
        template=_text(Path(templates[0]), MOST_TEMPLATE_BYTES) if templates else "",
        template_name=Path(templates[0]).name if templates else "",
        limit=limit,
    )
    write_out("\n".join(escaped(line) for line in import_lines(_imported(files, choices, out), out)) + "\n")


def _imported(files: Sequence[Path], choices: ImportChoices, out: str) -> ImportReport:
    """What became of the calls of files, once their cases are written."""
    from core.prompt.imported.case_file import write_cases
    from core.prompt.imported.importing import ImportReport, at_least_one, import_cases

    report = ImportReport()
    try:
        write_cases(Path(out), at_least_one(import_cases(files, choices, report), report))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise RequestError(f"{out!r} cannot be written: {reason}", where="--out") from None
    return report


def _options(words: str) -> tuple[OptionSource, tuple[str, ...]]:
    """The source of the options, and labels that were named themselves."""
    from core.prompt.imported.answer_options import SOURCES

    for source in SOURCES:
        if words == source:
            return source, ()
    labels = tuple(dict.fromkeys(label.strip() for label in words.split(",") if label.strip()))
    if len(labels) < 2:
        expected = f"one of {', '.join(SOURCES)}, or two or more labels such as Yes,No"
        raise RequestError(f"options {brief(words)}", expected=expected, where="--options")
    return "auto", labels


def _titles(path: Path) -> Iterator[str]:
    yield from dict.fromkeys(line.strip() for line in _text(path, MOST_TITLES_BYTES).splitlines() if line.strip())


def _text(path: Path, most: int) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise DataError(f"more than {most // 1000:,} kB", expected="a shorter file", where=path.name)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("bytes that are not UTF-8", expected="text in UTF-8", where=path.name) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"cannot be read: {reason}", where=path.name) from None


def import_lines(report: ImportReport, out: str) -> Iterator[str]:
    """What became of the calls, a line for each fact."""
    for name, kind in report.formats.items():
        yield f"{name}: read as {kind}"
    yield f"{counted(report.read, 'call')} read, {report.imported:,} imported into {out}"
    yield f"Cut by: {_listed(report.cutters)}"
    yield f"Demonstrations: {_listed({str(count): cases for count, cases in sorted(report.demos.items())})}"
    yield f"Options from: {_listed(report.options_from)}"
    for reason, count in report.skipped.most_common(MOST_REASONS):
        yield f"Skipped {count:,}: {reason} (first: {report.first_lines[reason]})"
    yield from _leak_lines(report)
    for notice in report.notices:
        yield f"Note: {notice}"


def _leak_lines(report: ImportReport) -> Iterator[str]:
    if report.leaky:
        share = f"{report.leaky:,} of {report.imported:,} cases ({100 * report.leaky / report.imported:.0f} %)"
        yield f"Leaks: in {share} the true answer stands in the prompt"
    for kind, count in report.findings.most_common():
        case_id, finding = report.examples[kind]
        yield f"  {kind}, {counted(count, 'case')}: {finding.sentence} (first: {case_id})"
    for finding in report.places.findings():
        yield f"  {finding.kind}: {finding.sentence}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


@cases.command("check")
def check(path: Annotated[str, typer.Argument(metavar="FILE", help="A case file.")]) -> None:
    """Check a case file: every line, and whether true answers stand in the prompts."""
    from core.prompt.imported.case_file import read_cases
    from core.prompt.imported.importing import ImportReport

    report = ImportReport()
    for case in read_cases(Path(path)):
        report.add(case)
    lines = [f"{counted(report.imported, 'case')}, each whole", f"Cut by: {_listed(report.cutters)}"]
    write_out("\n".join(escaped(line) for line in [*lines, *_leak_lines(report)]) + "\n")


@cases.command("show")
def show(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A case file.")],
    case_id: Annotated[
        str, typer.Option("--case", metavar="ID", help="Its id or content hash; without it, the first.")
    ] = "",
) -> None:
    """Show the cuts of a case: each part with its kind, then options, true answer and notices."""
    case = case_in(Path(path), case_id)
    write_out("\n".join(case_lines(case)) + "\n")


def case_in(path: Path, case_id: str) -> PromptCase:
    """The case of an id or content hash in a file, the first without one; raises `RequestError` for no such case."""
    from core.prompt.imported.case_file import case_hash, read_cases

    count = 0
    for case in read_cases(path):
        count += 1
        if not case_id or case_id in (case.case_id, case_hash(case)):
            return case
    problem = f"no case {brief(case_id)} among {counted(count, 'case')}"
    raise RequestError(problem, expected="an id of the file", where="--case")


def case_lines(case: PromptCase) -> Iterator[str]:
    """The parts of a case in text form, each under its kind."""
    from core.prompt.imported.case_file import case_hash
    from core.prompt.imported.leaks import findings_of

    yield escaped(f"{case.case_id}  {case_hash(case)}  cut by {case.cuts_from}  from {case.origin.file}")
    for place, part in enumerate(case.parts, 1):
        number = "" if part.number is None else f" {part.number}"
        role = "" if part.role is None else f", {part.role} message {(part.message or 0) + 1}"
        yield f"--- {place}: {part.kind}{number}{role}"
        yield from (escaped(line) for line in part.text.split("\n"))
    yield f"--- options from {case.options_from}"
    for option in case.options:
        mark = " <- true answer" if option.option_id == case.target else ""
        yield escaped(f"{option.option_id}: {option.text}{mark}")
    for notice in _notices(case.notices, [finding.sentence for finding in findings_of(case)]):
        yield escaped(f"Note: {notice}")


def _notices(notices: Sequence[str], findings: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*notices, *findings]))

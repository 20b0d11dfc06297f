"""How do logged calls become cases? Files are streamed, twice at most, and what is left out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.prompt.imported.answer_options import (
    Options,
    OptionSource,
    answer_options,
    option_of,
    options_of,
    quoted_answer,
)
from core.prompt.imported.calls import Call, Logged, LoggedAnswer, Skipped, fault_of, text_or_none
from core.prompt.imported.case_file import CaseOrigin, PromptCase, case_hash
from core.prompt.imported.fields import described, lowered, parsed
from core.prompt.imported.formats import PromptFormat, format_named, format_of
from core.prompt.imported.leaks import ABSENT, LeakFinding, PlaceCount, findings_of
from core.prompt.imported.placeholders import TemplateError, format_parts, pieces_of
from core.prompt.imported.segments import Segments, segments_of
from core.prompt.imported.sources import Source, open_source

CALLS_FOR_ANSWERS = 10_000
"""Calls at the beginning whose answers others are held against."""
MOST_ANSWERS = 1_000
EXPORT_LIMITS = (100, 1000)
"""Rows at which exports of traces stop by default."""


@dataclass(frozen=True)
class ImportChoices:
    """What a person says of the files."""

    format: str = "auto"
    options: OptionSource = "auto"
    labels: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    template: str = ""
    """Text of a template that each row of the files fills in."""
    template_name: str = "template"
    limit: int = 0
    """Most cases; 0 for all."""


@dataclass
class ImportReport:
    """What became of the calls."""

    formats: dict[str, str] = field(default_factory=dict)
    """Name of the format by file."""
    read: int = 0
    imported: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """How many records by reason."""
    first_lines: dict[str, str] = field(default_factory=dict)
    """File and line of the first record by reason."""
    cutters: Counter[str] = field(default_factory=Counter)
    options_from: Counter[str] = field(default_factory=Counter)
    demos: Counter[int] = field(default_factory=Counter)
    """How many cases by number of demonstrations."""
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[str, LeakFinding]] = field(default_factory=dict)
    """The first case id and finding by kind."""
    leaky: int = 0
    """Cases whose true answer stands in the prompt."""
    notices: list[str] = field(default_factory=list)
    places: PlaceCount = field(default_factory=PlaceCount)

    def skip(self, name: str, skipped: Skipped) -> None:
        """Count a record that is left out."""
        self.skipped[skipped.reason] += 1
        where = name if skipped.line is None else f"{name}, line {skipped.line}"
        self.first_lines.setdefault(skipped.reason, where)

    def add(self, case: PromptCase) -> None:
        """Count a case."""
        self.imported += 1
        self.cutters[case.cuts_from] += 1
        self.options_from[case.options_from] += 1
        self.demos[case.demo_count] += 1
        findings = findings_of(case)
        self.leaky += any(finding.leak for finding in findings)
        self.places.add(case)
        for finding in findings:
            self.findings[finding.kind] += 1
            self.examples.setdefault(finding.kind, (case.case_id, finding))


@dataclass(frozen=True)
class _File:
    source: Source
    format: PromptFormat


@dataclass
class _Gathered:
    """What the first reading finds: answers of other calls, and answers that belong to requests elsewhere."""

    answers: dict[str, None] = field(default_factory=dict)
    joined: dict[str, LoggedAnswer] = field(default_factory=dict)


def import_cases(paths: Sequence[Path], choices: ImportChoices, report: ImportReport) -> Iterator[PromptCase]:
    """The cases of files, in their order; `report` is filled while they are read.

    Raises `DataError` with one sentence for a file that holds no calls; a record that cannot be imported is counted in
    the report with its reason.
    """
    files = [_opened(path, choices) for path in paths]
    for file in files:
        report.formats[file.source.name] = file.format.name
        report.notices += file.source.notices
    gathered = _gather(files, choices)
    ids: dict[str, str] = {}
    for file in files:
        for call in _joined(_calls(file, choices), gathered, report, file):
            report.read += 1
            case = _case(call, file, choices, gathered, ids)
            if isinstance(case, Skipped):
                report.skip(file.source.name, case)
                continue
            report.add(case)
            yield case
            if choices.limit and report.imported >= choices.limit:
                return
        _check_export(file, report)


def at_least_one(cases: Iterator[PromptCase], report: ImportReport) -> Iterator[PromptCase]:
    """The cases; raises `DataError` with the reasons after none, so that no empty file is written."""
    yield from cases
    if not report.imported:
        reasons = "; ".join(f"{reason} ({report.first_lines[reason]})" for reason, _ in report.skipped.most_common(3))
        raise DataError(f"no call could be imported: {reasons or 'the files hold none'}")


def _opened(path: Path, choices: ImportChoices) -> _File:
    source = open_source(path)
    if choices.template:
        if source.kind == "text":
            raise DataError("no table of variables", expected="CSV, Parquet or JSON lines", where=source.name)
        return _File(source, PromptFormat("template", "a template and a table", lambda _: True, _no_calls))
    return _File(source, format_of(source) if choices.format == "auto" else format_named(choices.format))


def _no_calls(_: int, __: Mapping[str, Any]) -> Iterator[Logged]:
    return iter(())  # A template's rows are filled in by `_filled`.


def _calls(file: _File, choices: ImportChoices) -> Iterator[Logged]:
    """The calls of a file; faults of single records are skipped records."""
    for number, record in file.source.records():
        if isinstance(record, Skipped):
            yield record
        elif choices.template:
            yield _filled(number, record, choices)
        else:
            yield from _checked(number, record, file.format)


def _checked(number: int, record: Mapping[str, Any], row: PromptFormat) -> Iterator[Logged]:
    try:
        for call in row.calls(number, record):
            fault = fault_of(call) if isinstance(call, Call) else None
            yield call if fault is None else Skipped(number, fault)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        yield Skipped(number, f"a record that does not have the form of {row.words}")


def _filled(number: int, record: Mapping[str, Any], choices: ImportChoices) -> Logged:
    """The template with the values of a row, in the cuts that its variables give."""
    values = {name: parsed(value) for name, value in record.items()}
    try:
        pieces = pieces_of(choices.template, values, choices.template_name)
    except TemplateError as error:
        return Skipped(number, str(error))
    text = "".join(piece.text for piece in pieces)
    fields = described(lowered({name: text_or_none(value) for name, value in record.items()}))
    used = {piece.name for piece in pieces if piece.name}
    notice = _slip(used, lowered(record))
    call = Call(number, text=text, format_parts=format_parts(pieces), notices=notice, **fields)
    fault = fault_of(call)
    return call if fault is None else Skipped(number, fault)


ANSWER_NAMES = frozenset({"answer", "label", "target", "expected", "expected_output", "ground_truth", "gold"})


def _slip(used: set[str], record: Mapping[str, Any]) -> tuple[str, ...]:
    """A warning where the template itself uses the column with the true answer."""
    names = sorted(name for name in used if name.lower() in ANSWER_NAMES and name.lower() in record)
    return (
        (f"The template puts the column {names[0]!r} into the prompt: it may give the answer away.",) if names else ()
    )


def _gather(files: Sequence[_File], choices: ImportChoices) -> _Gathered:
    """The first reading: whole where answers stand apart from their requests, else the first calls only."""
    gathered = _Gathered()
    for file in files:
        calls = _calls(file, choices)
        for call in calls if file.format.joins else islice(calls, CALLS_FOR_ANSWERS):
            if isinstance(call, LoggedAnswer):
                gathered.joined[call.joins] = call
            answers = [] if isinstance(call, Skipped) else [call.completion, getattr(call, "target", None)]
            for answer in answers:
                if answer and answer.strip() and len(gathered.answers) < MOST_ANSWERS:
                    gathered.answers[answer.strip()] = None
    return gathered


def _joined(calls: Iterator[Logged], gathered: _Gathered, report: ImportReport, file: _File) -> Iterator[Call]:
    """The calls with their answers from elsewhere; answers without a request are skipped at the end."""
    requests = 0
    for call in calls:
        if isinstance(call, Call):
            answer = gathered.joined.get(call.joins or "")
            requests += 1
            yield (
                call
                if answer is None
                else replace(call, completion=answer.completion or call.completion, model=answer.model or call.model)
            )
        elif isinstance(call, Skipped):
            report.read += 1
            report.skip(file.source.name, call)
    if file.format.joins and not requests and len(report.formats) == 1:
        report.skip(file.source.name, Skipped(None, "answers without their requests (give the file of requests too)"))


def _case(
    call: Call, file: _File, choices: ImportChoices, gathered: _Gathered, ids: dict[str, str]
) -> PromptCase | Skipped:
    segments = segments_of(call)
    options = options_of(
        call,
        segments.parts,
        segments.answers,
        source=choices.options,
        labels=choices.labels,
        titles=choices.titles,
        others=tuple(gathered.answers),
    )
    if isinstance(options, str):
        return Skipped(call.line, options)
    case = _built(call, file, segments, options)
    return _unique(case, ids) or Skipped(call.line, "the same call again")


def _built(call: Call, file: _File, segments: Segments, options: Options) -> PromptCase:
    target = option_of(call.target, options)
    notices = [*call.notices, *segments.notices, *options.notices]
    if segments.runner_up:
        notices.append(f"Cut by {segments.cutter}; {segments.runner_up} would cut it too.")
    if call.target and target is None:
        notices.append(f"{ABSENT}: {quoted_answer(call.target)}.")
    return PromptCase(
        case_id=(call.call_id or _place(call, file))[:200],
        parts=segments.parts,
        options=answer_options(options),
        options_from=options.source,
        target=target,
        completion=call.completion,
        answer_cue=segments.answer_cue,
        user=call.user,
        time=call.time,
        model=call.model,
        origin=CaseOrigin(file=file.source.name, line=call.line, format=file.format.name, call_id=call.call_id),
        cuts_from=segments.cutter,
        notices=tuple(notices),
    )


def _place(call: Call, file: _File) -> str:
    return file.source.name if call.line is None else f"{file.source.name}:{call.line}"


def _unique(case: PromptCase, ids: dict[str, str]) -> PromptCase | None:
    """The case under an id of its own; None where the same call came before."""
    content, case_id, number = case_hash(case), case.case_id, 1
    while case_id in ids:
        if ids[case_id] == content:
            return None
        number += 1
        case_id = f"{case.case_id}-{number}"
    ids[case_id] = content
    return case if number == 1 else case.model_copy(update={"case_id": case_id})


def _check_export(file: _File, report: ImportReport) -> None:
    if file.format.name in ("openinference", "otlp", "langfuse") and report.read in EXPORT_LIMITS:
        report.notices.append(
            f"{file.source.name} has exactly {report.read:,} rows, where exports stop by default; there may be more."
        )

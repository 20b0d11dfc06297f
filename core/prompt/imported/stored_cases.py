"""Which case files does the home hold, what became of the calls that they were imported from, and how do they come in?

A file is imported in a child process with bounded time and memory. The case file that it writes is stored under the
hash of its content, and beside it, as `HASH.json`, what a reader should know of the import.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.reading.streams import label
from core.errors import DataError, DemoLensError
from core.prompt.imported.case_file import LONGEST_CASE, PromptCase, case_of_line
from core.prompt.imported.imported_cases import HASH, STORED, brief_name, case_file_at, is_stored, open_cases
from core.prompt.imported.importing import ImportChoices, ImportReport
from core.store.child import keyless_environment, run_child
from core.store.export import whole_file
from core.store.home import check_free, home_path, room, stored, workplace, write_atomically
from core.store.sealed import regular, sealed, unsealed
from core.words import brief

CPU_SECONDS = 1800.0
"""Most processor time of an import."""
ADDRESS_SPACE = 8 << 30
"""Most bytes of address space of an import."""
MOST_REASONS = 20
MOST_LISTED = 100
"""Most stored case files that are offered."""
LONGEST_NAME = 120
"""Characters of a file's name that are kept."""
CASE_FILE = "cases"
"""What the record calls the format of a case file that was handed in itself."""
CHILD = Path(__file__).with_name("import_child.py")
REQUEST, CASES, PROGRESS = "request.json", "cases.jsonl", "progress"
"""Names of the files that the two processes share in a folder of their own."""
_PLAIN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SkipCount(BaseModel):
    """Records that were left out for one reason."""

    model_config = _PLAIN

    reason: str
    count: int
    first: str
    """File and line of the first."""


class FindingCount(BaseModel):
    """Cases of which the leak check says one kind of thing."""

    model_config = _PLAIN

    sentence: str
    """Of the first case."""
    count: int
    first: str
    """Id of the first case; empty for what is said of the file as a whole."""
    leak: bool
    """Whether the true answer stands in the prompt."""


class ImportRecord(BaseModel):
    """What became of the calls of one import."""

    model_config = _PLAIN

    name: str
    """Of the files, for the screen."""
    formats: dict[str, str] = {}
    """Name of the format by file."""
    read: int
    imported: int
    skipped: tuple[SkipCount, ...] = ()
    """The most frequent reasons."""
    options_from: dict[str, int] = {}
    leaky: int = 0
    """Cases whose true answer stands in the prompt."""
    findings: tuple[FindingCount, ...] = ()
    notices: tuple[str, ...] = ()
    corrected: int = 0
    """Cases whose cuts or options a person changed."""

    @property
    def refused(self) -> int:
        """Calls without a case."""
        return self.read - self.imported


@dataclass(frozen=True)
class StoredCases:
    """One case file of the home."""

    name: str
    """The hash of its content."""
    words: str
    """Name of the log, for the screen."""
    record: ImportRecord | None
    """None for a case file that came in as one."""


def record_of(report: ImportReport, names: Sequence[str]) -> ImportRecord:
    """What is kept of a report, of files with these names."""
    findings = [
        FindingCount(sentence=finding.sentence, count=count, first=case_id, leak=finding.leak)
        for kind, count in report.findings.most_common()
        for case_id, finding in (report.examples[kind],)
    ]
    findings += [
        FindingCount(sentence=finding.sentence, count=report.imported, first="", leak=finding.leak)
        for finding in report.places.findings()
    ]
    return ImportRecord(
        name=joined_names(names),
        formats=report.formats,
        read=report.read,
        imported=report.imported,
        skipped=tuple(
            SkipCount(reason=reason, count=count, first=report.first_lines[reason])
            for reason, count in report.skipped.most_common(MOST_REASONS)
        ),
        options_from=dict(report.options_from),
        leaky=report.leaky,
        findings=tuple(findings),
        notices=tuple(report.notices[:MOST_REASONS]),
    )


def joined_names(names: Sequence[str]) -> str:
    """`a.jsonl`, `a.jsonl and b.jsonl`, `a.jsonl and 2 more`."""
    first, *others = [brief_name(name)[:LONGEST_NAME] for name in names] or ["prompts"]
    if len(others) < 2:
        return " and ".join([first, *others])
    return f"{first} and {len(others)} more"


# ---- import


def import_files(
    files: Sequence[Path], choices: ImportChoices, progress: Callable[[int], None] = lambda _: None
) -> StoredCases:
    """Import files in a child process and store their cases; `progress`, called ten times a second with the number of
    cases so far, ends it when it raises.

    Raises `DataError` with one sentence where nothing can be imported, `MaterialError` where nothing can be stored.
    """
    check_free()
    with workplace() as folder:
        request = {"files": [str(path.absolute()) for path in files], "choices": asdict(choices)}
        with stored("the request of an import"):
            (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        record = _imported(folder, progress)
        name = _settled(folder / CASES, record)
    return StoredCases(name, record.name, record)


def _imported(folder: Path, progress: Callable[[int], None]) -> ImportRecord:
    done = run_child(
        [str(CHILD), str(folder), str(ADDRESS_SPACE)],
        cpu_seconds=CPU_SECONDS,
        isolated=False,
        environment=keyless_environment(),
        between=lambda: progress(_cases_so_far(folder)),
    )
    if done.status is None:
        expected = "a smaller file, or `demolens cases import`, which has no limit"
        raise DataError(f"not imported within {CPU_SECONDS / 60:.0f} minutes of processor time", expected=expected)
    try:
        answer = json.loads(done.output.decode().splitlines()[-1])
        if "error" in answer:
            raise DataError(str(answer["error"]))
        return ImportRecord.model_validate(answer["record"])
    except (ValueError, IndexError, KeyError, ValidationError):
        raise DataError("the import broke off; the file may need more memory than an import may use") from None


def _cases_so_far(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((folder / PROGRESS).read_text())
    return 0


def _settled(path: Path, record: ImportRecord) -> str:
    """Give a case file its place in the home, and its record beside it; returns the hash of its content."""
    with stored("the case file"):
        with regular(path) as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        target = room(STORED) / f"{name}.jsonl"
        if not target.is_file():
            os.replace(path, target)
    write_atomically(_record_path(name), sealed(record.model_dump()))
    return name


def _record_path(name: str) -> Path:
    return home_path() / STORED / f"{name}.json"


# ---- corrections


def with_changes(name: str, changes: Mapping[str, PromptCase]) -> str:
    """The name of a stored case file in which these cases, by their ids, stand in place of those of the file `name`.

    That file stays as it is. Raises `DataError` for an unknown id, `MaterialError` where it cannot be stored.
    """
    cases = open_cases(name)
    lines = {cases.line_of(case_id): case for case_id, case in changes.items()}
    before = record_named(name)
    with workplace() as folder, stored("the case file"):
        path = folder / CASES
        with whole_file(path) as new, regular(cases.path) as old:
            number = 0
            while text := old.readline(LONGEST_CASE + 1):
                number += 1
                case = lines.get(number)
                new.write(text if case is None else case.model_dump_json().encode() + b"\n")
        count = len(cases.case_ids)
        record = before or ImportRecord(name=cases.name, read=count, imported=count)
        return _settled(path, record.model_copy(update={"corrected": record.corrected + len(changes)}))


# ---- what is there


def record_named(name: str) -> ImportRecord | None:
    """What is known of the import of a stored case file; None where nothing is."""
    record = unsealed(_record_path(name)) if HASH.fullmatch(name) else None
    try:
        return None if record is None else ImportRecord.model_validate(record)
    except ValidationError:
        return None


def stored_named(name: str) -> StoredCases | None:
    """The stored case file of that hash; None where there is none."""
    if not is_stored(name):
        return None
    record = record_named(name)
    return StoredCases(name, _first_origin(name) if record is None else record.name, record)


def stored_files() -> tuple[StoredCases, ...]:
    """The case files of the home, at most `MOST_LISTED`, the newest first."""
    folder = home_path() / STORED
    try:
        return _stored_in(folder, folder.stat().st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=4)
def _stored_in(folder: Path, _state: int) -> tuple[StoredCases, ...]:
    """The same as long as nothing comes into the folder or leaves it; raises `OSError`."""
    paths = [path for path in folder.iterdir() if path.suffix == ".jsonl"]
    paths.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    rows = (stored_named(path.stem) for path in paths[:MOST_LISTED])
    return tuple(row for row in rows if row is not None)


def remove_stored(name: str) -> None:
    """Take a case file out of the home; nothing where there is none."""
    if is_stored(name):
        with stored("the removal of a case file"):
            case_file_at(name).unlink(missing_ok=True)
            _record_path(name).unlink(missing_ok=True)


def _first_origin(name: str) -> str:
    """The name of the log that the first case was read from."""
    path = case_file_at(name)
    try:
        with regular(path) as file:
            return brief_name(case_of_line(file.readline(LONGEST_CASE + 1), label(path)).origin.file)
    except (OSError, DemoLensError):
        return "case file"


def safe_name(name: str, place: int) -> str:
    """The name of an uploaded file as one that any file system takes; `place` stands for one without letters."""
    plain = "".join(character for character in PurePath(name.replace("\\", "/")).name if character.isprintable())
    short = plain.encode("utf-8", "replace")[-LONGEST_NAME:].decode("utf-8", "ignore").strip(". ")
    return short or f"file-{place + 1}"


def unknown_file(name: str) -> DataError:
    """The error for a link to a case file that is not stored here."""
    return DataError(f"no case file {brief(name)} is stored here", expected="one from the list of stored prompts")

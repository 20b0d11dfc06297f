"""Child process of `core.prompt.imported.stored_cases`: imports files and writes their cases.

Run by `core.store.child` with FOLDER ADDRESS_SPACE. Prints one line of JSON: the record, or what is wrong.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.data.reading.streams import label
from core.errors import DemoLensError
from core.prompt.imported.case_file import PromptCase, read_cases, write_cases
from core.prompt.imported.importing import ImportChoices, ImportReport, at_least_one, import_cases
from core.prompt.imported.stored_cases import CASE_FILE, CASES, PROGRESS, REQUEST, record_of

FIRST_KEY = b'{"case_file"'
"""How each line of a case file begins."""
LARGEST_FILE = 10 << 30
"""Most bytes of a case file: what is packed may unpack to far more than was sent."""
EVERY = 50
"""Cases between two signs of progress."""


def limit(address_space: int) -> None:
    """Bound this process's memory and the size of its files, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def answer(folder: Path) -> dict[str, Any]:
    """Import what the request in the folder names into its case file."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    choices: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in request["choices"].items()
    }
    files = [Path(name) for name in request["files"]]
    report = ImportReport()
    if len(files) == 1 and _is_case_file(files[0]):
        cases = _taken(files[0], report)
    else:
        cases = import_cases(files, ImportChoices(**choices), report)
    write_cases(folder / CASES, _with_progress(at_least_one(cases, report), folder / PROGRESS))
    return {"record": record_of(report, [label(path) for path in files]).model_dump()}


def _is_case_file(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(FIRST_KEY) + 3).removeprefix(codecs.BOM_UTF8).startswith(FIRST_KEY)


def _taken(path: Path, report: ImportReport) -> Iterator[PromptCase]:
    """The cases of a case file, as they are."""
    report.formats[label(path)] = CASE_FILE
    for case in read_cases(path):
        report.read += 1
        report.add(case)
        yield case


def _with_progress(cases: Iterator[PromptCase], place: Path) -> Iterator[PromptCase]:
    """The cases, whose number is written down from time to time."""
    for count, case in enumerate(cases):
        if count % EVERY == 0:
            place.write_text(str(count))
        yield case


def main() -> None:
    """Import and say how it went."""
    limit(int(sys.argv[2]))
    try:
        words: dict[str, Any] = answer(Path(sys.argv[1]))
    except DemoLensError as error:
        words = {"error": str(error)}
    except MemoryError:
        words = {"error": "the file needs more memory than an import may use; expected JSON lines, which are streamed"}
    except OSError as error:
        words = {"error": f"the cases cannot be written: {(error.strerror or type(error).__name__).lower()}"}
    print("\n" + json.dumps(words))


if __name__ == "__main__":
    main()

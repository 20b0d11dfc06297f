"""Child process of `core.data.intake.limited_reading`: reads the files of one data set within limits.

Run by `core.store.child` with one JSON text: `paths`, `choices`, `scratch` (a folder for the result), `memory` and
`file_bytes`. Writes what goes on to `scratch/progress` and its answer to `scratch/answer.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ANSWER, PROGRESS = "answer.json", "progress"
NO_MEMORY = "no memory"
"""In place of a problem: the limit of memory was reached."""
TELL_SECONDS = 0.2
"""Least time between two lines of progress."""


def limit(memory: int, file_bytes: int) -> None:
    """Bound this process's memory and the size of its files, where the system can; it leaves no core file."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        for kind, most in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (most, most))


def progress_into(scratch: Path) -> Callable[[str, float], None]:
    """A listener that writes what goes on to a file of `scratch`."""
    last = 0.0

    def listen(label: str, _share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            with contextlib.suppress(OSError):
                (scratch / "progress.part").write_text(label, encoding="utf-8", errors="replace")
                os.replace(scratch / "progress.part", scratch / PROGRESS)

    return listen


def read(paths: Sequence[Path], choices: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """What the files were taken for, and the data set in `scratch`; or why they are none, with their beginnings."""
    from core.data.names import origin_of
    from core.data.reading.file_heads import heads_of
    from core.data.reading.import_choices import DataChoices
    from core.data.reading.sources import files_below, recognised
    from core.data.stored import prepare_in
    from core.errors import DemoLensError
    from core.store.lock import reporting

    settings = DataChoices.model_validate(choices)
    answer: dict[str, Any] = {"heads": []}
    sources = None
    try:
        sources = recognised(paths, settings, leaves_out=True)
        with reporting(progress_into(scratch)):
            data = prepare_in(scratch, sources)
        origin, stored = origin_of(sources), data.stored
        answer |= {"files": origin.files, "licence": origin.licence, "report": data.report.model_dump(mode="json")}
        answer["stored"] = {"dataset_id": stored.dataset_id, "notices": stored.notices, "meaning": stored.meaning}
    except DemoLensError as error:
        answer["fault"] = [error.problem, error.expected, error.where]
    with contextlib.suppress(DemoLensError):
        streams = [stream for path in paths for stream in files_below(path)[0]]
        files = () if sources is None else (*sources.interactions, *sources.items)
        heads = heads_of(streams, files, delimiter=settings.delimiter, encoding=settings.encoding)
        answer["heads"] = [head.model_dump(mode="json") for head in heads]
    return answer


def main() -> None:
    """Read, and answer."""
    request = json.loads(sys.argv[1])
    scratch = Path(request["scratch"])
    limit(request["memory"], request["file_bytes"])
    try:
        answer = read(list(map(Path, request["paths"])), request["choices"], scratch)
    except BaseException as error:  # also MemoryError, and what libraries raise for lack of it
        from core.errors import short_of_memory

        problem = NO_MEMORY if short_of_memory(error) else f"cannot be read ({type(error).__name__})"
        answer = {"heads": [], "fault": [problem, "", ""]}
    (scratch / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()

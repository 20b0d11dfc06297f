"""Data on their way in: the files that a person brought, what they were taken for so far, and the next reading.

Any thread may call. One reading at a time goes on; a new choice ends the reading before it. Few drafts are kept: the
oldest goes, with its files, when there are more.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.intake.limited_reading import LIMITS, ReadingLimits, ReadingOutcome, read_limited
from core.data.intake.uploads import Upload, check_sizes, file_name, write_uploads
from core.data.names import NamedDataset, keep_named
from core.data.reading.import_choices import NOTHING_SAID, DataChoices
from core.data.reading.streams import label
from core.errors import Cancelled, DataError, DemoLensError
from core.store.home import PRIVATE_FOLDER, check_free, home, stored
from core.store.scratch import scratch_in

logger = logging.getLogger("demolens.data")
LOOKING, WAITING = "looking at the files", "waiting for another reading"
MOST_DRAFTS = 8
"""Drafts that are kept at a time, of all tabs together."""


@dataclass(frozen=True)
class DraftState:
    """A draft as it is now."""

    files: tuple[str, ...]
    """The names of its files."""
    choices: DataChoices
    """The choices of the reading that goes on, or of the last one."""
    label: str
    """What the reading does now; empty while none goes on."""
    seconds: float
    """How long the reading has taken."""
    outcome: ReadingOutcome | None
    """Of the last reading that came to its end, perhaps under other choices."""

    @property
    def busy(self) -> bool:
        """Whether a reading goes on or waits."""
        return bool(self.label)


@dataclass
class _Draft:
    folder: Path
    paths: tuple[Path, ...]
    choices: DataChoices = NOTHING_SAID
    label: str = ""
    start: float = 0.0
    readings: int = 0
    """How many readings were begun; only the last one counts."""
    outcome: ReadingOutcome | None = None
    result: Path | None = None
    """The folder of the outcome's data."""


class Drafts:
    """All drafts of a server, and the one reading that goes on."""

    def __init__(self, *, limits: ReadingLimits = LIMITS, most_bytes: int = 200 * 2**20) -> None:
        self._limits, self._most_bytes = limits, most_bytes
        self._drafts: OrderedDict[str, _Draft] = OrderedDict()
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def upload(self, files: Sequence[Upload], into: str = "") -> str:
        """A draft of files that were sent, or `into` one more files, in place of those with the same name.

        Returns its id. Raises `DataError` for files that are too many or too large, and `MaterialError`.
        """
        check_free()
        with self._lock:
            draft = self._drafts.get(into)
        names = {file_name(file.name) for file in files}
        folder = _new_folder() if draft is None else draft.folder
        paths = () if draft is None else tuple(path for path in draft.paths if path.name not in names)
        try:
            check_sizes([*(path.stat().st_size for path in paths), *(file.size for file in files)], self._most_bytes)
            fresh = write_uploads(files, _new_folder(folder))
        except DemoLensError:
            if draft is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if draft is None:
            return self._begin(folder, fresh)
        draft.paths = (*paths, *fresh)
        self.read(into, draft.choices)
        return into

    def at(self, path: Path) -> str:
        """A new draft of a file or folder of this machine; returns its id."""
        check_free()
        return self._begin(_new_folder(), (path,))

    def _begin(self, folder: Path, paths: tuple[Path, ...]) -> str:
        name = secrets.token_hex(8)
        with self._lock:
            self._drafts[name] = _Draft(folder, paths)
            superfluous = list(self._drafts)[:-MOST_DRAFTS]
        for old in superfluous:
            self.discard(old)
        self.read(name, NOTHING_SAID)
        return name

    def read(self, name: str, choices: DataChoices) -> None:
        """Read a draft's files under these choices, in place of a reading that goes on."""
        with self._lock:
            draft = self._drafts.get(name)
            if draft is None:
                return
            draft.choices, draft.readings = choices, draft.readings + 1
            draft.label, draft.start = WAITING if self._turn.locked() else LOOKING, time.monotonic()
            number = draft.readings
        threading.Thread(target=self._run, args=(draft, number, choices), daemon=True, name="import").start()

    def state(self, name: str) -> DraftState | None:
        """A draft as it is now; None for one that was discarded."""
        with self._lock:
            draft = self._drafts.get(name)
            if draft is None:
                return None
            seconds = time.monotonic() - draft.start
            files = tuple(map(label, draft.paths))
            return DraftState(files, draft.choices, draft.label, seconds, draft.outcome)

    def add(self, name: str, data_name: str) -> NamedDataset:
        """Store a draft's data under a name, and discard the draft; raises `DataError` and `MaterialError`."""
        with self._lock:
            draft = self._drafts.get(name)
            outcome = None if draft is None or draft.label else draft.outcome
        if outcome is None or outcome.prepared is None or outcome.origin is None:
            raise DataError("these files are not read any more", expected="the files again", where="add")
        entry = keep_named(data_name, outcome.prepared, outcome.origin)
        self.discard(name)
        return entry

    def stop(self, name: str) -> None:
        """End the reading that goes on; the outcome before it stays."""
        with self._lock:
            draft = self._drafts.get(name)
            if draft is not None and draft.label:
                draft.readings, draft.label = draft.readings + 1, ""

    def discard(self, name: str) -> None:
        """Forget a draft and remove its files."""
        with self._lock:
            draft = self._drafts.pop(name, None)
            if draft is not None:
                draft.readings += 1
        if draft is not None:
            shutil.rmtree(draft.folder, ignore_errors=True)

    def _run(self, draft: _Draft, number: int, choices: DataChoices) -> None:
        with self._turn:
            if draft.readings != number:
                return
            scratch = draft.folder / f"reading-{number}"
            try:
                with stored("the reading"):
                    scratch.mkdir(mode=PRIVATE_FOLDER)
                outcome = read_limited(
                    draft.paths, choices, scratch, limits=self._limits, between=self._listener(draft, number)
                )
            except Cancelled:
                shutil.rmtree(scratch, ignore_errors=True)
                return
            except DemoLensError as fault:
                outcome = ReadingOutcome(choices, (), fault=DataError(fault.problem, expected=fault.expected))
            except Exception as error:
                logger.exception("a reading failed")
                outcome = ReadingOutcome(choices, (), fault=DataError(f"cannot be read ({type(error).__name__})"))
            self._finish(draft, number, outcome, scratch)

    def _listener(self, draft: _Draft, number: int) -> Callable[[str], None]:
        def between(progress: str) -> None:
            with self._lock:
                if draft.readings != number:
                    raise Cancelled("other choices were made")
                draft.label = progress or LOOKING

        return between

    def _finish(self, draft: _Draft, number: int, outcome: ReadingOutcome, scratch: Path) -> None:
        superfluous: Path | None = scratch
        with self._lock:
            if draft.readings == number:
                draft.outcome, draft.label = outcome, ""
                superfluous, draft.result = draft.result, scratch
        if superfluous is not None:
            shutil.rmtree(superfluous, ignore_errors=True)


def _new_folder(below: Path | None = None) -> Path:
    with stored("the files"):
        folder = (below or scratch_in(home())) / secrets.token_hex(8)
        folder.mkdir(mode=PRIVATE_FOLDER)
    return folder

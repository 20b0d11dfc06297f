"""Data sets by the names that a person gave them: labels of stored content, kept in the home."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.data.data_report import DataReport
from core.data.folders import licence_of
from core.data.reading.import_choices import DataChoices
from core.data.reading.sources import Sources
from core.data.reading.streams import label
from core.data.stored import Prepared, Stored, place, stored_as
from core.errors import DataError
from core.store.home import home, home_path, room, stored, write_atomically
from core.store.lock import alone
from core.store.sealed import sealed, unsealed
from core.words import brief

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = frozenset({"sample"})
_FORMAT = "demolens-name-1"


@dataclass(frozen=True)
class NamedDataset:
    """One data set that was added under a name."""

    name: str
    stored: Stored
    files: tuple[str, ...]
    """The names of the files that it came from."""
    added: str
    """UTC, ISO 8601."""
    licence: str
    choices: DataChoices
    report: DataReport


@dataclass(frozen=True)
class DataOrigin:
    """Where a data set comes from."""

    files: tuple[str, ...]
    """The names of its files."""
    licence: str
    choices: DataChoices


def origin_of(sources: Sources) -> DataOrigin:
    """Where the data set of these files comes from."""
    files = tuple(label(path) for path in sources.paths)
    return DataOrigin(files, licence_of(sources.paths[0].parent), sources.choices)


def check_name(name: str) -> None:
    """Raise `DataError` for what cannot be the name of a data set."""
    if not NAME.fullmatch(name) or name in RESERVED:
        expected = "letters, digits, dots, - and _, at most 64, beginning with a letter or digit, and not sample"
        raise DataError(f"no name for a data set: {brief(name)}", expected=expected, where="--name")


def keep_named(name: str, data: Prepared, origin: DataOrigin) -> NamedDataset:
    """Store a prepared data set under a name; raises `DataError` for a name that other content has already.

    The name appears when everything is stored, or not at all.
    """
    check_name(name)
    room("datasets", "names")
    with alone("dataset-names", "another change of names"):
        before = unsealed(_path(name))
        if before is not None and before["dataset_id"] != data.stored.dataset_id:
            problem = f"{brief(name)} already names other data"
            raise DataError(problem, expected="another name, or demolens data remove first", where="--name")
        whole = place(data.stored)
        write_atomically(_path(name), sealed(_record(name, whole, data.report, origin)))
    entry = named_dataset(name)
    assert entry is not None
    return entry


def _record(name: str, data: Stored, report: DataReport, origin: DataOrigin) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "name": name,
        "dataset_id": data.dataset_id,
        "notices": list(data.notices),
        "meaning": data.meaning,
        "files": list(origin.files),
        "added": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": origin.licence,
        "choices": origin.choices.model_dump(mode="json"),
        "report": report.model_dump(mode="json"),
    }


def named_dataset(name: str) -> NamedDataset | None:
    """The data set added under a name; None for no such name.

    Raises `DataError` where the name is there and its data are not, or are not as they were written.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        return None
    record = unsealed(_path(name))
    if record is None or record.get("format") != _FORMAT:
        return None
    data = stored_as(record)
    if data is None:
        problem = f"the data set {brief(name)} is damaged or was removed by hand"
        raise DataError(problem, expected="demolens data remove, and add it again")
    return NamedDataset(
        name=name,
        stored=data,
        files=tuple(record["files"]),
        added=record["added"],
        licence=record["licence"],
        choices=DataChoices.model_validate(record["choices"]),
        report=DataReport.model_validate(record["report"]),
    )


def is_added(name: str) -> bool:
    """Whether a data set was added under this name."""
    return bool(name_fingerprint(name))


def name_fingerprint(name: str) -> str:
    """Hex digits that change whenever a name comes to mean other data; empty for no such name."""
    record = unsealed(_path(name)) if NAME.fullmatch(name) and name not in RESERVED else None
    return "" if record is None else hashlib.sha256(repr((name, record["dataset_id"])).encode()).hexdigest()


def names_state() -> int:
    """A number that changes whenever a name is added or removed."""
    try:
        return (home_path() / "datasets" / "names").stat().st_mtime_ns
    except OSError:
        return 0


def dataset_names() -> tuple[str, ...]:
    """All names, in order of the alphabet."""
    try:
        paths = list((home_path() / "datasets" / "names").glob("*.json"))
    except OSError:
        return ()
    records = [record for path in paths if (record := unsealed(path)) is not None]
    return tuple(sorted((str(record["name"]) for record in records), key=lambda name: (name.casefold(), name)))


def remove_named(name: str) -> bool:
    """Forget a name, and remove its data where no other name has them; whether they were removed.

    Raises `DataError` for no such name.
    """
    with alone("dataset-names", "another change of names"):
        record = unsealed(_path(name)) if NAME.fullmatch(name) else None
        if record is None:
            raise unknown_name(name)
        dataset_id = str(record["dataset_id"])
        others = [_dataset_id(other) for other in dataset_names() if other != name]
        with stored("the removal"):
            _path(name).unlink()
            if dataset_id in others:
                return False
            for folder in ("datasets", "likes"):
                shutil.rmtree(home() / folder / dataset_id, ignore_errors=True)
    return True


def unknown_name(name: str) -> DataError:
    """The error to raise for a name that no data set has."""
    names: Sequence[str] = dataset_names()
    expected = f"one of {', '.join(names[:12])}" if names else "a name that demolens data add gave; there is none yet"
    return DataError(f"no data set is named {brief(name)}", expected=expected)


def _dataset_id(name: str) -> str:
    record = unsealed(_path(name))
    return "" if record is None else str(record["dataset_id"])


def _path(name: str) -> Path:
    """The file of a name, by its hash: what is a name to a person may be a device or a folder to a system."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return home_path() / "datasets" / "names" / f"{digest}.json"

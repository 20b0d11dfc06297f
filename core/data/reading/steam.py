"""Steam: reviews and games as Python literals, the Australian users' libraries, and steam-200k.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.data.reading.delimited import Delimited
from core.data.reading.layouts import LINE
from core.data.reading.probe import FileProbe, all_match
from core.data.reading.records import RecordLines
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Meaning, Reshaped, Taken, shaped

_HOURS = "The numbers are hours of play, so a count; times are days."
_MINUTES = "The numbers are minutes of play, so a count; there are no times."
_BOUGHT = "Each purchase is one interaction; hours of play are not read, as they stand on lines of their own."


def _records(probe: FileProbe, *keys: str) -> RecordLines | None:
    return RecordLines(probe.notation, probe.keys) if probe.notation and set(keys) <= set(probe.keys) else None


def _reviews(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "username", "product_id", "date")
    if layout is None:
        return None
    taken: dict[Meaning, str] = {"user": "username", "item": "product_id", "time": "date"}
    if "hours" in probe.keys:
        taken["rating"] = "hours"
    return shaped(layout, taken, notes=(_HOURS,))


def _libraries(probe: FileProbe) -> FileShape | None:
    if _records(probe, "user_id", "items_count", "items") is None or not probe.notation:
        return None
    layout = RecordLines(probe.notation, ("user_id", "item_id", "item_name", "playtime_forever"), spread=_owned)
    taken: Taken = {"user": "user_id", "item": "item_id", "title": "item_name", "rating": "playtime_forever"}
    return shaped(layout, taken, notes=(_MINUTES,))


def _owned(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    items = record.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item | {"user_id": record.get("user_id")}


def _games(probe: FileProbe) -> FileShape | None:
    title = next((key for key in ("title", "app_name") if key in probe.keys), "")
    layout = _records(probe, "id", title, "genres") if title else None
    return shaped(layout, {"item": "id", "title": title, "categories": "genres"})


def _purchases(probe: FileProbe) -> FileShape | None:
    rows = probe.rows(",")
    fitting = [row for row in rows if len(row) == 5 and row[2] in ("purchase", "play")]
    if not rows or len(fitting) < 0.9 * len(rows) or not all_match(fitting, 3, r"\d+(\.\d+)?"):
        return None
    names = ("user", "game", "behavior", "value", "zero")
    inner = Delimited(",", names, header=False, quote='"', named_by="steam-200k.csv has")
    layout = Reshaped(inner, ("user", "game", "behavior"), ("user", "game"), lambda: _bought, ("value", "zero"))
    return shaped(layout, {"user": "user", "item": "game", "title": "game"}, notes=(_BOUGHT,))


def _bought(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table.column("behavior"), "purchase")).select([LINE, "user", "game"])


STEAM = DataFormat(
    name="steam",
    words="Steam: reviews and games, the Australian libraries, steam-200k.csv",
    kinds=(
        FileKind("interactions", "Steam reviews", _reviews),
        FileKind("interactions", "Steam libraries of Australian users", _libraries),
        FileKind("interactions", "steam-200k.csv", _purchases),
        FileKind("items", "Steam games", _games),
    ),
)

"""Last.fm: HetRec 2011 (artists' plays), 360K (plays of each user), 1K and LFM-1b (every single play)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from core.data.reading.delimited import Delimited
from core.data.reading.layouts import LINE
from core.data.reading.probe import UNIX_SECONDS, FileProbe, all_match
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Reshaped, shaped

_PLAYS = "The numbers are counts of plays; there are no times."


def _tab(probe: FileProbe, *names: str) -> Delimited | None:
    return Delimited("\t", names) if probe.lines and probe.lines[0] == "\t".join(names) else None


def _hetrec_plays(probe: FileProbe) -> FileShape | None:
    layout = _tab(probe, "userID", "artistID", "weight")
    return shaped(layout, {"user": "userID", "item": "artistID", "rating": "weight"}, notes=(_PLAYS,))


def _hetrec_artists(probe: FileProbe) -> FileShape | None:
    layout = _tab(probe, "id", "name", "url", "pictureURL")
    return shaped(layout, {"item": "id", "title": "name"})


def _hetrec_others(probe: FileProbe) -> FileShape | None:
    names = probe.lines[0].split("\t") if probe.lines else []
    others = (["userID", "friendID"], ["tagID", "tagValue"], ["userID", "artistID", "tagID"])
    return shaped(Delimited("\t", tuple(names))) if names[:3] in others or names[:2] in others else None


def _plays_360k(probe: FileProbe) -> FileShape | None:
    rows = probe.table("\t", 4)
    if not rows or not all_match(rows, 0, "[0-9a-f]{40}") or not all_match(rows, 3, r"\s*\d+\s*"):
        return None
    layout = Delimited("\t", ("user", "artist_mbid", "artist", "plays"), header=False, named_by="Last.fm 360K has")
    note = "Artists are known by their names, as some have no other id."
    return shaped(
        layout, {"user": "user", "item": "artist", "title": "artist", "rating": "plays"}, notes=(_PLAYS, note)
    )


def _plays_1k(probe: FileProbe) -> FileShape | None:
    rows = probe.table("\t", 6)
    if not rows or not all_match(rows, 0, r"user_\d+") or not all_match(rows, 1, r"\d{4}-\d\d-\d\dT[\d:]+Z"):
        return None
    names = ("user", "time", "artist_id", "artist", "track_id", "track")
    inner = Delimited("\t", names, header=False, named_by="Last.fm 1K has")
    layout = Reshaped(
        inner, names[:2] + names[3:], ("user", "track_id", "track_title", "time"), lambda: _tracks, ("artist_id",)
    )
    note = "A track without an id is known by its artist and name."
    return shaped(layout, {"user": "user", "item": "track_id", "title": "track_title", "time": "time"}, notes=(note,))


def _plays_1b(probe: FileProbe) -> FileShape | None:
    rows = probe.table("\t", 5)
    if (
        not rows
        or not all(all_match(rows, place, r"\d+") for place in range(4))
        or not all_match(rows, 4, UNIX_SECONDS)
    ):
        return None
    layout = Delimited("\t", ("user", "artist", "album", "track", "time"), header=False, named_by="LFM-1b has")
    return shaped(layout, {"user": "user", "item": "track", "time": "time"}, time_unit="seconds")


def _names_1b(probe: FileProbe) -> FileShape | None:
    """Tracks; albums have the same fields, so that the file's name must tell."""
    rows = probe.table("\t", 3)
    if "LFM-1b_tracks" not in probe.name or not rows or not all_match(rows, 0, r"\d+"):
        return None
    layout = Delimited("\t", ("track", "track_title", "artist"), header=False, named_by="LFM-1b has")
    return shaped(layout, {"item": "track", "title": "track_title"})


def _tracks(table: pa.Table) -> pa.Table:
    """The track's title is `Artist – Track`, which is also its id where it has none."""
    title = pc.binary_join_element_wise(table.column("artist"), table.column("track"), " – ", null_handling="skip")
    track = pc.coalesce(table.column("track_id"), title)
    columns = [table.column(LINE), table.column("user"), track, title, table.column("time")]
    return pa.table(columns, names=[LINE, "user", "track_id", "track_title", "time"])


LAST_FM = DataFormat(
    name="last-fm",
    words="Last.fm: HetRec 2011, 360K, 1K and LFM-1b",
    kinds=(
        FileKind("interactions", "Last.fm HetRec user_artists.dat", _hetrec_plays),
        FileKind("interactions", "Last.fm 360K plays", _plays_360k),
        FileKind("interactions", "Last.fm 1K plays", _plays_1k),
        FileKind("interactions", "LFM-1b listening events", _plays_1b),
        FileKind("items", "Last.fm HetRec artists.dat", _hetrec_artists),
        FileKind("items", "LFM-1b tracks", _names_1b),
        FileKind("other", "Last.fm HetRec friends or tags", _hetrec_others),
    ),
)

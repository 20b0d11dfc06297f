"""MovieLens as GroupLens distributes it (https://grouplens.org/datasets/movielens/): 100K to 32M and latest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.data.reading.delimited import Delimited
from core.data.reading.layouts import LINE
from core.data.reading.probe import STARS, UNIX_SECONDS, FileProbe, all_match
from core.data.reading.records import PARTS
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Reshaped, Taken, shaped

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The 19 flags of `u.item`, as `u.genre` lists them."""
_RATING: Taken = {"user": "user", "item": "item", "rating": "rating", "time": "timestamp"}
_CSV: Taken = {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
_OTHER_HEADERS = (
    ("userId", "movieId", "tag", "timestamp"),
    ("movieId", "imdbId", "tmdbId"),
    ("movieId", "tagId", "relevance"),
    ("tagId", "tag"),
)


def _rating_rows(probe: FileProbe, delimiter: str) -> FileShape | None:
    rows = probe.table(delimiter, 4)
    patterns = (r"\d+", r"\d+", STARS, UNIX_SECONDS)
    if not rows or not all(all_match(rows, place, pattern) for place, pattern in enumerate(patterns)):
        return None
    names = ("user", "item", "rating", "timestamp")
    return shaped(Delimited(delimiter, names, header=False, named_by="MovieLens has"), _RATING, time_unit="seconds")


def _u_item(probe: FileProbe) -> FileShape | None:
    rows = probe.table("|", 5 + len(GENRES))
    if not rows or not all_match(rows, 0, r"\d+") or not all(all_match(rows, 5 + n, "[01]") for n in range(19)):
        return None
    inner = Delimited(
        "|", ("item", "movie_title", "date", "video", "url", *GENRES), header=False, named_by="u.item has"
    )
    reads = ("item", "movie_title", *GENRES)
    layout = Reshaped(inner, reads, ("item", "movie_title", "genres"), lambda: _flags_as_list, ("date", "video", "url"))
    return shaped(layout, {"item": "item", "title": "movie_title", "categories": "genres"})


def _flags_as_list(table: pa.Table) -> pa.Table:
    flags = np.stack([table.column(genre).to_numpy(zero_copy_only=False) == "1" for genre in GENRES], axis=1)
    genres = [PARTS.join(GENRES[place] for place in np.flatnonzero(row)) or None for row in flags]
    return table.select([LINE, "item", "movie_title"]).append_column("genres", pa.array(genres, pa.string()))


def _movies_dat(probe: FileProbe) -> FileShape | None:
    rows = probe.table("::", 3)
    if not rows or not all_match(rows, 0, r"\d+"):
        return None
    layout = Delimited("::", ("item", "movie_title", "genres"), header=False, named_by="movies.dat has")
    return shaped(layout, {"item": "item", "title": "movie_title", "categories": "genres"})


def _csv(probe: FileProbe, header: tuple[str, ...]) -> Delimited | None:
    return Delimited(",", header, quote='"') if probe.lines and probe.lines[0] == ",".join(header) else None


def _ratings_csv(probe: FileProbe) -> FileShape | None:
    layout = _csv(probe, ("userId", "movieId", "rating", "timestamp"))
    return shaped(layout, _CSV, time_unit="seconds")


def _movies_csv(probe: FileProbe) -> FileShape | None:
    layout = _csv(probe, ("movieId", "title", "genres"))
    note = "A year stands behind most titles, and an article behind its comma, as MovieLens writes them."
    return shaped(layout, {"item": "movieId", "title": "title", "categories": "genres"}, notes=(note,))


def _other(probe: FileProbe) -> FileShape | None:
    layout = next((other for header in _OTHER_HEADERS if (other := _csv(probe, header))), None)
    if layout is None and (users := probe.table("::", 5) or probe.table("|", 5)) and all_match(users, 0, r"\d+"):
        layout = Delimited("::", ("user", "sex", "age", "job", "zip"), header=False)
    if layout is None and (tags := probe.table("::", 4)) and all_match(tags, 3, UNIX_SECONDS):
        layout = Delimited("::", ("user", "item", "tag", "timestamp"), header=False)
    return shaped(layout)


MOVIELENS = DataFormat(
    name="movielens",
    words="MovieLens 100K, 1M, 10M, 20M, 25M, 32M and latest",
    kinds=(
        FileKind("interactions", "MovieLens ratings.csv", _ratings_csv),
        FileKind("interactions", "MovieLens ratings.dat", lambda probe: _rating_rows(probe, "::")),
        FileKind("interactions", "MovieLens u.data", lambda probe: _rating_rows(probe, "\t")),
        FileKind("items", "MovieLens movies.csv", _movies_csv),
        FileKind("items", "MovieLens movies.dat", _movies_dat),
        FileKind("items", "MovieLens u.item", _u_item),
        FileKind("other", "MovieLens users, tags or links", _other),
    ),
)

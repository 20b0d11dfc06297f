"""A data set: its users, what each of them met, and its items."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Any

import duckdb

from core.data.catalogue import Catalogue
from core.data.duck import first_row, locked_connection
from core.data.folders import folder_of, licence_of
from core.data.likes import Likes, likes_of
from core.data.names import named_dataset
from core.data.reading.sources import folder_sources
from core.data.reading.streams import readable_name
from core.data.records import Interaction, Item
from core.data.sample_data import sample_folder
from core.data.stored import Stored, store_sources
from core.errors import DataError
from core.store.home import spill_place
from core.store.material import LICENCES
from core.words import brief

_SAMPLE_LICENCE = next(f"{licence}: {note}" for title, licence, note, _ in LICENCES if title.startswith("MovieLens"))


class Dataset:
    """One data set on disk, asked through a DuckDB that sees its folder only; safe to share between threads."""

    def __init__(self, stored: Stored, *, name: str, licence: str) -> None:
        self.dataset_id = stored.dataset_id
        """First 16 hex digits of the content's SHA-256."""
        self.name = name
        self.licence = licence
        self.notices = stored.notices
        """What a reader should know about the files, one sentence each."""
        self.meaning: dict[str, Any] = stored.meaning
        """How the files were read: `rating_column`, `title_column`, `like_share`, `unused_columns`."""
        self.noun: str = stored.facts["noun"]
        """What an item is called, such as `movie`."""
        self.has_ratings: bool = stored.facts["has_ratings"]
        """False when ratings are missing or all equal."""
        self.like_threshold: float = stored.facts["like_threshold"]
        """Least rating that counts as liked; 0 when there are no ratings."""
        self.has_time: bool = stored.facts["has_time"]
        """False when timestamps are missing or all equal; then every timestamp is None."""
        self.size: dict[str, int] = {key: stored.facts[key] for key in ("users", "items", "interactions")}
        """Numbers of users, items and interactions."""
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._likes: Likes | None = None
        self._indexing = threading.Lock()
        self._connection = locked_connection(stored.folder, spill=spill_place())
        for table in ("interactions", "items", "users"):
            self._connection.read_parquet(str(stored.folder / f"{table}.parquet")).create_view(table)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of the caller's own on the views `interactions`, `items` and `users`."""
        with self._lock:
            return self._connection.cursor()

    @property
    def catalogue(self) -> Catalogue:
        """All items, read on first use."""
        with self._lock:
            if self._catalogue is None:
                query = "SELECT item_id, title, categories, popularity FROM items ORDER BY place"
                self._catalogue = Catalogue(self._connection.cursor().sql(query).to_arrow_table())
            return self._catalogue

    @property
    def likes(self) -> Likes:
        """All liked interactions by user and by item; built on the first use of these data, then read from disk."""
        with self._indexing:
            if self._likes is None:
                self._likes = likes_of(self)
            return self._likes

    def users(self, search: str = "", limit: int = 200) -> list[tuple[str, int]]:
        """Users whose id starts with `search` and their numbers of interactions; 2 comes before 10."""
        query = "SELECT user_id, interactions FROM users WHERE starts_with(user_id, ?) ORDER BY place LIMIT ?"
        return self.cursor().execute(query, [search, max(0, limit)]).fetchall()

    def history(self, user_id: str) -> tuple[Interaction, ...]:
        """All interactions of a user in time order, ties in file order. Raises `DataError` for an unknown user."""
        query = "SELECT item_id, position, rating, timestamp FROM interactions WHERE user_id = ? ORDER BY position"
        rows = self.cursor().execute(query, [user_id]).fetchall() if "\0" not in user_id else []
        if not rows:
            raise self._unknown_user(user_id)
        return tuple(Interaction(*row) for row in rows)

    def _unknown_user(self, user_id: str) -> DataError:
        first = self.users(limit=1)[0][0]
        expected = f"one of its {self.size['users']} users, such as {first}"
        return DataError(f"user {brief(user_id)} is not in the data set {self.name}", expected=expected)

    def item(self, item_id: str) -> Item:
        """The item with this id. Raises `DataError` naming an unknown one."""
        return self.catalogue.item(item_id)

    def items(self, item_ids: Iterable[str]) -> dict[str, Item]:
        """The items with these ids, in the given order. Raises `DataError` naming an unknown one."""
        return self.catalogue.items(item_ids)

    def all_items(self) -> tuple[Item, ...]:
        """Every item, in numeric-aware order of the ids."""
        return self.catalogue.all

    def find_items(self, text: str, limit: int = 50) -> tuple[Item, ...]:
        """Items whose title contains `text` in any case, or whose id is `text`, the most popular first."""
        query = (
            "SELECT item_id FROM items WHERE item_id = $text OR contains(lower(title), lower($text))"
            " ORDER BY item_id = $text DESC, popularity DESC, place LIMIT $limit"
        )
        rows = self.cursor().execute(query, {"text": text, "limit": max(0, limit)}).fetchall()
        return tuple(self.item(row[0]) for row in rows)

    def is_rated(self, interaction: Interaction) -> bool:
        """Whether it is known if the user liked it; always true without ratings, false for a missing rating."""
        return not self.has_ratings or interaction.rating is not None

    def liked(self, interaction: Interaction) -> bool:
        """Whether the rating reaches `like_threshold`; false for a missing rating.

        Without ratings always true, but for an interaction that a person says was not liked; see `answer_rating`.
        """
        if not self.has_ratings:
            return interaction.rating != answer_rating(liked=False)
        return interaction.rating is not None and interaction.rating >= self.like_threshold

    def time_cut(self, share: float = 0.8) -> float:
        """The timestamp below which about `share` of all interactions lie (their discrete quantile).

        Raises `DataError` when the data have no time order.
        """
        if not self.has_time:
            raise DataError(f"the data set {self.name} has no timestamps to cut at", expected="split last")
        (cut,) = first_row(self.cursor(), "SELECT quantile_disc(timestamp, $share) FROM interactions", {"share": share})
        return float(cut)

    def close(self) -> None:
        """Let go of the files; the data set cannot be asked afterwards."""
        with self._lock:
            self._connection.close()


def answer_rating(*, liked: bool) -> float:
    """The rating of an interaction whose answer a person says: beyond every rating that data can hold."""
    return math.inf if liked else -math.inf


def open_dataset(name: str) -> Dataset:
    """The data set `sample`, the one added under `name`, or the one in the folder `name` (`./games` where both are).

    Raises `DataError` for anything that is not a whole data set, `MaterialError` when it cannot be stored.
    """
    added = named_dataset(name)
    if added is not None:
        return Dataset(added.stored, name=name, licence=added.licence)
    folder = sample_folder() if name == "sample" else folder_of(name)
    sources, title = folder_sources(folder)
    licence = _SAMPLE_LICENCE if name == "sample" else licence_of(folder)
    return Dataset(store_sources(sources), name=readable_name(title), licence=licence)

"""Typed interactions: their order, and what their ratings and times mean."""

from __future__ import annotations

import time
from dataclasses import dataclass

import duckdb
import numpy as np

from core.columns import LABEL, RATING
from core.data.clock import TimeReading, clock_notices, seconds_sql, unit_sql
from core.data.duck import NUMERIC_VALUE, first_row
from core.data.loading import load_interactions
from core.data.reading.rejects import Rejects
from core.data.reading.sources import Sources
from core.data.reading.table import Table
from core.data.scale import Scale, scale_notices, scale_of
from core.store.lock import tell
from core.words import counted

_DAY = 86_400.0
MOST_VALUES = 20
"""Distinct ratings that a report names."""


@dataclass(frozen=True)
class InteractionReading:
    """How the files of interactions were read."""

    table: Table
    rating: str | None
    """The column read as ratings."""
    scale: Scale
    values: tuple[tuple[float, int], ...]
    """The distinct ratings, the most frequent first, and how many interactions hold each."""
    clock: TimeReading
    repeats: int
    """Lines that repeat the user, item and time of another line."""
    differing: int
    """Repeated lines whose ratings differ."""
    beside: Table | None
    """The titles that stand beside the interactions."""
    notices: tuple[str, ...]

    @property
    def timed(self) -> bool:
        """Whether the timestamps order anything."""
        return self.clock.unit is not None


def read_interactions(connection: duckdb.DuckDBPyConnection, sources: Sources, rejects: Rejects) -> InteractionReading:
    """Make table `ordered` (user_id, item_id, rating, timestamp, position) of checked files.

    There is one row for each user, item and time, with `position` from 0 in order of time; ties keep the order of the
    file, but where one of them is repeated, their items' order. A `rating` that means "not rated" is NULL.
    """
    loaded = load_interactions(connection, sources, rejects)
    tell("sorting")
    name, choices = loaded.table.name, sources.choices
    _check_times(connection, loaded.table, rejects)
    unit = sources.interactions[0].shape.time_unit
    clock, notices = _clock(connection, name, unit=unit, dates=loaded.dates)
    repeats, differing = _order(connection, timed=clock.unit is not None)
    notices += _repeats(repeats, differing, name)
    fixed = choices.not_rated if choices.not_rated is not None else sources.interactions[0].shape.not_rated
    scale, values, of_ratings = _rate(connection, loaded.rating, like_from=choices.like_from, not_rated=fixed)
    return InteractionReading(
        table=loaded.table,
        rating=loaded.rating,
        scale=scale,
        values=values,
        clock=clock,
        repeats=repeats,
        differing=differing,
        beside=loaded.beside,
        notices=(*notices, *of_ratings),
    )


def _check_times(connection: duckdb.DuckDBPyConnection, table: Table, rejects: Rejects) -> None:
    """Reject the lines without a time where others have one."""
    (missing, rows) = first_row(connection, "SELECT count(*) - count(timestamp), count(*) FROM typed")
    if missing in (0, rows):
        return
    lines = connection.execute("SELECT line FROM typed WHERE timestamp IS NULL ORDER BY line LIMIT 20").fetchall()
    for (number,) in lines:
        rejects.add(*table.place(number), "no timestamp", "one in every line, or in none")
    rejects.count += missing - len(lines)
    connection.execute("DELETE FROM typed WHERE timestamp IS NULL")


def _clock(
    connection: duckdb.DuckDBPyConnection, name: str, *, unit: str | None, dates: int
) -> tuple[TimeReading, list[str]]:
    """Bring the timestamps of `typed` to seconds; how they were read, and what to say of them."""
    (distinct,) = first_row(
        connection, "SELECT count(*) FROM (SELECT DISTINCT timestamp FROM typed WHERE timestamp IS NOT NULL LIMIT 2)"
    )
    if distinct != 2:
        why = "All timestamps are equal" if distinct == 1 else "There are no timestamps"
        return TimeReading(None), [f"{why}: the order of interactions is their order in {name}."]
    (median,) = first_row(connection, "SELECT quantile_disc(abs(timestamp), 0.5) FROM typed")
    (early,) = first_row(connection, "SELECT count(*) FROM typed WHERE timestamp IN (0, -1)")
    sql = f"'{unit}'" if unit else unit_sql(median)
    units = connection.execute(f"SELECT {sql} AS unit, count(*) FROM typed GROUP BY unit ORDER BY unit").fetchall()
    if [row[0] for row in units] != ["seconds"]:
        connection.execute(f"UPDATE typed SET timestamp = {seconds_sql(sql)} WHERE {sql} <> 'seconds'")
    first, last, late = first_row(
        connection,
        "SELECT min(timestamp), max(timestamp), count(*) FILTER (timestamp > $day) FROM typed",
        {"day": time.time() + _DAY},
    )
    notices = clock_notices(median, dict(units), early=early, late=late, name=name, unit=unit)
    if dates:
        notices.append(
            f"{counted(dates, 'time is', 'times are')} written as dates, read as UTC where no zone is named."
        )
    main = max(units, key=lambda row: row[1])[0]
    return TimeReading(main, first=first, last=last, early=early, late=late, dates=dates), notices


def _order(connection: duckdb.DuckDBPyConnection, *, timed: bool) -> tuple[int, int]:
    """Make table `ordered` of `typed`, each user's item and time once; how many lines are repeats, and differ.

    Its rows lie in order of user and position, and are asked for in no other.
    """
    _find_repeats(connection)
    repeats, differing = first_row(
        connection,
        "SELECT (SELECT count(*) FROM typed SEMI JOIN repeaters USING (user_id)) - (SELECT count(*) FROM again),"
        " (SELECT count(*) FROM again WHERE timestamp IS NOT NULL AND differs)",
    )
    when = "timestamp" if timed else "NULL::DOUBLE"
    # Where the file holds an interaction several times, its place in the file says nothing.
    connection.execute(
        "CREATE TABLE sorted AS SELECT user_id, item_id, rating, timestamp FROM"
        f" (SELECT user_id, item_id, rating, {when} AS timestamp, place, {str(timed).lower()} AND mixed AS mixed FROM"
        " (SELECT *, bool_or(repeated) OVER (PARTITION BY user_id, timestamp) AS mixed FROM again)"
        f" UNION ALL SELECT user_id, item_id, rating, {when} AS timestamp, rowid AS place, false AS mixed FROM typed"
        " ANTI JOIN repeaters USING (user_id))"
        " ORDER BY user_id, timestamp, CASE WHEN mixed THEN 0 ELSE place END,"
        f" CASE WHEN mixed THEN {NUMERIC_VALUE.format('item_id')} END NULLS LAST, CASE WHEN mixed THEN item_id END"
    )
    connection.execute("DROP TABLE typed; DROP TABLE again; DROP TABLE repeaters")
    connection.execute(
        "CREATE TABLE ordered AS SELECT s.user_id, item_id, rating, timestamp, (s.rowid - first)::INTEGER AS position"
        " FROM sorted s JOIN (SELECT user_id, min(rowid) AS first FROM sorted GROUP BY user_id) USING (user_id)"
        " ORDER BY s.rowid; DROP TABLE sorted"
    )
    return repeats, differing


def _find_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `repeaters`, the users with repeated lines, and `again`, their rows with each user's item and time once.

    A hash finds them among all rows in little memory; users that two equal hashes name by chance change nothing.
    """
    connection.execute(
        "CREATE TABLE repeaters AS SELECT DISTINCT user_id FROM typed WHERE hash(user_id, item_id, timestamp) IN"
        " (SELECT hash(user_id, item_id, timestamp) AS h FROM typed WHERE timestamp IS NOT NULL"
        " GROUP BY h HAVING count(*) > 1)"
    )
    connection.execute(
        "CREATE TABLE again AS SELECT *, count(*) OVER again > 1 AS repeated,"
        " max(rating) OVER again IS DISTINCT FROM min(rating) OVER again OR"
        " count(rating) OVER again NOT IN (0, count(*) OVER again) AS differs"
        " FROM (SELECT *, rowid AS place FROM typed) SEMI JOIN repeaters USING (user_id)"
        " WINDOW again AS (PARTITION BY user_id, item_id, timestamp) QUALIFY timestamp IS NULL OR row_number() OVER"
        " (PARTITION BY user_id, item_id, timestamp ORDER BY rating DESC NULLS LAST, place) = 1"
    )


def _repeats(repeats: int, differing: int, name: str) -> list[str]:
    if not repeats:
        return []
    what = counted(repeats, "line repeats", "lines repeat")
    ratings = "" if not differing else f", the highest rating where they differ ({differing:,})"
    return [f"{what} the user, item and time of another line of {name}; each is kept once{ratings}."]


def _rate(
    connection: duckdb.DuckDBPyConnection,
    column: str | None,
    *,
    like_from: float | None,
    not_rated: tuple[float, ...] | None,
) -> tuple[Scale, tuple[tuple[float, int], ...], list[str]]:
    """The scale of the ratings of `ordered`, whose special values become NULL; the values; what to say of them."""
    counts = connection.execute(
        "SELECT rating, count(*) AS n FROM ordered WHERE rating IS NOT NULL GROUP BY rating ORDER BY rating"
    ).fetchnumpy()
    values = np.asarray(counts["rating"], dtype=np.float64)
    numbers = np.asarray(counts["n"], dtype=np.int64)
    scale = scale_of(values, numbers, label=column == LABEL, like_from=like_from, not_rated=not_rated)
    (missing,) = first_row(connection, "SELECT count(*) FROM ordered WHERE rating IS NULL")
    special = ", ".join(repr(value) for value, _ in scale.unrated)
    if special:
        connection.execute(f"UPDATE ordered SET rating = NULL WHERE rating IN ({special})")
    most = np.argsort(-numbers, kind="stable")[:MOST_VALUES]
    named = tuple((float(values[place]), int(numbers[place])) for place in most)
    return scale, named, scale_notices(scale, column or RATING, missing)

"""Typed interactions of a text table: their order, and what their ratings and times mean."""

from __future__ import annotations

import time
from dataclasses import dataclass

import duckdb
import numpy as np

from core.columns import ITEM, LABEL, RATING, TIMESTAMP, USER
from core.data.clock import clock_notices, seconds_sql, unit_sql
from core.data.duck import NUMERIC_ORDER, first_row
from core.data.reading.table import Table, load, refuse_first
from core.data.scale import Scale, scale_notices, scale_of
from core.words import counted

_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
_DAY = 86_400.0


@dataclass(frozen=True)
class InteractionReading:
    """How a `.inter` file was read."""

    rating: str | None
    """The column read as ratings."""
    scale: Scale
    timed: bool
    """Whether the timestamps order anything."""
    notices: tuple[str, ...]


def read_interactions(connection: duckdb.DuckDBPyConnection, table: Table) -> InteractionReading:
    """Make table `ordered` (user_id, item_id, rating, timestamp, position) of a checked file.

    There is one row for each user, item and time, with `position` from 0 in order of time; ties keep the order of the
    file, but where one of them is repeated, their items' order. A `rating` that means "not rated" is NULL.
    """
    load(connection, table, "inter_text")
    rating = next((column for column in (RATING, LABEL) if column in table.columns), None)
    _type(connection, table, rating)
    timed, notices = _clock(connection, table.name)
    notices += _order(connection, timed=timed, name=table.name)
    scale, of_ratings = _rate(connection, rating)
    return InteractionReading(rating, scale, timed, (*notices, *of_ratings))


def _type(connection: duckdb.DuckDBPyConnection, table: Table, rating: str | None) -> None:
    """Make table `typed` (line, user_id, item_id, rating, timestamp)."""
    connection.execute(
        f"CREATE VIEW named AS SELECT line, {table.field(USER)} AS user_id, {table.field(ITEM)} AS item_id,"
        f" nullif(trim({table.field(rating)}::VARCHAR), '') AS rating,"
        f" nullif(trim({table.field(TIMESTAMP)}::VARCHAR), '') AS timestamp FROM inter_text"
    )
    for column in (USER, ITEM):
        refuse_first(
            connection, f"SELECT line, '' FROM named WHERE {column} IS NULL",
            problem=f"no {column}", expected="an id in every line", name=table.name,
        )  # fmt: skip
    _check_numbers(connection, table, rating)
    connection.execute(
        "CREATE TABLE typed AS SELECT line, user_id, item_id, rating::DOUBLE AS rating, timestamp::DOUBLE AS timestamp"
        " FROM named"
    )
    connection.execute("DROP VIEW named; DROP TABLE inter_text")


def _check_numbers(connection: duckdb.DuckDBPyConnection, table: Table, rating: str | None) -> None:
    for column, name in ((RATING, rating or RATING), (TIMESTAMP, TIMESTAMP)):
        refuse_first(
            connection,
            f"SELECT line, {column} FROM named WHERE {column} IS NOT NULL AND (NOT regexp_full_match({column},"
            f" '{_NUMBER}') OR NOT isfinite({column}::DOUBLE))",
            problem=f"{name} is {{}}",
            expected="a number of seconds" if column == TIMESTAMP else "a finite number such as 4 or 3.5",
            name=table.name,
        )
    if TIMESTAMP in table.columns:
        refuse_first(
            connection, "SELECT line, '' FROM named WHERE timestamp IS NULL AND"
            " EXISTS (SELECT 1 FROM named WHERE timestamp IS NOT NULL)",
            problem="no timestamp", expected="one in every line, or in none", name=table.name,
        )  # fmt: skip


def _clock(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[bool, list[str]]:
    """Bring the timestamps of `typed` to seconds; whether they order anything, and what to say of them."""
    (distinct,) = first_row(
        connection, "SELECT count(*) FROM (SELECT DISTINCT timestamp FROM typed WHERE timestamp IS NOT NULL LIMIT 2)"
    )
    if distinct != 2:
        why = "All timestamps are equal" if distinct == 1 else "There are no timestamps"
        return False, [f"{why}: the order of interactions is their order in {name}."]
    (median,) = first_row(connection, "SELECT quantile_disc(abs(timestamp), 0.5) FROM typed")
    unit = unit_sql(median)
    units = connection.execute(f"SELECT {unit} AS unit, count(*) FROM typed GROUP BY unit ORDER BY unit").fetchall()
    (early,) = first_row(connection, "SELECT count(*) FROM typed WHERE timestamp IN (0, -1)")
    connection.execute(f"UPDATE typed SET timestamp = {seconds_sql(unit)} WHERE {unit} <> 'seconds'")
    (late,) = first_row(connection, "SELECT count(*) FROM typed WHERE timestamp > $day", {"day": time.time() + _DAY})
    notices = clock_notices(median, dict(units), early=early, late=late, name=name)
    return True, notices


def _order(connection: duckdb.DuckDBPyConnection, *, timed: bool, name: str) -> list[str]:
    """Make table `ordered` of `typed`, each user's item and time once; what to say of repeats."""
    connection.execute(
        "CREATE TABLE kept AS SELECT *, count(*) OVER again > 1 AS repeated,"
        " max(rating) OVER again IS DISTINCT FROM min(rating) OVER again OR"
        " count(rating) OVER again NOT IN (0, count(*) OVER again) AS differs FROM typed"
        " WINDOW again AS (PARTITION BY user_id, item_id, timestamp) QUALIFY timestamp IS NULL OR row_number() OVER"
        " (PARTITION BY user_id, item_id, timestamp ORDER BY rating DESC NULLS LAST, line) = 1"
    )
    notices = _repeats(connection, name)
    when = "timestamp" if timed else "NULL::DOUBLE"
    # Where the file holds an interaction several times, its place in the file says nothing.
    connection.execute(
        f"CREATE TABLE ordered AS SELECT user_id, item_id, rating, {when} AS timestamp, (row_number() OVER"
        f" (PARTITION BY user_id ORDER BY timestamp, CASE WHEN mixed THEN 0 ELSE line END,"
        f" {NUMERIC_ORDER.format('item_id')}) - 1)::INTEGER AS position FROM (SELECT *,"
        f" {str(timed).lower()} AND bool_or(repeated) OVER (PARTITION BY user_id, timestamp) AS mixed FROM kept)"
    )
    connection.execute("DROP TABLE typed; DROP TABLE kept")
    return notices


def _repeats(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    dropped, differing = first_row(
        connection,
        "SELECT (SELECT count(*) FROM typed) - (SELECT count(*) FROM kept),"
        " (SELECT count(*) FROM kept WHERE timestamp IS NOT NULL AND differs)",
    )
    if not dropped:
        return []
    what = counted(dropped, "line repeats", "lines repeat")
    ratings = "" if not differing else f", the highest rating where they differ ({differing:,})"
    return [f"{what} the user, item and time of another line of {name}; each is kept once{ratings}."]


def _rate(connection: duckdb.DuckDBPyConnection, column: str | None) -> tuple[Scale, list[str]]:
    """The scale of the ratings of `ordered`, whose special values become NULL; what to say of them."""
    counts = connection.execute(
        "SELECT rating, count(*) AS n FROM ordered WHERE rating IS NOT NULL GROUP BY rating ORDER BY rating"
    ).fetchnumpy()
    values = np.asarray(counts["rating"], dtype=np.float64)
    scale = scale_of(values, np.asarray(counts["n"], dtype=np.int64), label=column == LABEL)
    (missing,) = first_row(connection, "SELECT count(*) FROM ordered WHERE rating IS NULL")
    special = ", ".join(repr(value) for value, _ in scale.unrated)
    if special:
        connection.execute(f"UPDATE ordered SET rating = NULL WHERE rating IN ({special})")
    return scale, scale_notices(scale, column or RATING, missing)

"""A DuckDB that sees one folder and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

NUMERIC_VALUE = "CASE WHEN regexp_full_match({0}, '[0-9]{{1,37}}') THEN {0}::HUGEINT END"
"""SQL for the number that a text id is; NULL for other text."""
NUMERIC_ORDER = f"{NUMERIC_VALUE} NULLS LAST, {{0}}"
"""SQL order of a text id column in which 2 comes before 10, and other text after all numbers."""


def locked_connection(folder: Path, *, spill: Path | None, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that may read and write below `folder` only, loads no extension, and cannot be unlocked.

    What does not fit its memory goes to `spill`; without one, such a query fails.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory,
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "temp_directory": "" if spill is None else str(spill),
        },
    )
    connection.execute("SET allowed_directories=$folders", {"folders": [str(folder)]})
    for setting in ("enable_external_access", "python_enable_replacements", "enable_progress_bar"):
        connection.execute(f"SET {setting}=false")
    connection.execute("SET lock_configuration=true")
    return connection


def first_row(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object] | None = None
) -> tuple[Any, ...]:
    """The first row of `query`, for queries that always have one."""
    # fetchall, not fetchone: a result that was not read to its end blocks the connection's next statement.
    return tuple(connection.execute(query, parameters or {}).fetchall()[0])

"""Part `own`: what an engineer brings. Prompts are cut, data are imported and asked, a server is scored through."""

from __future__ import annotations

from collections.abc import Iterator

from bench.own.cuts import cut_share
from bench.own.data_import import import_rows
from bench.own.server_rows import server_rows
from bench.results_table import ResultRow, as_row
from bench.timing import Clock

SERVED = 3
"""Users whose lists a server scores, in both families."""


def own(seed: int) -> Iterator[list[ResultRow]]:
    """Rows so far: cuts, server, import."""
    clock = Clock("own", 3)
    cuts = cut_share()
    done = [as_row(f"share of {cuts.prompts} prompts of the own corpus cut right", [cuts.share], ">= 0.95")]
    clock.tick("cuts")
    yield done
    rows: list[ResultRow] = []
    for rows in server_rows(SERVED, seed):
        yield [*done, *rows]
    done += rows
    clock.tick("server")
    for rows in import_rows(seed=seed):
        yield [*done, *rows]
    clock.tick("import")

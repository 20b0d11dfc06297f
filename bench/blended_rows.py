"""A blend with popularity as rows: what it reaches, and what it gains over the model and over popularity."""

from __future__ import annotations

from collections.abc import Iterator

from bench.constants import SURELY_ABOVE_ZERO
from bench.results_table import ResultRow, as_row
from bench.spread import figures_of
from core.tuning.evaluation.record import BlendRow


def blended_rows(row: BlendRow, before: str = "") -> Iterator[ResultRow]:
    """Rows of a blend; both gains are promised to be surely above zero."""
    blend = f"{before}NDCG@10, {row.family}, {row.way}, blend {row.weight:g} ({row.lists} lists)"
    yield as_row(blend, figures_of(row.blend))
    for name, apart in (("model alone", row.over_model), ("popularity before each moment", row.over_popularity)):
        figures = figures_of(apart)
        yield as_row(f"{blend}, minus {name}", figures, SURELY_ABOVE_ZERO, met=figures.low > 0)

"""What could stand in the place of demonstrations: each interaction once, and never one of the moment or after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.demonstrations import by_ids
from core.data.replacements import EACH, replacements
from core.data.strategies import STRATEGIES

Write = Callable[..., Path]


def test_every_source_gives_its_nearest_in_turns(books: Dataset) -> None:
    pool = replacements(books, case_of(books, "a"), history=5)
    # a's latest, then the most similar other: b. What neighbours of a like, a has met already.
    assert [demo.demo_id for demo in pool][:2] == ["a:2", "b:2"]
    assert {demo.demo_id for demo in pool} >= {"a:0", "a:1", "a:2", "b:2", "c:1"}
    assert len({(demo.user_id, demo.position) for demo in pool}) == len(pool)
    assert len(pool) <= EACH * (1 + sum(row.pooled for row in STRATEGIES.values()))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.integers(1, 5), st.integers(1, 30)),
        min_size=8,
        max_size=24,
        unique_by=(lambda row: row[:2], lambda row: (row[0], row[3])),
    )
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_of_the_moment_or_after_it_is_offered(write: Write, rows: list[tuple[str, int, int, int]]) -> None:
    """Property: every offer lies before the moment, and names a demonstration that the case can show."""
    rows = [("a", 10, 5, 40), ("a", 9, 4, 20), *rows]
    lines = [f"{user}\t{item}\t{rating}\t{time}" for user, item, rating, time in rows]
    titles = [f"{item}\ttitle {item}" for item in range(1, 11)]
    folder = write(["user_id\titem_id\trating\ttimestamp", *lines], ["item_id\ttitle", *titles])
    dataset = open_dataset(str(folder))
    case = case_of(dataset, "a")
    pool = replacements(dataset, case, history=2)
    for demo in pool:
        interaction = dataset.history(demo.user_id)[demo.position]
        assert interaction.timestamp is not None
        assert case.moment is not None
        assert interaction.timestamp < case.moment
    assert [demo.demo_id for demo in by_ids(dataset, case, [demo.demo_id for demo in pool], history=2)] == [
        demo.demo_id for demo in pool
    ]
    dataset.close()

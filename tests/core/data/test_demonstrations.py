"""Demonstrations are named by user and position and never from the case's moment or after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.demonstrations import by_ids
from core.data.records import Case, Demonstration
from core.errors import DataError, RequestError

Write = Callable[..., Path]
HEAD = "user_id\titem_id\trating\ttimestamp"


@pytest.fixture
def case(books: Dataset) -> Case:
    return case_of(books, "a")


def test_by_ids_keeps_the_order_and_sets_answers(books: Dataset, case: Case) -> None:
    assert by_ids(books, case, ["c:1:no", "a:0", "b:2:yes"], history=2) == (
        Demonstration("c:1:no", "c", 1, ("2",), "4", False, "manual"),
        Demonstration("a:0", "a", 0, (), "1", True, "manual"),
        Demonstration("b:2:yes", "b", 2, ("1", "3"), "4", True, "manual"),
    )


@pytest.mark.parametrize(
    ("ids", "kind", "message"),
    [
        (["b"], RequestError, "demonstration 'b'; expected user:position, user:position:yes or user:position:no"),
        (["b:x"], RequestError, "demonstration 'b:x'; expected"),
        (["b:-1"], RequestError, "demonstration 'b:-1'; expected"),
        (["b:²"], RequestError, "expected user:position"),
        ([":1"], RequestError, "expected user:position"),
        (["b:yes"], RequestError, "expected user:position"),
        (["zz:0"], DataError, "user 'zz' is not in the data set books"),
        (["b:3"], DataError, "demonstration 'b:3' does not exist; expected a position from 0 to 2"),
        (["c:2"], RequestError, "demonstration 'c:2' is not yet known to this case"),
        (["a:3"], RequestError, "demonstration 'a:3' is not yet known to this case"),
        (["b:1", "b:1:no"], RequestError, "demonstration 'b:1:no' is given twice"),
    ],
)
def test_ids_that_name_nothing_are_refused(
    books: Dataset, case: Case, ids: list[str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        by_ids(books, case, ids, history=2)
    assert message in str(caught.value)


def test_user_ids_may_hold_colons(write: Write) -> None:
    rows = ("x:1:yes\t1\t5\t1", "x:1:yes\t2\t4\t2", "me\t3\t3\t3", "me\t4\t3\t9")
    dataset = open_dataset(str(write((HEAD, *rows))))
    found = by_ids(dataset, case_of(dataset, "me"), ["x:1:yes:1:no"], history=3)
    assert (found[0].user_id, found[0].position, found[0].liked) == ("x:1:yes", 1, False)

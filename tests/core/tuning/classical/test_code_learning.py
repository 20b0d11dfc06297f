"""Codes of 32 bits: balanced, of a fixed form, and nearer for users and items of one taste."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from planted import opened, two_tastes

from core.data.dataset import Dataset
from core.errors import RequestError
from core.tuning.classical.code_learning import BITS, NO_CODE, _dotted, learn_codes
from core.tuning.examples import Window


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def tastes(home: Path) -> Dataset:
    return opened(home / "tastes", two_tastes())


def bits(code: str) -> np.ndarray:
    return np.array([int(bit) for number in code.split(".") for bit in f"{int(number):08b}"])


def apart(codes: Mapping[str, str], *, alike: bool) -> float:
    """Mean Hamming distance over pairs whose numbers are equally even (alike) or not."""
    names = sorted(codes)
    return float(
        np.mean(
            [
                (bits(codes[a]) != bits(codes[b])).sum()
                for place, a in enumerate(names)
                for b in names[:place]
                if ((int(a[1:]) - int(b[1:])) % 2 == 0) == alike
            ]
        )
    )


def test_the_same_taste_has_the_nearer_code(tastes: Dataset) -> None:
    codes = learn_codes(tastes, Window())
    for kind in (codes.users, codes.items):
        assert len(kind) == 24
        assert apart(kind, alike=True) + 6 < apart(kind, alike=False)


def test_users_agree_in_more_bits_with_items_of_their_taste(tastes: Dataset) -> None:
    codes = learn_codes(tastes, Window())
    same = {
        alike: np.mean([
            (bits(u) == bits(i)).sum() for user, u in codes.users.items() for item, i in codes.items.items()
            if ((int(user[1:]) - int(item[1:])) % 2 == 0) == alike
        ]) for alike in (True, False)
    }  # fmt: skip
    assert same[True] > BITS / 2 + 3
    assert same[False] < BITS / 2 - 3


def test_every_bit_parts_users_and_items_in_halves(tastes: Dataset) -> None:
    codes = learn_codes(tastes, Window())
    for kind in (codes.users, codes.items):
        table = np.array([bits(code) for code in kind.values()])
        assert table.shape == (24, BITS)
        assert (table.sum(axis=0) == 12).all()


def test_the_first_factor_is_the_highest_bit_of_the_first_number() -> None:
    factors = np.full((3, BITS), -1.0)
    factors[1, 0] = factors[1, 7] = factors[1, 31] = 1.0
    factors[2, 8] = 1.0
    assert _dotted(factors) == ["0.0.0.1", "129.0.0.1", "0.128.0.0"]  # nobody learned has the code of no one


def test_the_unseen_have_the_code_of_no_one_and_later_rows_change_nothing(tastes: Dataset) -> None:
    early = learn_codes(tastes, Window(until=5.0))
    assert len(early.users) <= 5
    assert early.user("nobody") == early.item("nothing") == NO_CODE == "0.0.0.0"
    assert NO_CODE not in early.users.values()


def test_equal_seeds_give_equal_codes(tastes: Dataset) -> None:
    assert learn_codes(tastes, Window(), 3) == learn_codes(tastes, Window(), 3)
    assert learn_codes(tastes, Window(), 3) != learn_codes(tastes, Window(), 4)


def test_codes_need_both_answers(home: Path) -> None:
    plain = opened(home / "plain", [(u, i, None, t) for u, i, _, t in two_tastes()])
    with pytest.raises(RequestError, match=r"no ratings.*expected ratings for user and item codes"):
        learn_codes(plain, Window())

"""Matrix factorisation, step by step against plain loops, and on tastes that were planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import opened, two_tastes

from core.data.dataset import Dataset
from core.metrics.binary import auc
from core.tuning.classical.factorisation import (
    Factors,
    FactorSettings,
    best_setting,
    epochs,
    fit_factors,
    matrix_factorisation,
)
from core.tuning.classical.references import TrainingRows, item_mean, training_rows
from core.tuning.examples import Window

TINY = FactorSettings(factors=3, decay=0.05, epochs=5, batch=100, rate=0.1, start=0.5)


@pytest.fixture(scope="module")
def tastes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield opened(tmp_path_factory.mktemp("data") / "tastes", two_tastes())


def few_rows() -> TrainingRows:
    user, item = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2, 3])
    liked = np.array([True, False, True, True, False, False, True])
    return TrainingRows(("a", "b", "c"), ("w", "x", "y", "z"), user, item, liked, np.arange(7.0))


def by_hand(rows: TrainingRows, choice: FactorSettings, start: Factors, steps: int) -> Factors:
    """The same steps as written in the papers: gradients row by row, then Adam (Kingma and Ba 2015, algorithm 1)."""
    names = ("mean", "user_bias", "item_bias", "user_factors", "item_factors")
    value = {name: np.array(getattr(start, name), dtype=np.float64) for name in names}
    first, second = ({name: np.zeros_like(one) for name, one in value.items()} for _ in range(2))
    for step in range(1, steps + 1):
        gradient = {name: np.zeros_like(one) for name, one in value.items()}
        for u, i, y in zip(rows.user, rows.item, rows.liked, strict=True):
            p, q = value["user_factors"][u], value["item_factors"][i]
            logit = value["mean"] + value["user_bias"][u] + value["item_bias"][i] + p @ q
            wrong = 1 / (1 + np.exp(-logit)) - y
            gradient["mean"] += wrong
            gradient["user_bias"][u] += wrong + 2 * choice.decay * value["user_bias"][u]
            gradient["item_bias"][i] += wrong + 2 * choice.decay * value["item_bias"][i]
            gradient["user_factors"][u] += wrong * q + 2 * choice.decay * p
            gradient["item_factors"][i] += wrong * p + 2 * choice.decay * q
        for name in names if choice.biased else names[3:]:
            slope = gradient[name] / len(rows.user)
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            rooted = np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8
            value[name] = value[name] - choice.rate * first[name] / (1 - 0.9**step) / rooted
    return Factors(float(value["mean"]), *(value[name] for name in names[1:]))


@pytest.mark.parametrize("biased", [True, False])
def test_the_steps_are_those_of_the_formulas(biased: bool) -> None:
    choice = replace(TINY, biased=biased)
    start = fit_factors(few_rows(), replace(choice, rate=0.0), 5)
    assert start.mean == pytest.approx(np.log(4 / 3) if biased else 0, abs=1e-6)
    assert not start.user_bias.any()
    assert start.user_factors.std() == pytest.approx(0.5, rel=0.6)
    for number, found in enumerate(epochs(few_rows(), np.ones(7, dtype=bool), choice, 5), start=1):
        expected = by_hand(few_rows(), choice, start, number)
        for name in ("mean", "user_bias", "item_bias", "user_factors", "item_factors"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=2e-5), (name, number)
    assert number == 5


def test_logits_are_the_formula_and_unseen_ones_add_nothing() -> None:
    factors = Factors(0.5, np.array([1.0]), np.array([2.0]), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    found = factors.logits(np.array([0, 0, -1, -1]), np.array([0, -1, 0, -1]))
    assert found == pytest.approx([0.5 + 1 + 2 + 11, 1.5, 2.5, 0.5])


def test_planted_tastes_are_learned_from_earlier_rows(tastes: Dataset) -> None:
    """A tenth of the answers is turned round, so 0.9 is about the best; no item is better than another."""
    cut = 300.0
    model, plain = matrix_factorisation(tastes, Window(until=cut)), item_mean(tastes, Window(until=cut))
    rows = training_rows(tastes, Window(since=cut))
    users, items = [rows.users[n] for n in rows.user], [rows.items[n] for n in rows.item]
    found, mean = (
        auc([ref.scores(u, (), [i])[0] for u, i in zip(users, items, strict=True)], rows.liked)
        for ref in (model, plain)
    )
    assert found > 0.8
    assert mean < 0.7


def test_cold_users_and_items_get_what_is_known(tastes: Dataset) -> None:
    model = matrix_factorisation(tastes, Window(until=300.0))
    factors = model.factors
    assert model.scores("nobody", (), ["nothing"]) == pytest.approx([factors.mean])
    assert model.scores("nobody", (), ["i3"])[0] == pytest.approx(factors.mean + factors.item_bias[model.items["i3"]])
    assert np.isfinite(model.scores("u1", (), ["i3", "nothing"])).all()
    assert model.scores("u1", (), []).shape == (0,)


def test_equal_seeds_give_equal_factors_and_leave_torch_alone(tastes: Dataset) -> None:
    rows = training_rows(tastes, Window())
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second, other = (fit_factors(rows, TINY, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first.user_factors, second.user_factors)
    assert not np.array_equal(first.user_factors, other.user_factors)


def test_the_choice_is_validated_on_the_latest_tenth_and_said(tastes: Dataset) -> None:
    choice, how = best_setting(training_rows(tastes, Window()), 0)
    assert 1 <= choice.epochs <= 40
    assert how.startswith("chosen by AUC 0.")
    rows = few_rows()
    late_alike = replace(rows, liked=np.array([True, False, True, True, False, False, False]))
    assert late_alike.recent.sum() == 1
    assert best_setting(late_alike, 0) == (FactorSettings(), "not validated, as there are too few rows")

"""Matrix factorisation of who liked what before the cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.metrics.binary import auc
from core.seeds import seed_of
from core.tuning.classical.references import TrainingRows, best_number, both_answers, training_rows
from core.tuning.examples import Window

PATIENCE = 4
"""Epochs without a better validation AUC after which a setting is given up."""


@dataclass(frozen=True)
class FactorSettings:
    """How a factorisation is fitted."""

    factors: int = 16
    """Numbers per user and per item."""
    decay: float = 0.03
    """Weight of the squared biases and factors of each row against its logistic loss."""
    epochs: int = 15
    """Passes over the rows; the most when it is chosen by validation."""
    biased: bool = True
    """Give users and items a bias of their own beside the product of factors."""
    batch: int = 2_048
    """Rows per step."""
    rate: float = 0.02
    """Learning rate of Adam."""
    start: float = 0.05
    """Standard deviation of the factors before the first step."""


GRID: tuple[FactorSettings, ...] = tuple(
    FactorSettings(factors=factors, decay=decay, epochs=40) for factors in (8, 32) for decay in (0.01, 0.03, 0.1)
)
"""The settings that `chosen` tries."""


@dataclass(frozen=True)
class Factors:
    """A fitted factorisation: log-odds of a like = mean + user bias + item bias + user factors · item factors."""

    mean: float
    user_bias: NDArray[np.float64]
    """(users,)"""
    item_bias: NDArray[np.float64]
    """(items,)"""
    user_factors: NDArray[np.float64]
    """(users, factors)"""
    item_factors: NDArray[np.float64]
    """(items, factors)"""

    def logits(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-odds of a like for pairs of numbers, shape (rows,); -1 stands for an unknown id, which has zeros."""
        user_factors = np.where(user[:, None] >= 0, self.user_factors[user], 0.0)
        item_factors = np.where(item[:, None] >= 0, self.item_factors[item], 0.0)
        biases = np.where(user >= 0, self.user_bias[user], 0.0) + np.where(item >= 0, self.item_bias[item], 0.0)
        return np.asarray(self.mean + biases + (user_factors * item_factors).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Factorisation:
    """Factors with the ids that they belong to: a `Reference`."""

    name: str
    needs: str
    factors: Factors
    users: Mapping[str, int]
    items: Mapping[str, int]

    def scores(self, user_id: str, history: Sequence[str], item_ids: Sequence[str]) -> NDArray[np.float64]:  # noqa: ARG002
        """Log-odds of a like, (items,); an unknown user or item adds nothing to the global mean."""
        item = np.array([self.items.get(item_id, -1) for item_id in item_ids], dtype=np.int64)
        return self.factors.logits(np.full(len(item), self.users.get(user_id, -1)), item)


def matrix_factorisation(dataset: Dataset, window: Window, seed: int = 0) -> Factorisation:
    """Biased matrix factorisation of liked and not (Koren, Bell and Volinsky 2009) with a logistic loss.

    Size, decay and number of epochs are the best of `GRID` by AUC on the latest tenth of the window; the whole window
    is then fitted with them. Raises `RequestError` for data without ratings, one answer only, or an empty window.
    """
    rows = training_rows(dataset, window, rated=True)
    both_answers(dataset, rows, "matrix factorisation")
    number = seed_of("factorisation", dataset.dataset_id, window.since, window.until, seed)
    choice, how = best_setting(rows, number)
    needs = (
        f"likes and dislikes of {len(rows.liked):,} training interactions; {choice.factors} factors, "
        f"decay {choice.decay:g}, {choice.epochs} epochs, {how}"
    )
    return Factorisation(
        "matrix factorisation", needs, fit_factors(rows, choice, number), rows.user_places, rows.item_places
    )


def best_setting(rows: TrainingRows, seed: int) -> tuple[FactorSettings, str]:
    """The best setting of `GRID` with its best number of epochs, and how it was chosen, in words.

    The default `FactorSettings` where the latest tenth, or what is before it, does not hold both answers.
    """
    late = rows.recent
    if any(rows.liked[part].all() or not rows.liked[part].any() for part in (late, ~late)):
        return FactorSettings(), "not validated, as there are too few rows"
    best, reached = FactorSettings(), -1.0
    for setting in GRID:
        epochs, value = _best_epoch(rows, late, setting, seed)
        if value > reached:
            best, reached = replace(setting, epochs=epochs), value
    return best, f"chosen by AUC {reached:.3f} on the latest tenth of them"


def fit_factors(rows: TrainingRows, choice: FactorSettings, seed: int) -> Factors:
    """The factors after `choice.epochs` passes over all rows (at least one)."""
    *_, last = epochs(rows, np.ones(len(rows.liked), dtype=bool), choice, seed)
    return last


def epochs(rows: TrainingRows, used: NDArray[np.bool_], choice: FactorSettings, seed: int) -> Iterator[Factors]:
    """Fit on the `used` rows and hand out the factors after each epoch.

    Each step lowers, by Adam, the mean over a batch of the logistic loss plus `decay` times the squares of the row's
    biases and factors. Rows come in a new random order every epoch; equal seeds give equal factors.
    """
    random = torch.Generator().manual_seed(seed)
    user, item = torch.from_numpy(rows.user[used]), torch.from_numpy(rows.item[used])
    liked = torch.from_numpy(rows.liked[used]).float()
    values = _Values(len(rows.users), len(rows.items), float(liked.mean()), choice, random)
    adam = torch.optim.Adam(values.learned(), lr=choice.rate)
    for _ in range(max(1, choice.epochs)):
        for batch in torch.split(torch.randperm(len(liked), generator=random), choice.batch):
            adam.zero_grad()
            values.loss(user[batch], item[batch], liked[batch]).backward()  # type: ignore[no-untyped-call]
            adam.step()
        yield values.frozen()


class _Values:
    """The parameters of a fit."""

    def __init__(self, users: int, items: int, share: float, choice: FactorSettings, random: torch.Generator) -> None:
        self.choice = choice
        odds = min(max(share, 1e-6), 1 - 1e-6)
        self.mean = torch.tensor(odds).logit() if choice.biased else torch.tensor(0.0)
        self.biases = torch.zeros(users), torch.zeros(items)
        self.factors = tuple(choice.start * torch.randn(n, choice.factors, generator=random) for n in (users, items))
        for parameter in self.learned():
            parameter.requires_grad_()

    def learned(self) -> list[torch.Tensor]:
        return [*self.factors, *((self.mean, *self.biases) if self.choice.biased else ())]

    def loss(self, user: torch.Tensor, item: torch.Tensor, liked: torch.Tensor) -> torch.Tensor:
        user_factors, item_factors = self.factors[0][user], self.factors[1][item]
        user_bias, item_bias = self.biases[0][user], self.biases[1][item]
        logits = self.mean + user_bias + item_bias + (user_factors * item_factors).sum(dim=1)
        squares = (user_factors**2).sum(dim=1) + (item_factors**2).sum(dim=1) + user_bias**2 + item_bias**2
        fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, liked)
        return fit + self.choice.decay * squares.mean()

    def frozen(self) -> Factors:
        parts = (tensor.detach().double().numpy().copy() for tensor in (*self.biases, *self.factors))
        return Factors(float(self.mean.detach()), *parts)


def _best_epoch(rows: TrainingRows, late: NDArray[np.bool_], choice: FactorSettings, seed: int) -> tuple[int, float]:
    """The number of epochs with the best AUC on the late rows, fitted on the others, and that AUC."""
    user, item = _numbers(rows.user, late), _numbers(rows.item, late)
    fits = epochs(rows, ~late, choice, seed)
    return best_number((auc(factors.logits(user, item), rows.liked[late]) for factors in fits), PATIENCE)


def _numbers(numbers: NDArray[np.int64], late: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The late rows' numbers, -1 for a number that no other row has."""
    return np.where(np.isin(numbers[late], numbers[~late]), numbers[late], -1)

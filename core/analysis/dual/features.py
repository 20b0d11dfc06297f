"""The explicit dual model of one head: a finite feature map, and weights trained on it by real gradient descent.

The kernel's own feature map is infinite. Positive orthogonal random features (FAVOR+, arXiv 2009.14794) stand in for
it: phi(x) = exp(w.x - |x|^2/2) / sqrt(m) over m random directions w, so that phi(k).phi(q) is exp(k.q) on average. The
error falls slowly with m; this is a teaching view, the exact parts are in `parts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from core.analysis.dual.parts import Head
from core.analysis.values import Array
from core.seeds import generator

CHUNK = 256
"""Tokens whose features are held at once."""
EASY = 4.0
"""Mean |k + q|^2 at which a few thousand features are enough to see the error fall."""


@dataclass(frozen=True)
class Kernel:
    """One head's attention as an exponential kernel: out = (1/Z) sum_i v_i exp(k_i.q), in double precision.

    Keys and query carry the square root of the scale each (d^-1/4 where the scale is 1/sqrt(d)), and the keys' mean is
    taken from every key: that multiplies all of exp(k_i.q) by one factor, which Z shares, so attention stays as it is
    while random features need far fewer draws.
    """

    query: Tensor
    """[width]."""
    keys: Tensor
    """[token, width]."""
    values: Tensor
    """[token, value width]."""
    labels: Tensor
    """[token]: number of the demonstration, or `demos` for every other token."""
    demos: int
    sink: float
    """Logit of a key without a value, minus infinity where there is none."""

    @property
    def log_z(self) -> float:
        """ln Z: over all tokens, and the sink."""
        sink = torch.tensor(self.sink, dtype=torch.float64)
        return float(torch.logaddexp(torch.logsumexp(self.keys @ self.query, dim=0), sink))

    @property
    def output(self) -> Tensor:
        """Attention output without any features, [value width]."""
        return torch.exp(self.keys @ self.query - self.log_z) @ self.values

    @property
    def exponent(self) -> float:
        """Mean |k + q|^2 over the tokens, weighted by their attention.

        With m features the estimate of exp(k.q) is off by about exp(|k + q|^2 / 2) / sqrt(m) times its own size
        (arXiv 2009.14794, lemma 2): it takes about e to this power features before it means anything.
        """
        shares = torch.softmax(self.keys @ self.query, dim=0)
        return float(shares @ (self.keys + self.query).square().sum(dim=1))

    def softened(self, factor: float) -> Kernel:
        """The head with every attention logit, a sink's too, multiplied by `factor`: another, smoother head."""
        root = math.sqrt(factor)
        return replace(self, query=self.query * root, keys=self.keys * root, sink=self.sink * factor)


def kernel_of(head: Head) -> Kernel | None:
    """The head as an exponential kernel; None where soft-capped logits make it another one."""
    if head.softcap is not None:
        return None
    keys, query = head.keys * math.sqrt(head.scale), head.query * math.sqrt(head.scale)
    mean = keys.mean(dim=0)
    sink = -math.inf if head.sink is None else head.sink - float(mean @ query)
    return Kernel(query, keys - mean, head.values, head.labels, head.demos, sink)


def directions(width: int, count: int, rng: np.random.Generator) -> Tensor:
    """Random directions [feature, width], each standard normal, orthogonal within blocks of `width` (arXiv 2009.14794).

    A block is a uniformly random orthogonal matrix whose rows get the lengths of independent normal vectors.
    """
    blocks = -(-count // width)
    squares, upper = np.linalg.qr(rng.standard_normal((blocks, width, width)))
    squares = squares * np.sign(np.diagonal(upper, axis1=1, axis2=2))[:, None, :]
    rows = np.swapaxes(squares, 1, 2).reshape(-1, width)[:count]
    return torch.from_numpy(rows * np.sqrt(rng.chisquare(width, size=(count, 1))))


@dataclass(frozen=True)
class ExplicitDual:
    """A kernel with m explicit features: W0, the loss on the demonstrations, and a prediction.

    So that nothing overflows, the largest exponent over all keys and features is taken from the exponents of all
    keys, and the largest over the query's features from those of the query. Both are constant factors, and Z is
    divided by their product: W phi(q) stays as it is, weights are larger by exp(`query_shift`), losses by its square.
    """

    kernel: Kernel
    directions: Tensor
    """[feature, width]."""
    key_shift: float
    query_shift: float
    phi_query: Tensor
    """phi(q), shrunk, [feature]."""

    @property
    def inverse_z(self) -> float:
        """1/Z for shrunk features."""
        return math.exp(self.key_shift + self.query_shift - self.kernel.log_z)

    def phi(self, keys: Tensor) -> Tensor:
        """Features of keys, shrunk, [token, feature]."""
        return torch.exp(_exponents(keys, self.directions) - self.key_shift) / math.sqrt(len(self.directions))

    def start(self) -> Tensor:
        """W0, [value width, feature]."""
        return self.update(self.kernel.demos)

    def update(self, label: int) -> Tensor:
        """(1/Z) sum of v_i phi(k_i)^T over the tokens of one part, [value width, feature]: dW_k, or W0."""
        total = torch.zeros(self.kernel.values.shape[1], len(self.directions), dtype=torch.float64)
        for keys, values in self._some(label):
            total += values.T @ self.phi(keys)
        return total * self.inverse_z

    def losses(self, weights: Tensor, *, rate: float) -> Iterator[Tensor]:
        """L(W) = -(1/(eta Z)) sum_i v_i^T W phi(k_i) over the demonstrations' tokens, in summands of few tokens."""
        for label in range(self.kernel.demos):
            for keys, values in self._some(label):
                yield -(values * (self.phi(keys) @ weights.T)).sum() * (self.inverse_z / rate)

    def predict(self, weights: Tensor) -> Tensor:
        """W phi(q), [value width]."""
        return weights @ self.phi_query

    def error(self, weights: Tensor) -> float:
        """||W phi(q) - attention output|| / ||attention output||."""
        output = self.kernel.output
        off = torch.linalg.vector_norm(self.predict(weights) - output)
        return float(off / torch.linalg.vector_norm(output).clamp_min(1e-300))

    def _some(self, label: int) -> Iterator[tuple[Tensor, Tensor]]:
        at = self.kernel.labels == label
        keys, values = torch.split(self.kernel.keys[at], CHUNK), torch.split(self.kernel.values[at], CHUNK)
        yield from zip(keys, values, strict=True)


def explicit(kernel: Kernel, features: int, rng: np.random.Generator) -> ExplicitDual:
    """An explicit dual model with `features` features drawn from `rng`."""
    drawn = directions(len(kernel.query), features, rng)
    of_query = _exponents(kernel.query[None], drawn)[0]
    query_shift = float(of_query.max())
    return ExplicitDual(
        kernel=kernel,
        directions=drawn,
        key_shift=max(float(_exponents(keys, drawn).max()) for keys in torch.split(kernel.keys, CHUNK)),
        query_shift=query_shift,
        phi_query=torch.exp(of_query - query_shift) / math.sqrt(features),
    )


def _exponents(points: Tensor, drawn: Tensor) -> Tensor:
    """w.x - |x|^2/2, [point, feature]."""
    return points @ drawn.T - points.square().sum(dim=1, keepdim=True) / 2


@dataclass(frozen=True)
class Step:
    """Gradient descent after some number of steps."""

    weights: Tensor
    """[value width, feature], on the scale of the shrunk features."""
    loss: float
    """Decay included; exp(2 `query_shift`) times what it is for features that are not shrunk."""


def descend(dual: ExplicitDual, *, steps: int, decay: float = 0.0, rate: float = 1.0) -> Iterator[Step]:
    """W0, then W after each of `steps` steps of gradient descent with learning rate eta = `rate`, by autograd.

    The loss is L(W) + (alpha / (2 eta)) |W|^2 with alpha = `decay`. Plain L (alpha = 0) is linear in W: every step
    adds sum_k dW_k again, the loss falls for ever, and one step alone is the attention output. With decay a step is
    W <- (1 - alpha) W + sum_k dW_k, and for 0 < alpha < 2 it runs to the one minimum, sum_k dW_k / alpha, which has
    forgotten W0.
    """
    weights = dual.start()
    for _ in range(steps + 1):
        weights.requires_grad_(True)
        loss, gradient = 0.0, torch.zeros_like(weights)
        for summand in chain([decay / (2 * rate) * weights.square().sum()], dual.losses(weights, rate=rate)):
            loss += float(summand.detach())
            gradient += torch.autograd.grad(summand, weights)[0]
        weights = weights.detach()
        yield Step(weights, loss)
        weights = weights - rate * gradient


def minimum(dual: ExplicitDual, *, decay: float) -> Tensor | None:
    """The weights that gradient descent with `decay` runs to, sum_k dW_k / decay; None without decay: there are none.

    [value width, feature], on the scale of the shrunk features.
    """
    if decay == 0:
        return None
    total = torch.zeros_like(dual.start())
    for label in range(dual.kernel.demos):
        total += dual.update(label)
    return total / decay


def errors(
    kernel: Kernel, features: int, *, draws: int, seed: object, between: Callable[[], None] = lambda: None
) -> Array:
    """Relative error of the prediction after one step of gradient descent, for each draw of the features, [draw].

    `between` is called before every draw and may raise `Cancelled`.
    """
    distances = []
    for draw in range(draws):
        between()
        dual = explicit(kernel, features, generator("features", seed, features, draw))
        *_, last = descend(dual, steps=1)
        distances.append(dual.error(last.weights))
    return np.array(distances)

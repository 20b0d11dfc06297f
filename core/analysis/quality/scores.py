"""How good is each demonstration of a prompt? One function for each score, and the floors it must beat.

dW_k is the equivalent gradient of demonstration k in the dual model of an attention head (arXiv 2504.04386; design
note, sections 2 and 4): dW_k = (1/Z) sum_{i in k} v_i phi(k_i)^T with phi(x).phi(y) = exp(x.y), keys after the rotation
by position and with the square root of the attention scale inside them, Z the normaliser at the query's last token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analysis.explain.ablation import leave_one_out
from core.analysis.explain.gradient import gradient_at
from core.analysis.explain.refine import refine
from core.analysis.quality.quality_task import GainMethod
from core.analysis.values import Array, Meter, Spent, TargetScore
from core.errors import ComputeError
from core.lm.forward.attention import Attended, Probe
from core.lm.forward.forest import Forest, chain
from core.lm.forward.forward_pass import run
from core.lm.scoring.score import Scorer

# ---- label-free: the kernel Gram matrix


@dataclass(frozen=True)
class Gram:
    """Inner products <dW_a, dW_b> of equivalent gradients, [demo, demo], kept as sign and logarithm.

    The products themselves may lie far outside the range of floating point: keys are long, and they stand in an
    exponent.
    """

    sign: Array
    """-1, 0 or 1."""
    log: Array
    """ln |<dW_a, dW_b>|; -inf where it is 0."""

    @property
    def energy(self) -> Array:
        """The effect: ln |dW_k|^2, [demo]; -inf where no token of the demonstration is seen."""
        return np.asarray(np.where(np.diag(self.sign) > 0, np.diag(self.log), -np.inf))

    @property
    def cosines(self) -> Array:
        """Cosine between every two demonstrations' equivalent gradients, [demo, demo]; nan where one is zero."""
        energy = np.where(np.isfinite(self.energy), self.energy, np.nan)
        cosines = self.sign * np.exp(self.log - (energy[:, None] + energy[None, :]) / 2)
        return np.asarray(np.clip(cosines, -1.0, 1.0))


def layer_gram(keys: Tensor, values: Tensor, owner: Tensor, demos: int, *, scale: float, norms: Tensor) -> Gram:
    """The Gram matrix of one layer, summed over its query heads, each with its group's keys and its own Z.

    G_ab = sum_{head} (1/Z^2) sum_{i in a, j in b} (v_i.v_j) exp(scale k_i.k_j), in double precision.

    `keys` and `values` are [kv_head, token, width], `owner` [token] numbers each token's demonstration (-1: in none, or
    not seen), `scale` is the attention scale, `norms` [head] holds ln Z. With h_a = max_{i in a} scale |k_i|^2 / 2, the
    exponents scale k_i.k_j - h_a - h_b are never positive, and the largest of each demonstration with itself is 0.
    """
    seen = owner >= 0
    keys, values = _double(keys[:, seen]) * math.sqrt(scale), _double(values[:, seen])
    demo_of = owner[seen].to(keys.device)
    kv_heads = len(keys)
    half_norms = keys.square().sum(-1) / 2
    lift = half_norms.new_full((kv_heads, demos), -math.inf)
    lift = lift.scatter_reduce(1, demo_of.expand(kv_heads, -1), half_norms, "amax")
    lift = torch.where(torch.isfinite(lift), lift, 0.0)
    sums = keys.new_zeros(kv_heads, demos, demos)
    for demo in range(demos):
        here, later = demo_of == demo, demo_of >= demo
        exponent = keys[:, here] @ keys[:, later].transpose(1, 2)
        exponent -= lift[:, demo, None, None] + lift[:, None, demo_of[later]]
        products = exponent.exp_().mul_(values[:, here] @ values[:, later].transpose(1, 2)).sum(1)
        sums[:, demo].index_add_(1, demo_of[later], products)
    sums = sums + sums.triu(1).transpose(1, 2)
    shares = torch.logsumexp(-2 * _double(norms).to(keys.device).view(kv_heads, -1), dim=1)
    logs = torch.log(sums.abs()) + (lift[:, :, None] + lift[:, None, :]) + shares[:, None, None]
    return _summed(sums.sign().cpu().numpy(), logs.cpu().numpy())


def total(grams: Sequence[Gram]) -> Gram:
    """The sum of Gram matrices, of one layer each, by a signed log-sum-exp."""
    return _summed(np.stack([gram.sign for gram in grams]), np.stack([gram.log for gram in grams]))


def _summed(signs: Array, logs: Array) -> Gram:
    """sum_n sign_n exp(log_n) over the first axis."""
    top = logs.max(axis=0)
    finite = np.where(np.isfinite(top), top, 0.0)
    sums = (signs * np.exp(logs - finite)).sum(axis=0)
    with np.errstate(divide="ignore"):
        return Gram(np.sign(sums), np.log(np.abs(sums)) + finite)


def _double(tensor: Tensor) -> Tensor:
    """In double precision, which not every device has."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


@dataclass(frozen=True)
class LabelFree:
    """What one forward pass over the prompt tells about its demonstrations without any target."""

    gram: Gram
    by_layer: tuple[Gram, ...]
    capped: bool
    """Whether some layer caps its attention logits; the kernel exp(k.k) used here is the uncapped one."""
    unseen: tuple[int, ...]
    """Demonstrations that the last token of the query sees in no layer (sliding windows)."""
    spent: Spent


def label_free(scorer: Scorer) -> LabelFree:
    """Energies and cosines of the equivalent gradients, in one pass over instruction, demonstrations and query.

    A layer with a sliding window counts only the tokens that the last token of the query still sees. Raises
    `ComputeError` where keys or values are not finite numbers, or where memory does not suffice.
    """
    meter, prompt = Meter(scorer), scorer.prompt
    segments = chain([span.token_ids for span in prompt.prefix], [None, *range(scorer.demos), None])
    forest = Forest(segments, stretched=scorer.stretched)
    tokens = len(forest.token_ids)
    grams: list[Gram] = []
    capped: list[bool] = []

    def read(seen: Attended) -> None:
        behind = tokens if seen.window is None else seen.window
        owner = forest.demo_of.masked_fill(torch.arange(tokens) < tokens - behind, -1).to(seen.keys.device)
        norms = probe.norms[seen.layer][:, 0]
        grams.append(layer_gram(seen.keys, seen.values, owner, scorer.demos, scale=seen.form.scale, norms=norms))
        capped.append(seen.form.softcap is not None)

    label = torch.where(forest.demo_of >= 0, forest.demo_of, scorer.demos)
    probe = Probe(rows=torch.tensor([tokens - 1]), label_of=label, parts=scorer.demos + 1, tap=read)
    scorer.between()
    try:
        with torch.no_grad():
            run(scorer.model.network, forest, [tokens - 1], probe=probe)
    except torch.OutOfMemoryError as error:
        raise ComputeError(
            f"out of memory on {scorer.model.device} in one pass over {tokens} tokens",
            expected="a shorter prompt, a smaller model or another device",
        ) from error
    scorer.cost.forwards += 1
    scorer.cost.tokens += tokens
    gram = total(grams)
    if np.isnan(gram.log).any() or np.isposinf(gram.log).any():
        raise ComputeError("the model's keys or values are not finite numbers", expected="finite ones")
    unseen = tuple(int(k) for k in np.flatnonzero(np.isneginf(gram.energy)))
    return LabelFree(gram, tuple(grams), any(capped), unseen, meter.read())


def redundancy(cosines: Array) -> tuple[Array, list[int | None]]:
    """Largest cosine with any other demonstration, [demo], and which other that is.

    `cosines` is [demo, demo]; nan and None where there is no other, or where no cosine is defined.
    """
    others = np.where(np.eye(len(cosines), dtype=bool) | np.isnan(cosines), -np.inf, cosines)
    best = others.max(axis=1, initial=-np.inf)
    nearest = [int(np.argmax(row)) if np.isfinite(top) else None for row, top in zip(others, best, strict=True)]
    return np.where(np.isfinite(best), best, np.nan), nearest


# ---- with a target


@dataclass(frozen=True)
class Gain:
    """Contributions [demo] to what the score explains, in nats, with 90 % intervals where text ablations were made."""

    values: Array
    low: Array | None
    high: Array | None
    gradient: Array | None
    """The one-gradient answer, [demo], where it was made on the way."""
    spent: Spent


def gain(score: TargetScore, *, method: GainMethod = "auto", budget: float = 10.0, seed: int = 0) -> Gain:
    """What each demonstration adds to what `score` explains (see `gradient` and `refine` in `core.analysis.explain`).

    `gradient`, which `auto` means here, costs one forward and one backward pass; `default` goes on within `budget`
    full-prompt forward equivalents. `leave_one_out` is exact for the text and costs about half a pass for each
    demonstration.
    """
    if method == "leave_one_out":
        deleted = leave_one_out(score)
        return Gain(deleted.values, None, None, None, deleted.spent)
    if method in ("auto", "gradient"):
        answer = gradient_at(score, 0.5)
        return Gain(answer.values, None, None, answer.values, answer.spent)
    refined = list(refine(score, budget=budget, seed=seed, gradients=score.scorer.model.server is None))[-1]
    gradient = None if refined.gradient is None else refined.gradient.values
    return Gain(refined.values, refined.effects.low, refined.effects.high, gradient, refined.spent)


@dataclass(frozen=True)
class Alignment:
    """Whether each demonstration's part of the attention output points where what is explained rises."""

    values: Array
    """[demo]: cosine of the vectors over all layers, heads and reading rows together; nan where one is zero."""
    by_layer: Array
    """[demo, layer]: the same cosine within a layer."""
    slopes: Array
    """[demo, layer]: the products themselves, in nats for one full step along dW_k phi(q)."""
    spent: Spent


def alignment(score: TargetScore) -> Alignment:
    """Cosine between dW_k phi(q) and the gradient of what is explained at the attention output before the output
    projection, in one forward and one backward pass with every gate at 1.

    Both are read at the rows where the score is: the last token of each candidate whose Yes and No are weighed, or the
    last token of the query, which the first token of a title follows. Raises `ComputeError` where a gradient is not a
    finite number, or where memory does not suffice.
    """
    meter, scorer = Meter(score.scorer), score.scorer
    outputs: dict[int, Tensor] = {}
    probe = _reading_probe(score, outputs)
    gates = torch.ones(scorer.demos, device=scorer.model.device, requires_grad=True)
    try:
        with torch.enable_grad():
            scores = scorer.gated(gates, candidates=score.candidates, probe=probe)
            worth = torch.as_tensor(score.weights[score.candidates]).to(scores) @ scores
            layers = sorted(outputs)
            gradients = torch.autograd.grad(worth, [outputs[layer] for layer in layers])
    except torch.OutOfMemoryError as error:
        raise ComputeError(
            f"out of memory on {scorer.model.device} in the gradient of a prompt of {scorer.prompt.length} tokens",
            expected="a shorter prompt or a smaller model",
        ) from error
    scorer.counted_backward(score.candidates)
    pulls = torch.stack([each[:, probe.rows.to(each.device)].double().cpu() for each in gradients])
    parts = torch.stack([probe.outputs[layer].double()[:, :, : scorer.demos] for layer in layers])
    if not torch.isfinite(pulls).all():
        raise ComputeError("the gradient holds values that are not finite numbers", expected="finite derivatives")
    slopes = torch.einsum("lhrkw,lhrw->kl", parts, pulls).numpy()
    part_squares = parts.square().sum(dim=(1, 2, 4)).T.numpy()
    pull_squares = pulls.square().sum(dim=(1, 2, 3)).numpy()
    values = _cosine(slopes.sum(axis=1), part_squares.sum(axis=1), pull_squares.sum())
    return Alignment(values, _cosine(slopes, part_squares, pull_squares[None, :]), slopes, meter.read())


def _cosine(product: Array, square: Array, other_square: Array) -> Array:
    length = np.sqrt(square * other_square)
    return np.asarray(np.divide(product, length, out=np.full_like(product, np.nan), where=length > 0))


def _reading_probe(score: TargetScore, outputs: dict[int, Tensor]) -> Probe:
    """A probe at the rows where the target score is read, which fills `outputs` with each layer's attention."""
    demo_of, read_at = score.scorer.reading(score.candidates)
    demos = score.scorer.demos
    label = np.where(demo_of < 0, demos, demo_of)

    def store(seen: Attended) -> None:
        outputs[seen.layer] = seen.output

    return Probe(torch.tensor(read_at), torch.from_numpy(label), demos + 1, tap=store)


def stability(gains: Array, perturbed: Sequence[Array]) -> tuple[Array, Array]:
    """Share of perturbations under which the sign of c_k stays, [demo], and how many there were for each, [demo].

    `gains` is [demo]; each of `perturbed` too, with nan where a perturbation took the demonstration away. The share
    is nan where no perturbation left the demonstration in, or where its own contribution is exactly 0.
    """
    table = np.array(perturbed).reshape(-1, len(gains))
    left = ~np.isnan(table)
    count = left.sum(axis=0)
    same = (left & (np.sign(table) == np.sign(gains))).sum(axis=0)
    defined = (count > 0) & (gains != 0)
    return np.divide(same, count, out=np.full(len(gains), np.nan), where=defined), count

"""How good is each demonstration of a whole pool, by its keys and values alone? No target and no query is needed.

As in a prompt, dW_k = (1/Z) sum_{i in k} v_i phi(k_i)^T with phi(x).phi(y) = exp(x.y), keys with the square root of the
attention scale inside them (design note, sections 2 and 4). A pool has no query and hence no Z: see `Normaliser`. Every
demonstration is encoded alone behind the instruction, so all stand at the same positions. The kernel is the uncapped
one, and a sliding window is taken to hold the whole demonstration.

These are scores of their own, no stand-in for those in a prompt: over three prompts of eight demonstrations
(SmolLM2-135M, MovieLens-100K) the rank correlation of the two effects was -0.02 to 0.50. There the sketch was off by
0.007 to 0.011 in a cosine, and half precision by 0.001 in a cosine and 0.004 in an effect at most.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.analysis.quality.scores import layer_gram, redundancy, total
from core.analysis.values import Array
from core.errors import RequestError
from core.lm.scoring.encoded import DemoMemory, Encoded
from core.question.task import Progress
from core.seeds import generator, seed_of

Normaliser = Literal["pool", "own"]
"""What stands for Z^2 in a head. With N_k = |sum_{i in k} phi(k_i)|^2 = sum_{i,j in k} exp(k_i.k_j), and Z(q)^2 at most
|phi(q)|^2 N_k by Cauchy-Schwarz: `pool` is the mean of N_k over the pool, the same for all as in one prompt; `own` is
N_k itself, which leaves out how strongly a demonstration attracts attention."""

FEATURES = 128
"""Random frequencies a head, two features each. The error of one head's cosine is about 1/sqrt(FEATURES); heads are
drawn independently and average it out. `PoolScores.cosine_error` says what it was."""
CHECKED = 12
"""Demonstrations whose cosines are computed exactly as well, to measure the error of the sketch."""


@dataclass(frozen=True)
class PoolScores:
    """Label-free scores of the demonstrations of a pool, in its order."""

    effect: Array
    """[demo]: ln |dW_k|^2, summed over query heads and layers, exact for the stored keys and values."""
    redundancy: Array
    """[demo]: largest sketched cosine with another demonstration's dW; nan where there is no other."""
    nearest: list[int | None]
    """Which other demonstration that is."""
    cosines: NDArray[np.float32]
    """[demo, demo]: cosines between all dW over all heads and layers, from the sketches; 1 on the diagonal."""
    cosine_error: float
    """Root mean square difference to the exact cosines, over the pairs of `CHECKED` demonstrations; nan without any."""
    tokens: int
    """Tokens that went through the model; 0 where the disk held everything."""
    each_once: int
    """Tokens that encoding each demonstration on its own would run."""
    passes: float
    """`tokens` in encodings of one demonstration of mean length behind the instruction."""
    seconds: float
    notices: tuple[str, ...] = ()


def label_free(
    encoded: Encoded,
    *,
    normaliser: Normaliser = "pool",
    features: int = FEATURES,
    seed: int = 0,
    progress: Progress = lambda _label, _fraction: None,
) -> PoolScores:
    """Effect and redundancy of every demonstration of a pool, in one sweep over its keys and values.

    Effects are exact. The Gram matrix would need the square of the pool's tokens; here each dW_k is sketched instead,
    so that inner products of sketches are unbiased for it (see `_Sketch`). Equal content gives equal scores. Raises
    `RequestError` for an empty pool or fewer than one feature, `ComputeError` where the model fails, and what
    `progress` raises.
    """
    if len(encoded) == 0:
        raise RequestError("a pool without demonstrations", expected="at least one")
    if features < 1:
        raise RequestError(f"{features} random features", expected="at least 1")
    start, before = time.monotonic(), encoded.tokens_run
    sketch: _Sketch | None = None
    checked = _checked(len(encoded), seed)
    memories: dict[int, DemoMemory] = {}
    rows: list[_Row] = []
    for place, memory in enumerate(encoded):
        progress("encoding the demonstrations", place / len(encoded))
        sketch = sketch or _Sketch(memory, encoded.scales, features, seed)
        rows.append(sketch.row(memory))
        if place in checked:
            memories[place] = memory
    assert sketch is not None
    log_norms = np.stack([row.log_norm for row in rows])
    common = _log_mean(2 * log_norms) / 2 if normaliser == "pool" else log_norms
    energies = np.stack([row.log_energy for row in rows]) - 2 * common
    group = encoded.model.heads * encoded.model.layers / log_norms.shape[1]
    cosines = _cosines(rows, np.exp(log_norms - common))
    largest, nearest = redundancy(cosines.astype(np.float64))
    tokens = encoded.tokens_run - before
    return PoolScores(
        effect=np.logaddexp.reduce(energies, axis=1) + math.log(group),
        redundancy=largest,
        nearest=nearest,
        cosines=cosines,
        cosine_error=_error(memories, cosines, np.broadcast_to(common, log_norms.shape), sketch, encoded.scales),
        tokens=tokens,
        each_once=encoded.each_once,
        passes=tokens * len(encoded) / encoded.each_once,
        seconds=time.monotonic() - start,
        notices=encoded.notices,
    )


def embeddings(encoded: Encoded, *, layer: int | None = None) -> NDArray[np.float32]:
    """A direction for each demonstration: its mean value vector in `layer` (the middle one), [demo, kv_head * width].

    The pool's mean is subtracted, because all prompts share one large direction, and each row has length 1 (0 where a
    demonstration does not differ from the mean; a pool of one is not centred). A query is embedded beside the pool
    as its last member: `Encoded(model, instruction, [*demos, query])`. Raises `RequestError` for a layer that the
    model does not have.
    """
    layers = encoded.model.layers
    at = layers // 2 if layer is None else layer
    if not 0 <= at < layers:
        raise RequestError(f"layer {at}", expected=f"a layer from 0 to {layers - 1}")
    means = [memory.values[at].float().mean(dim=1).flatten().numpy() for memory in encoded]
    table = np.stack(means) if means else np.zeros((0, 0), dtype=np.float32)
    if len(table) > 1:
        table = table - table.mean(axis=0)
    return _unit(table)


@dataclass(frozen=True)
class _Row:
    """One demonstration: [key head] and [key head, feature]; the sketch is that of dW_k under its own norm."""

    log_norm: Array
    log_energy: Array
    sketch: NDArray[np.float32]


class _Sketch:
    """Random numbers whose products estimate those of dW, head by head.

    For one frequency w ~ N(0, I) and one vector r of random signs, f(v, k) = (r.v) exp(|k|^2 / 2) (cos w.k, sin w.k)
    has E f(v, k).f(v', k') = (v.v') exp(k.k'), because E cos w.(k - k') = exp(-|k - k'|^2 / 2) (Rahimi and Recht
    2007); frequencies are orthogonal within blocks of the head's width (Yu et al. 2016). Trigonometric, not positive,
    features: the variance of positive ones grows with exp(|k + k'|^2) (Choromanski et al. 2021), beyond all bounds for
    the keys of real models, while these are bounded by the demonstrations' own energies.
    """

    def __init__(self, like: DemoMemory, scales: tuple[float, ...], features: int, seed: int) -> None:
        shapes = [
            (key.shape[0], key.shape[2], value.shape[2]) for key, value in zip(like.keys, like.values, strict=True)
        ]
        self.groups = [[n for n, shape in enumerate(shapes) if shape == kind] for kind in dict.fromkeys(shapes)]
        self.heads: dict[int, slice] = {}
        """Places of a layer's key heads."""
        self._roots = torch.tensor(scales, dtype=torch.float64).sqrt()
        self._draws: list[tuple[Tensor, Tensor]] = []
        at = 0
        random = torch.Generator().manual_seed(seed_of("sketch of a pool", seed))
        for group in self.groups:
            kv_heads, key_width, value_width = shapes[group[0]]
            for layer in group:
                self.heads[layer] = slice(at, at + kv_heads)
                at += kv_heads
            heads = kv_heads * len(group)
            signs = torch.randint(0, 2, (heads, value_width, features), generator=random).float() * 2 - 1
            self._draws.append((_orthogonal(heads, key_width, features, random), signs / math.sqrt(features)))

    def row(self, memory: DemoMemory) -> _Row:
        """Norms and energies (exact) and sketch of one demonstration."""
        parts = [self._group(memory, group, draws) for group, draws in zip(self.groups, self._draws, strict=True)]
        norm, energy, sketch = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return _Row(norm, energy, sketch)

    def _group(self, memory: DemoMemory, layers: list[int], draws: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        keys = torch.cat([memory.keys[layer].double() * self._roots[layer] for layer in layers])
        values = torch.cat([memory.values[layer].double() for layer in layers])
        half = keys.square().sum(-1) / 2
        top = half.amax(1)
        kernel = torch.exp(keys @ keys.transpose(1, 2) - 2 * top[:, None, None])
        norm = kernel.sum((1, 2)).log() / 2 + top
        energy = (kernel * (values @ values.transpose(1, 2))).sum((1, 2)).clamp_min(0).log() + 2 * top
        frequencies, signs = draws
        weighted = (values.float() @ signs) * torch.exp(half - norm[:, None]).float()[..., None]
        angles = keys.float() @ frequencies
        sketch = torch.cat([(weighted * angles.cos()).sum(1), (weighted * angles.sin()).sum(1)], dim=1)
        return norm, energy, sketch


def _orthogonal(heads: int, width: int, features: int, random: torch.Generator) -> Tensor:
    """Frequencies [head, width, feature]: each N(0, I), orthogonal to its neighbours in blocks of `width`."""
    blocks = -(-features // width)
    turns = torch.linalg.qr(torch.randn(heads, blocks, width, width, generator=random)).Q
    lengths = torch.linalg.vector_norm(torch.randn(heads, blocks, width, width, generator=random), dim=-1, keepdim=True)
    frequencies: Tensor = (turns * lengths).flatten(1, 2)[:, :features].transpose(1, 2).contiguous()
    return frequencies


def _log_mean(logs: Array) -> Array:
    """ln of the mean over demonstrations of exp(logs), [key head]."""
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - math.log(len(logs)))


def _cosines(rows: list[_Row], rescale: Array) -> NDArray[np.float32]:
    flat = np.stack([row.sketch * factor[:, None] for row, factor in zip(rows, rescale, strict=True)])
    unit = _unit(flat.reshape(len(rows), -1).astype(np.float32))
    cosines = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return np.asarray(cosines, dtype=np.float32)


def _unit(table: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0))


def _checked(demos: int, seed: int) -> set[int]:
    return {int(place) for place in generator("checked demonstrations", seed).permutation(demos)[:CHECKED]}


def _error(
    memories: dict[int, DemoMemory],
    cosines: NDArray[np.float32],
    log_norms: Array,
    sketch: _Sketch,
    scales: tuple[float, ...],
) -> float:
    """Root mean square error of the sketched cosines over all pairs of `memories`.

    A demonstration's own norm comes back into the exact products by dividing its values by it.
    """
    places = sorted(memories)
    if len(places) < 2:
        return math.nan
    owner = torch.tensor([number for number, place in enumerate(places) for _ in range(memories[place].tokens)])
    norms = torch.from_numpy(log_norms[places])
    grams = []
    for layer, heads in sketch.heads.items():
        mean = norms[:, heads].mean(dim=0)
        keys = torch.cat([memories[place].keys[layer] for place in places], dim=1)
        values = torch.cat(
            [
                memories[place].values[layer].double() * torch.exp(mean - norms[number, heads])[:, None, None]
                for number, place in enumerate(places)
            ],
            dim=1,
        )
        grams.append(layer_gram(keys, values, owner, len(places), scale=scales[layer], norms=mean))
    exact = total(grams).cosines
    pairs = np.triu_indices(len(places), 1)
    apart = exact[pairs] - cosines[np.ix_(places, places)][pairs]
    return float(np.sqrt(np.mean(np.square(apart))))

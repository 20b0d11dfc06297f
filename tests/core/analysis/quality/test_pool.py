"""Label-free scores of a pool: exact where they say so, sketched within a known error, at the cost of one encoding."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references import language_model

from core.analysis.quality.pool import embeddings, label_free
from core.errors import Cancelled, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.encoded import DemoMemory, Encoded

INSTRUCTION = (51, 52, 53, 54)


def random_demos(count: int, seed: int = 3) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(int(token) for token in rng.integers(50, 300, int(rng.integers(3, 9)))) for _ in range(count)]


@pytest.fixture
def model(tiny_llama: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama))


def pool(model: LanguageModel, demos: list[tuple[int, ...]], folder: Path, **more: Any) -> Encoded:
    return Encoded(model, INSTRUCTION, demos, folder=folder, storage="full", **more)


def by_loops(memories: list[DemoMemory], model: LanguageModel, normaliser: str) -> np.ndarray:
    """<dW_a, dW_b> summed over layers and query heads, token pair by token pair."""
    scale, count = 8**-0.5, len(memories)
    products = np.zeros((count, count))
    for layer in range(model.layers):
        kv_heads = memories[0].keys[layer].shape[0]
        for head in range(kv_heads):
            keys = [memory.keys[layer][head].double().numpy() for memory in memories]
            values = [memory.values[layer][head].double().numpy() for memory in memories]
            norms = [sum(math.exp(scale * float(x @ y)) for x in one for y in one) for one in keys]
            for a in range(count):
                for b in range(count):
                    z = sum(norms) / count if normaliser == "pool" else math.sqrt(norms[a] * norms[b])
                    for x, v in zip(keys[a], values[a], strict=True):
                        for y, u in zip(keys[b], values[b], strict=True):
                            share = float(v @ u) * math.exp(scale * float(x @ y)) / z
                            products[a, b] += share * model.heads / kv_heads
    return products


def cosines_of(products: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.diag(products))
    return products / lengths[:, None] / lengths[None, :]


@pytest.mark.parametrize("normaliser", ["pool", "own"])
@pytest.mark.parametrize("network", ["tiny_llama", "tiny_gemma3"])
def test_effects_and_cosines_are_those_of_the_double_loop(
    request: pytest.FixtureRequest, tmp_path: Path, normaliser: Any, network: str
) -> None:
    model = language_model(copy.deepcopy(request.getfixturevalue(network)))
    encoded = pool(model, random_demos(6), tmp_path)
    exact = by_loops(list(encoded), model, normaliser)
    found = label_free(encoded, normaliser=normaliser, features=8_192)
    np.testing.assert_allclose(found.effect, np.log(np.diag(exact)), rtol=1e-5)
    np.testing.assert_allclose(found.cosines, cosines_of(exact), atol=0.05)
    apart = (found.cosines - cosines_of(exact))[np.triu_indices(6, 1)]
    assert found.cosine_error == pytest.approx(math.sqrt(np.mean(apart**2)), rel=1e-3)


def test_the_error_of_the_sketch_falls_with_the_root_of_the_features(model: LanguageModel, tmp_path: Path) -> None:
    encoded = pool(model, random_demos(8), tmp_path)
    few, many = (
        math.sqrt(np.mean([label_free(encoded, features=features, seed=s).cosine_error ** 2 for s in range(6)]))
        for features in (32, 512)
    )
    assert 2.5 < few / many < 6.5, "16 times the features, a quarter of the error"
    assert few < 1 / math.sqrt(32) * 2


def test_long_keys_are_no_harder(model: LanguageModel, tmp_path: Path) -> None:
    """exp(k.k) of such keys overflows, and positive features would be off by exp(|k + k'|^2)."""
    for layer in model.network.model.layers:
        layer.self_attn.k_proj.weight.data.mul_(40)
    encoded = pool(model, random_demos(8), tmp_path)
    longest = max(float(key.square().sum(-1).max()) for memory in encoded for key in memory.keys)
    assert longest * 8**-0.5 > 800
    found = label_free(encoded, features=512)
    assert np.isfinite(found.effect).all()
    assert found.cosine_error < 0.1


def test_copies_are_wholly_redundant_and_find_each_other(model: LanguageModel, tmp_path: Path) -> None:
    demos = random_demos(5)
    found = label_free(pool(model, [*demos, demos[1]], tmp_path))
    assert found.redundancy[[1, 5]] == pytest.approx([1, 1])
    assert (found.nearest[1], found.nearest[5]) == (5, 1)
    assert found.effect[1] == found.effect[5]
    assert max(found.redundancy[[0, 2, 3, 4]]) < 0.999
    np.testing.assert_array_equal(np.diag(found.cosines), 1)


def test_one_demonstration_has_no_redundancy(model: LanguageModel, tmp_path: Path) -> None:
    found = label_free(pool(model, random_demos(1), tmp_path))
    assert np.isfinite(found.effect).all()
    assert np.isnan(found.redundancy).all()
    assert found.nearest == [None]
    assert math.isnan(found.cosine_error)


def test_a_pool_costs_less_than_encoding_each_once_and_nothing_the_second_time(
    model: LanguageModel, tmp_path: Path
) -> None:
    demos = random_demos(40)
    first = label_free(pool(model, demos, tmp_path, pack_tokens=64))
    assert first.each_once == sum(4 + len(demo) for demo in demos)
    assert first.tokens == 4 + sum(map(len, demos))
    assert first.tokens <= 1.2 * first.each_once
    assert first.passes == pytest.approx(first.tokens / (first.each_once / 40))
    again = label_free(pool(model, demos, tmp_path, pack_tokens=64))
    assert (again.tokens, again.passes) == (0, 0)
    np.testing.assert_array_equal(first.effect, again.effect)
    np.testing.assert_array_equal(first.cosines, again.cosines)


def test_the_seed_moves_the_sketch_and_not_the_effect(model: LanguageModel, tmp_path: Path) -> None:
    encoded = pool(model, random_demos(5), tmp_path)
    one, other = label_free(encoded, seed=1), label_free(encoded, seed=2)
    np.testing.assert_array_equal(one.effect, other.effect)
    assert not np.array_equal(one.cosines, other.cosines)


def test_progress_is_told_and_may_cancel(model: LanguageModel, tmp_path: Path) -> None:
    told: list[float] = []

    def stop(_: str, fraction: float) -> None:
        told.append(fraction)
        if len(told) == 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        label_free(pool(model, random_demos(5), tmp_path), progress=stop)
    assert told == [0, 0.2, 0.4]


def test_wrong_choices_are_one_sentence(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="a pool without demonstrations; expected at least one"):
        label_free(pool(model, [], tmp_path))
    with pytest.raises(RequestError, match="0 random features; expected at least 1"):
        label_free(pool(model, random_demos(2), tmp_path), features=0)
    with pytest.raises(RequestError, match="layer 3; expected a layer from 0 to 2"):
        embeddings(pool(model, random_demos(2), tmp_path), layer=3)


def test_embeddings_are_centred_mean_values_of_length_one(model: LanguageModel, tmp_path: Path) -> None:
    demos = random_demos(4)
    encoded = pool(model, [*demos, demos[0]], tmp_path)
    means = np.array([memory.values[1].mean(dim=1).flatten().numpy() for memory in encoded])
    centred = means - means.mean(axis=0)
    found = embeddings(encoded)
    np.testing.assert_allclose(found, centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(found[0], found[4])
    assert embeddings(pool(model, demos[:1], tmp_path)).shape == (1, 16)
    np.testing.assert_allclose(np.linalg.norm(embeddings(pool(model, demos[:1], tmp_path))), 1, rtol=1e-6)
    np.testing.assert_array_equal(embeddings(pool(model, [demos[0]] * 2, tmp_path)), 0)

"""SASRec against a plain numpy network, on its sequences and negatives, and on an order that was planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import Row, opened

from core.data.dataset import Dataset
from core.errors import RequestError
from core.tuning.classical.references import TrainingRows, training_rows
from core.tuning.classical.sasrec import (
    Network,
    Sequences,
    Shape,
    _epochs,
    _negatives,
    best_epoch,
    sasrec,
    sequences_of,
    train_network,
)
from core.tuning.examples import Window

TINY = Shape(width=6, blocks=2, length=5, dropout=0.1, epochs=3, batch=32)
RING = 12
"""Items of the planted order: everyone goes round it, each from a place of its own."""


def ring(users: int = 30, steps: int = 14) -> list[Row]:
    return [
        (f"u{user:02}", f"i{(user + step) % RING:02}", 5.0 if step % 5 else 4.0, float(100 * step + user))
        for user in range(users)
        for step in range(steps)
    ] + [(f"u{user:02}", "bad", 1.0, 5_000.0) for user in range(users)]


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield opened(tmp_path_factory.mktemp("data") / "rings", ring())


def normed(states: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    middle = states - states.mean(axis=-1, keepdims=True)
    scaled = middle / np.sqrt((middle**2).mean(axis=-1, keepdims=True) + norm.eps)
    return scaled * numbers(norm.weight) + numbers(norm.bias)


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def by_hand(network: Network, met: list[int]) -> np.ndarray:
    """Section III of the paper with loops over places, for one sequence; (length, width)."""
    width = network.item.embedding_dim
    states = np.array([numbers(network.item.weight)[one] * np.sqrt(width) for one in met])
    states = states + numbers(network.place.weight)[: len(met)]
    for block in network.blocks:
        plain = normed(states, block.norm1)
        weights, biases = numbers(block.self_attn.in_proj_weight), numbers(block.self_attn.in_proj_bias)
        query, key, value = (plain @ weights[n * width :][:width].T + biases[n * width :][:width] for n in range(3))
        mixed = np.zeros_like(states)
        for place in range(len(met)):
            rated = np.exp([query[place] @ key[earlier] / np.sqrt(width) for earlier in range(place + 1)])
            mixed[place] = (rated / rated.sum()) @ value[: place + 1]
        out = block.self_attn.out_proj
        states = states + mixed @ numbers(out.weight).T + numbers(out.bias)
        hidden = np.maximum(
            normed(states, block.norm2) @ numbers(block.linear1.weight).T + numbers(block.linear1.bias), 0
        )
        states = states + hidden @ numbers(block.linear2.weight).T + numbers(block.linear2.bias)
    return normed(states, network.norm)


def test_the_network_is_the_one_of_the_paper() -> None:
    torch.manual_seed(0)
    network = Network(9, TINY).eval()
    for met in ([3], [1, 4, 9, 4], [5, 6, 7, 8, 9]):
        with torch.inference_mode():
            found = network(torch.tensor([met]))[0]
        assert found.numpy() == pytest.approx(by_hand(network, met), abs=1e-5)


def test_what_comes_later_and_the_filling_change_nothing() -> None:
    torch.manual_seed(0)
    network = Network(9, TINY).eval()
    with torch.inference_mode():
        states = network(torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 9, 9], [1, 2, 3, 0, 0]]))
    assert torch.allclose(states[0, :3], states[1, :3], atol=1e-6)
    assert torch.allclose(states[0, :3], states[2, :3], atol=1e-6)
    assert not torch.allclose(states[0, 3], states[1, 3], atol=1e-3)


def test_sequences_hold_each_liked_step_once_and_in_order() -> None:
    user = np.array([0] * 8 + [1] + [2] * 3)
    item = np.array([0, 1, 2, 3, 4, 5, 6, 7, 3, 5, 6, 7])
    liked = np.array([True] * 4 + [False] + [True] * 3 + [True] + [True] * 3)
    rows = TrainingRows(("a", "b", "c"), tuple("stuvwxyz"), user, item, liked, np.arange(12.0))
    found = sequences_of(rows, 4)
    assert found.inputs.tolist() == [[3, 4, 6, 7], [1, 2, 0, 0], [6, 7, 0, 0]]
    assert found.targets.tolist() == [[4, 6, 7, 8], [2, 3, 0, 0], [7, 8, 0, 0]]
    assert found.user.tolist() == [0, 0, 2]
    assert found.late.tolist() == [[False] * 4, [False] * 4, [True, True, False, False]]
    assert len(found.met) == 12


def test_negatives_were_never_met_not_even_disliked() -> None:
    met = np.sort(np.array([1, 2, 3, 4, 6 + 5]))  # of five items user 0 met all but the fifth, user 1 the fifth
    inputs = np.ones((2, 300), dtype=np.int64)
    found = Sequences(inputs, inputs, inputs > 1, np.array([0, 1]), met, 5)
    drawn = _negatives(np.random.default_rng(0), found, np.array([0, 1]))
    assert (drawn[0] == 5).mean() > 0.97
    assert set(drawn[1].tolist()) == {1, 2, 3, 4}


def test_a_planted_order_is_learned(rings: Dataset) -> None:
    model = sasrec(rings, Window(until=5_000.0), shape=Shape(width=16, length=10, epochs=30, batch=8, rate=0.01))
    items = [f"i{place:02}" for place in range(RING)]
    history = ["i03", "i04", "i05", "i06"]
    assert items[int(np.argmax(model.scores("nobody", history, items)))] == "i07"
    assert items[int(np.argmax(model.scores("nobody", ["unknown", *history, "i07"], items)))] == "i08"
    assert "epochs, where the next item beats a random one in 0.9" in model.needs or "in 1.000" in model.needs


def test_unknown_items_and_empty_histories_score_nothing(rings: Dataset) -> None:
    model = sasrec(rings, Window(until=5_000.0), shape=TINY)
    assert model.scores("u00", (), ["i01", "i02"]).tolist() == [0, 0]
    assert model.scores("u00", ("unknown",), ["i01"]).tolist() == [0]
    found = model.scores("u00", ["i01"] * 90, ["i01", "unknown", "i02"])
    assert found[1] == 0
    assert np.isfinite(found).all()
    assert model.scores("u00", ["i01"], []).shape == (0,)


def test_equal_seeds_give_equal_networks_and_leave_torch_alone(rings: Dataset) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    scores = [sasrec(rings, Window(), seed, TINY).scores("u", ["i01", "i02"], ["i03", "i04"]) for seed in (1, 1, 2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_the_number_of_epochs_is_validated_and_said(rings: Dataset) -> None:
    sequences = sequences_of(training_rows(rings, Window(until=5_000.0)), TINY.length)
    epochs, how = best_epoch(sequences, TINY, 0)
    assert 1 <= epochs <= TINY.epochs
    assert how.startswith("where the next item beats a random one in 0.")
    none = replace(sequences, late=np.zeros_like(sequences.late))
    assert best_epoch(none, TINY, 0) == (TINY.epochs, "not validated, as there are too few")


def test_unused_targets_do_not_teach(rings: Dataset) -> None:
    """Turning the late targets into another item changes the network only when they are used."""
    sequences = sequences_of(training_rows(rings, Window(until=5_000.0)), TINY.length)
    turned = replace(sequences, targets=np.where(sequences.late, 1, sequences.targets))
    for used, equal in ((~sequences.late, True), (sequences.targets > 0, False)):
        first, second = (next(_epochs(one, TINY, 0, used)) for one in (sequences, turned))
        assert torch.equal(first.item.weight, second.item.weight) is equal
    assert train_network(sequences, TINY, 0, 1).training is False


def test_users_with_one_like_each_cannot_be_learned_from(rings: Dataset) -> None:
    with pytest.raises(RequestError, match="no user liked two items in the training window"):
        sasrec(rings, Window(until=30.0))

"""The hash of weights says every number of them, and nothing else."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.lm.loading import hashes
from core.lm.loading.hashes import model_id_of, weights_sha256


class Mixed(torch.nn.Module):
    """Shared weights, a scalar, a view that is not contiguous, an empty tensor, and buffers of several types."""

    def __init__(self) -> None:
        super().__init__()
        self.zeta = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4).t())
        self.alpha = torch.nn.Linear(3, 2, dtype=torch.bfloat16)
        self.tied = self.alpha
        self.scale = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.register_buffer("seen", torch.tensor([True, False]))
        self.register_buffer("empty", torch.zeros(0, 3), persistent=False)


def slow_hash(network: Any) -> str:
    digest = hashlib.sha256()
    tensors = [*network.named_parameters(), *network.named_buffers()]
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()))
    return digest.hexdigest()


@pytest.mark.parametrize("piece", [1, 5, 1 << 24])
def test_the_hash_is_that_of_names_types_shapes_and_bytes(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Mixed()
    monkeypatch.setattr(hashes, "PIECE", piece)
    assert weights_sha256(network) == slow_hash(network)


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_one_changed_bit_changes_it_and_changing_it_back_does_too(seed: int, tiny_llama: Any) -> None:
    network = copy.deepcopy(tiny_llama)
    before = weights_sha256(network)
    tensors = [*network.parameters(), *network.buffers()]
    tensor = tensors[seed % len(tensors)].data.view(-1)
    place = seed % len(tensor)
    old = tensor[place].clone()
    tensor[place] = torch.nextafter(old, torch.tensor(torch.inf))
    assert weights_sha256(network) != before
    tensor[place] = old
    assert weights_sha256(network) == before


def test_type_shape_and_name_count(tiny_llama: Any) -> None:
    def only(tensor: torch.Tensor, name: str = "w") -> str:
        network = torch.nn.Module()
        network.register_buffer(name, tensor)
        return weights_sha256(network)

    zeros = torch.zeros(2, 2)
    others = (only(zeros.reshape(4)), only(zeros.to(torch.int32)), only(zeros, "v"), only(zeros))
    assert len(set(others)) == 4
    assert weights_sha256(tiny_llama) != weights_sha256(copy.deepcopy(tiny_llama).double())


def test_running_a_network_leaves_its_hash(tiny_llama: Any) -> None:
    before = weights_sha256(tiny_llama)
    with torch.no_grad():
        tiny_llama(torch.tensor([[1, 5, 9]]))
    assert weights_sha256(tiny_llama) == before


def test_what_files_are_added_to_is_part_of_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    (tmp_path / "file").write_bytes(b"weights")
    inner = hashlib.sha256(b"weights").digest()
    files = [tmp_path / "file"]
    assert model_id_of(files, where="x") == hashlib.sha256(inner).hexdigest()[:16]
    assert model_id_of(files, where="x", base="0123") == hashlib.sha256(b"0123" + inner).hexdigest()[:16]

"""Demonstrations encoded once: the right keys and values, few passes, and a cache that is whole or absent."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import language_model

from core.errors import Cancelled, ComputeError, MaterialError, RequestError
from core.lm.forward.forest import Forest, chain
from core.lm.forward.forward_pass import run
from core.lm.loading.load import LanguageModel
from core.lm.scoring.encoded import DemoMemory, Encoded, attention_scales

INSTRUCTION = (51, 52, 53, 54)
DEMOS = ((60, 61, 62), (70, 71, 72, 73, 74), (80, 81), (60, 61, 62), (90, 91, 92, 93))
OWN_TOKENS = 3 + 5 + 2 + 4
"""Tokens of the different demonstrations."""


@pytest.fixture(params=["tiny_llama", "tiny_gemma2", "tiny_qwen3"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return language_model(copy.deepcopy(request.getfixturevalue(request.param)))


@pytest.fixture
def llama(tiny_llama: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama))


def encoded(model: LanguageModel, folder: Path, **more: Any) -> Encoded:
    return Encoded(model, INSTRUCTION, DEMOS, folder=folder, **more)


def alone(model: LanguageModel, demo: tuple[int, ...]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Keys and values by one plain pass over instruction and demonstration."""
    with torch.no_grad():
        _, memory = run(model.network, Forest(chain([INSTRUCTION, demo], [None, 0])), [0], keep=True)
    assert memory is not None
    start = len(INSTRUCTION)
    return [one[:, start:] for one in memory.keys], [one[:, start:] for one in memory.values]


def same(one: DemoMemory, other: DemoMemory) -> bool:
    pairs = zip((*one.keys, *one.values), (*other.keys, *other.values), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("pack", [1, 6, 100])
def test_keys_and_values_are_those_of_each_demonstration_alone(model: LanguageModel, tmp_path: Path, pack: int) -> None:
    for demo, memory in zip(DEMOS, encoded(model, tmp_path, pack_tokens=pack, storage="full"), strict=True):
        keys, values = alone(model, demo)
        assert memory.tokens == len(demo)
        for found, wanted in zip((*memory.keys, *memory.values), (*keys, *values), strict=True):
            torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)


def test_every_different_demonstration_and_the_instruction_are_run_once(llama: LanguageModel, tmp_path: Path) -> None:
    pool = encoded(llama, tmp_path, pack_tokens=5)
    assert pool.tokens_run == 0
    assert len(list(pool)) == len(DEMOS)
    assert pool.tokens_run == len(INSTRUCTION) + OWN_TOKENS
    assert pool.each_once == sum(len(INSTRUCTION) + len(demo) for demo in DEMOS)


@pytest.mark.parametrize("storage", ["half", "full"])
def test_a_second_call_runs_nothing_and_hands_out_the_same(llama: LanguageModel, tmp_path: Path, storage: Any) -> None:
    first = list(encoded(llama, tmp_path, storage=storage))
    again = encoded(llama, tmp_path, storage=storage)
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    assert same(first[4], again[-1])
    assert again.tokens_run == 0


def test_half_precision_rounds_by_its_unit_and_halves_the_files(llama: LanguageModel, tmp_path: Path) -> None:
    half, full = encoded(llama, tmp_path / "half"), encoded(llama, tmp_path / "full", storage="full")
    for one, other in zip(half, full, strict=True):
        for a, b in zip((*one.keys, *one.values), (*other.keys, *other.values), strict=True):
            assert a.dtype == torch.float32
            assert bool(((a - b).abs() <= b.abs() * 2**-11 + 2**-24).all())
    numbers = [3 * 2 * 2 * len(demo) * 8 for demo in {*DEMOS}]
    sizes = [sum(path.stat().st_size for path in (tmp_path / name).iterdir()) for name in ("half", "full")]
    assert sizes[1] - sizes[0] == pytest.approx(2 * sum(numbers), abs=200), "the headers differ by a few characters"


def test_numbers_too_large_for_sixteen_bits_are_kept_whole(llama: LanguageModel, tmp_path: Path) -> None:
    for layer in llama.network.model.layers:
        layer.self_attn.v_proj.weight.data.mul_(1e6)
    pool = encoded(llama, tmp_path)
    assert all(bool(torch.isfinite(value).all()) for memory in pool for value in memory.values)
    assert max(float(value.abs().max()) for value in pool[1].values) > 65_504


@pytest.mark.parametrize("change", ["model", "dtype", "instruction", "demo", "storage"])
def test_another_content_is_another_key(llama: LanguageModel, tmp_path: Path, change: str) -> None:
    from dataclasses import replace

    list(encoded(llama, tmp_path))
    model, instruction, demos, storage = llama, INSTRUCTION, DEMOS[:1], "half"
    if change in ("model", "dtype"):
        model = replace(llama, **{"model": {"model_id": "other"}, "dtype": {"dtype": "bfloat16"}}[change])
    instruction = (51, 52, 53, 55) if change == "instruction" else instruction
    demos = ((60, 61, 63),) if change == "demo" else demos
    storage = "full" if change == "storage" else storage
    other = Encoded(model, instruction, demos, folder=tmp_path, storage=storage)  # type: ignore[arg-type]
    list(other)
    assert other.tokens_run == 4 + 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_computed_anew(llama: LanguageModel, tmp_path: Path, data: st.DataObject) -> None:
    first = encoded(llama, tmp_path)[0]
    (path,) = [path for path in tmp_path.iterdir() if path.stem == encoded(llama, tmp_path)._keys[0]]
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut short"):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1), label="kept")]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1), label="place")] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(raw)
    again = encoded(llama, tmp_path)
    assert same(again[0], first)
    assert encoded(llama, tmp_path)._disk.load(again._keys[0]) is not None


def test_a_file_under_another_name_is_not_taken(llama: LanguageModel, tmp_path: Path) -> None:
    pool = encoded(llama, tmp_path)
    list(pool)
    one, other = (tmp_path / f"{pool._keys[place]}.safetensors" for place in (0, 1))
    one.write_bytes(other.read_bytes())
    again = encoded(llama, tmp_path)
    assert again[0].tokens == 3
    assert again.tokens_run == len(INSTRUCTION) + 3


def test_the_oldest_go_when_the_folder_is_full(llama: LanguageModel, tmp_path: Path) -> None:
    old = encoded(llama, tmp_path)
    list(old)
    for path in tmp_path.iterdir():
        os.utime(path, (1_000, 1_000))
    kept = tmp_path / f"{old._keys[1]}.safetensors"
    os.utime(kept, (2_000, 2_000))
    limit = sum(path.stat().st_size for path in tmp_path.iterdir())
    new = Encoded(llama, INSTRUCTION, [(101, 102, 103)], folder=tmp_path, limit_bytes=limit)
    assert new[0].tokens == 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit
    assert kept.exists()
    assert (tmp_path / f"{new._keys[0]}.safetensors").exists()


def test_a_pool_larger_than_the_limit_keeps_its_beginning(llama: LanguageModel, tmp_path: Path) -> None:
    size = len(list(encoded(llama, tmp_path / "whole"))) and sum(
        path.stat().st_size for path in (tmp_path / "whole").iterdir()
    )
    list(encoded(llama, tmp_path / "part", limit_bytes=size - 1))
    again = encoded(llama, tmp_path / "part", limit_bytes=size - 1)
    assert len(list(again)) == len(DEMOS)
    assert again.tokens_run == len(INSTRUCTION) + len(DEMOS[-1])


def test_a_disk_that_cannot_be_written_is_said_and_does_no_harm(
    llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise MaterialError("the disk is full")

    monkeypatch.setattr("core.lm.scoring.encoded.write_atomically", full)
    pool = encoded(llama, tmp_path)
    assert len(list(pool)) == len(DEMOS)
    assert pool.notices == ("Encodings of demonstrations are not kept for the next time: the disk is full.",)


def test_cancelling_keeps_what_was_encoded(llama: LanguageModel, tmp_path: Path) -> None:
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        list(encoded(llama, tmp_path, pack_tokens=5, between=stop))
    assert len(list(tmp_path.iterdir())) == 1


def test_out_of_memory_halves_the_pack(llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tight(network: Any, forest: Forest, rows: Any, **more: Any) -> Any:
        if len(forest.token_ids) > 5:
            raise torch.OutOfMemoryError("full")
        return run(network, forest, rows, **more)

    monkeypatch.setattr("core.lm.scoring.encoded.run", tight)
    assert [memory.tokens for memory in encoded(llama, tmp_path)] == [3, 5, 2, 3, 4]
    with pytest.raises(ComputeError, match="out of memory on cpu with one demonstration of 6 tokens; expected"):
        Encoded(llama, INSTRUCTION, [(60,) * 6], folder=tmp_path)[0]


def test_numbers_that_are_not_finite_are_refused(llama: LanguageModel, tmp_path: Path) -> None:
    llama.network.model.layers[1].self_attn.v_proj.weight.data[0, 0] = float("nan")
    with pytest.raises(ComputeError, match="not finite"):
        list(encoded(llama, tmp_path))
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_nothing_to_encode_is_one_sentence_or_nothing(llama: LanguageModel, tmp_path: Path) -> None:
    assert list(Encoded(llama, INSTRUCTION, [], folder=tmp_path)) == []
    with pytest.raises(RequestError, match="demonstration 2 of the pool has no tokens; expected at least one"):
        Encoded(llama, INSTRUCTION, [(60,), ()], folder=tmp_path)
    with pytest.raises(RequestError, match="an instruction without tokens"):
        Encoded(llama, (), DEMOS, folder=tmp_path)
    with pytest.raises(IndexError):
        encoded(llama, tmp_path)[5]


def test_scales_are_the_layers_own(tiny_llama: Any, tiny_gemma2: Any) -> None:
    assert attention_scales(language_model(copy.deepcopy(tiny_llama))) == pytest.approx((8**-0.5,) * 3)
    assert attention_scales(language_model(copy.deepcopy(tiny_gemma2))) == pytest.approx((8**-0.5,) * 2)
    blind = language_model(copy.deepcopy(tiny_llama))
    del blind.network.model.layers[0].self_attn.scaling
    with pytest.raises(ComputeError, match="in 2 of its 3 layers"):
        attention_scales(blind)

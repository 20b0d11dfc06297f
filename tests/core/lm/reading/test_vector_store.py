"""Vectors of texts are read once for each model and data set, and a damaged or full disk costs nothing but time."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk import no_room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import language_model, random_prompt

from core.errors import Cancelled
from core.lm.loading.load import LanguageModel
from core.lm.loading.tokenizer import TextTokenizer
from core.lm.reading import vector_store
from core.lm.reading.head_gradients import head_gradients
from core.lm.reading.text_vectors import text_vectors
from core.lm.reading.vector_store import VectorStore, remembered_head_gradients, remembered_text_vectors
from core.lm.scoring.sweep import Cost
from core.prompt.spans import Prompt

CUE = "Movie:"
TEXTS = ("Alien", "Heat. Crime", "Alien", "Toy Story")


@pytest.fixture
def llama(tiny_llama: Any, tiny_tokenizer: TextTokenizer) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def read(
    model: LanguageModel, store: VectorStore, texts: Sequence[str] = TEXTS, *, data: str = "data", cue: str = CUE
) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Vectors, tokens run and notices."""
    cost = Cost()
    vectors, notices = remembered_text_vectors(model, texts, dataset_id=data, cue=cue, cost=cost, store=store)
    return vectors, cost.tokens, notices


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.npy"))


def test_a_second_call_and_a_second_process_run_nothing_and_get_the_same(llama: LanguageModel, tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    first, tokens, notices = read(llama, store)
    np.testing.assert_array_equal(first, text_vectors(llama, TEXTS, cue=CUE))
    assert tokens > 0
    assert notices == ()
    for again in (store, VectorStore(tmp_path)):
        vectors, tokens, _ = read(llama, again, TEXTS[::-1])
        np.testing.assert_array_equal(vectors, first[::-1])
        assert tokens == 0


def test_only_what_is_new_is_run(llama: LanguageModel, tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    read(llama, store)
    _, tokens, _ = read(llama, store, (*TEXTS, "Fargo"))
    alone = Cost()
    text_vectors(llama, ["Fargo"], cue=CUE, cost=alone)
    assert tokens == alone.tokens
    assert read(llama, VectorStore(tmp_path), (*TEXTS, "Fargo"))[1] == 0
    assert read(llama, store, ())[0].shape == (0, 32)


@pytest.mark.parametrize("change", ["model", "dtype", "data", "cue"])
def test_another_content_is_another_shelf(llama: LanguageModel, tmp_path: Path, change: str) -> None:
    read(llama, VectorStore(tmp_path))
    model = replace(llama, **{"model": {"model_id": "other"}, "dtype": {"dtype": "bfloat16"}}.get(change, {}))
    more = {"data": {"data": "other"}, "cue": {"cue": "Film:"}}.get(change, {})
    assert read(model, VectorStore(tmp_path), **more)[1] > 0  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_removed_and_computed_anew(llama: LanguageModel, tmp_path: Path, data: st.DataObject) -> None:
    first, _, _ = read(llama, VectorStore(tmp_path))
    (path,) = files(tmp_path)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut short"):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1), label="left")]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1), label="place")] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(raw)
    vectors, tokens, _ = read(llama, VectorStore(tmp_path))
    assert tokens > 0
    np.testing.assert_array_equal(vectors, first)
    assert read(llama, VectorStore(tmp_path))[1] == 0


def test_a_file_of_another_shelf_is_not_taken(llama: LanguageModel, tmp_path: Path) -> None:
    read(llama, VectorStore(tmp_path))
    (first,) = files(tmp_path)
    read(llama, VectorStore(tmp_path), data="other")
    (second,) = (path for path in files(tmp_path) if path != first)
    raw = second.read_bytes()
    second.unlink()
    (first.parent / second.name).write_bytes(raw)
    assert read(llama, VectorStore(tmp_path), data="other")[1] > 0
    assert read(llama, VectorStore(tmp_path))[1] == 0


def test_many_small_files_become_one(llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store, "MOST_FILES", 3)
    store = VectorStore(tmp_path)
    texts = [f"Part {number}" for number in range(4)]
    for text in texts:
        read(llama, store, [text])
    assert len(files(tmp_path)) == 1
    assert read(llama, VectorStore(tmp_path), texts)[1] == 0


def test_the_least_recently_used_go_when_the_disk_share_is_full(llama: LanguageModel, tmp_path: Path) -> None:
    for number, data in enumerate(("first", "second")):
        read(llama, VectorStore(tmp_path), data=data)
        for path in files(tmp_path):
            os.utime(path, (1_000 + number, 1_000 + number))
    size = files(tmp_path)[0].stat().st_size
    os.utime(next(iter(files(tmp_path))), (1_000, 1_000))
    oldest = min(files(tmp_path), key=lambda path: path.stat().st_mtime)
    read(llama, VectorStore(tmp_path, disk_bytes=2 * size), data="third")
    assert len(files(tmp_path)) == 2
    assert not oldest.exists()
    read(llama, VectorStore(tmp_path, disk_bytes=size - 1), data="fourth")
    assert len(files(tmp_path)) == 2, "what is larger than the whole share is not written"


def test_memory_is_bounded_by_the_oldest_going_first(llama: LanguageModel, tmp_path: Path) -> None:
    store = VectorStore(tmp_path, memory_bytes=2 * 32 * 4, disk_bytes=0)
    read(llama, store, ["a", "b"])
    read(llama, store, ["a"])
    read(llama, store, ["c"])
    assert read(llama, store, ["a", "c"])[1] == 0
    assert read(llama, store, ["b"])[1] > 0


def test_a_full_disk_is_said_and_does_no_harm(
    llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path))
    store = VectorStore()
    with no_room(16):
        vectors, _, notices = read(llama, store)
    np.testing.assert_array_equal(vectors, text_vectors(llama, TEXTS, cue=CUE))
    assert len(notices) == 1
    assert notices[0].startswith("What the model reads to pick demonstrations is not kept for the next time: ")
    assert read(llama, store)[1] == 0, "this process still has them"
    assert read(llama, VectorStore())[1] > 0


def test_a_home_that_is_no_folder_leaves_memory_alone(
    llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "file"))
    store = VectorStore()
    _, tokens, notices = read(llama, store)
    assert tokens > 0
    assert notices
    assert read(llama, store)[1] == 0


def test_cancelling_leaves_the_store_as_it_was(llama: LanguageModel, tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    store = VectorStore(tmp_path)
    with pytest.raises(Cancelled):
        remembered_text_vectors(llama, TEXTS, dataset_id="data", cue=CUE, between=stop, store=store)
    assert files(tmp_path) == []
    assert read(llama, store)[1] > 0


def test_gradients_are_remembered_by_prompt_and_answer(llama: LanguageModel, tmp_path: Path) -> None:
    store, prompt = VectorStore(tmp_path), random_prompt("yes_no", demos=0, candidates=1)
    other = random_prompt("yes_no", demos=0, candidates=1, seed=1)

    def read_again(prompts: list[Prompt], liked: list[bool], store: VectorStore) -> tuple[np.ndarray, int]:
        cost = Cost()
        gradients, _ = remembered_head_gradients(llama, prompts, liked, dataset_id="data", cost=cost, store=store)
        return gradients, cost.tokens

    first, tokens = read_again([prompt, other, prompt], [True, True, False], store)
    np.testing.assert_allclose(
        first, head_gradients(llama, [prompt, other, prompt], [True, True, False]), atol=2e-6, rtol=1e-5
    )
    assert tokens > 0
    again, tokens = read_again([prompt, prompt], [False, True], VectorStore(tmp_path))
    np.testing.assert_array_equal(again, first[[2, 0]])
    assert tokens == 0
    assert read_again([other], [False], store)[1] > 0, "another answer is another choice"

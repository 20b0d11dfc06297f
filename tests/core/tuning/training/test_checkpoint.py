"""A checkpoint is whole or not used; a folder that is not the run's own is left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disk import no_room

from core.errors import MaterialError, RequestError
from core.tuning.training.card import Point
from core.tuning.training.checkpoint import (
    STATE,
    TENSORS,
    Checkpoints,
    TrainingState,
    checked_folder,
    checkpoints_in,
    store_result,
)
from core.tuning.training.training_settings import TuningSettings

KEY = "k" * 32
TUNING = TuningSettings()


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "run", TUNING, KEY)


def state(step: int) -> TrainingState:
    return TrainingState(
        step=step, curve=(Point(step=step, loss=0.1 + 0.2, learning_rate=1 / 3),), loss=2**-40, best=0.7
    )


def tensors(step: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(step)
    return {"weight/a": torch.randn(3, 4), "step/a": torch.tensor(float(step)), "random/cpu": torch.get_rng_state()}


def test_what_is_saved_comes_back_bit_for_bit(checkpoints: Checkpoints) -> None:
    assert checkpoints.latest() is None
    given = tensors(4)
    checkpoints.save(state(4), given)
    found = checkpoints.latest()
    assert found is not None
    assert found.state == state(4)
    assert found.tensors.keys() == given.keys()
    assert all(torch.equal(found.tensors[name], given[name]) for name in given)


def test_the_last_two_are_kept_and_nothing_else(checkpoints: Checkpoints) -> None:
    for step in (2, 4, 6, 8):
        checkpoints.save(state(step), tensors(step))
    assert sorted(os.listdir(checkpoints.folder)) == ["checkpoint-000006", "checkpoint-000008"]
    assert sorted(os.listdir(checkpoints_in(checkpoints.folder)[0])) == [STATE, TENSORS]
    checkpoints.clear()
    assert os.listdir(checkpoints.folder) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def later(path: Path) -> None:
    note = json.loads(path.read_bytes())
    note["body"]["state"]["step"] = 5
    path.write_text(json.dumps(note))


@pytest.mark.parametrize(
    ("name", "damage"), [(TENSORS, cut), (TENSORS, flip), (TENSORS, os.unlink), (STATE, cut), (STATE, later)]
)
def test_a_damaged_one_is_told_and_the_one_before_is_used(
    checkpoints: Checkpoints, name: str, damage: Callable[[Path], None]
) -> None:
    for step in (2, 4):
        checkpoints.save(state(step), tensors(step))
    damage(checkpoints.folder / "checkpoint-000004" / name)
    found = checkpoints.latest()
    assert found is not None
    assert found.state.step == 2
    assert checkpoints.notices == ["checkpoint-000004 is cut or altered and was not used."]
    checkpoints.save(state(4), tensors(4))
    again = Checkpoints(checkpoints.folder, TUNING, KEY)
    assert again.latest() is not None
    assert again.notices == []


def test_without_a_whole_one_nothing_is_guessed(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(2), tensors(2))
    cut(checkpoints.folder / "checkpoint-000002" / TENSORS)
    with pytest.raises(MaterialError, match="run: no checkpoint is whole; expected a folder without them"):
        checkpoints.latest()


def test_a_run_of_other_choices_is_refused(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(2), tensors(2))
    with pytest.raises(RequestError, match="--out: 'run' holds a run of demos 4, not 2; expected the same choices"):
        Checkpoints(checkpoints.folder, TuningSettings(demos=2), "another").latest()
    with pytest.raises(RequestError, match="holds a run of other data or another model"):
        Checkpoints(checkpoints.folder, TUNING, "another").latest()


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(checkpoints: Checkpoints) -> None:
    few = {"weight/a": torch.ones(10)}
    checkpoints.save(state(2), few)
    with no_room(4_000), pytest.raises(MaterialError) as found:
        checkpoints.save(state(4), {"weight/a": torch.ones(10_000)})
    assert str(found.value) == (
        "run: checkpoint-000004 cannot be written: the disk is full; "
        "expected free space; what was stored before is still there"
    )
    assert os.listdir(checkpoints.folder) == ["checkpoint-000002"]
    with no_room(4_000), pytest.raises(MaterialError, match="the result cannot be written: the disk is full"):
        store_result(checkpoints.folder, {"a.bin": bytes(10_000), "card.json": b"{}"})
    assert os.listdir(checkpoints.folder) == ["checkpoint-000002"]
    whole = checkpoints.latest()
    assert whole is not None
    assert torch.equal(whole.tensors["weight/a"], few["weight/a"])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(RequestError, match="--out: 'out' is a file; expected a folder"):
        checked_folder(tmp_path / "out", TUNING)
    with pytest.raises(MaterialError, match="--out: 'below' cannot be written"):
        checked_folder(tmp_path / "out" / "below", TUNING)
    with pytest.raises(RequestError, match="--out: '~nosuchuser/out' names the home of an unknown user"):
        checked_folder("~nosuchuser/out", TUNING)


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(RequestError, match=r"holds other files \('thesis.txt'\); expected an empty or a new folder"):
        checked_folder(tmp_path, TUNING)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    for name in (".checkpoint-000002.0123abcd.part", ".result.0123abcd.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / TENSORS).write_text("half")
    assert checked_folder(tmp_path, TUNING) == tmp_path
    assert os.listdir(tmp_path) == []


def test_a_new_folder_is_not_made_before_there_is_something_to_store(tmp_path: Path) -> None:
    assert checked_folder(tmp_path / "new" / "run", TUNING) == tmp_path / "new" / "run"
    assert os.listdir(tmp_path) == []
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(MaterialError, match="the card cannot be read"):
        checked_folder(tmp_path, TUNING)

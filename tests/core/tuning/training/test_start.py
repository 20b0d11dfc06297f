"""A run may begin from an adapter that was tuned before: with its very weights, and never with a look at the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.data.dataset import Dataset
from core.errors import ModelError, RequestError
from core.lm.loading.adapter import WEIGHTS
from core.lm.loading.load import load
from core.tuning.training.card import Card, readme
from core.tuning.training.objectives import ValidationFigures
from core.tuning.training.train import tune
from core.tuning.training.training_run import TrainingRun
from core.tuning.training.training_settings import TuningSettings


@pytest.fixture
def tuned(tuning: TuningSettings, films: Dataset, tmp_path: Path) -> Callable[..., Card]:
    """Tunes into a folder; `start` names the folder of an earlier run."""

    def made(name: str, start: str | None = None, **values: Any) -> Card:
        begin = None if start is None else str(tmp_path / start)
        wanted = tuning.model_copy(update={"most_steps": 2, "adapter": begin, **values})
        return tune(wanted, tmp_path / name, dataset=films, model=load(tuning.model, device="cpu"))

    return made


def test_a_run_begins_where_the_other_ended(tuned: Callable[..., Card], tmp_path: Path) -> None:
    first = tuned("first")
    kept = next(point for point in first.curve if point.step == first.best_step)
    second = tuned("second", "first")
    assert second.curve[0].validation_loss == kept.validation_loss
    assert second.curve[0].validation_auc == kept.validation_auc
    assert first.curve[0].validation_loss != kept.validation_loss
    assert first.start_id is None
    assert not any("learned from" in one or "Nothing tells" in one for one in second.notices)
    assert second.start_id is not None
    assert f"beginning with the adapter `first` ({second.start_id})," in readme(second)


def test_the_card_tells_every_run_that_it_builds_on(tuned: Callable[..., Card]) -> None:
    first, second, third = tuned("first"), tuned("second", "first"), tuned("third", "second")
    assert first.earlier == ()
    assert "Runs before it" not in readme(first)
    assert [run.command for run in second.earlier] == [first.command]
    assert [run.command for run in third.earlier] == [first.command, second.command]
    last = third.earlier[-1]
    assert (last.learned, last.steps, last.seconds) == (second.learned, second.steps, second.seconds)
    told = readme(third)
    assert f"1. `{first.command}`: " in told
    assert f"2. `{second.command}`: " in told
    assert f"labels) of yes_no; {second.steps} of {second.planned_steps} steps, " in told


def test_the_last_weights_are_kept_where_that_is_asked(
    tuned: Callable[..., Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        falling = lambda run: ValidationFigures(0.5, auc=1 - run.state.step / 10)  # noqa: E731  (never as good as before)
        patch.setattr(TrainingRun, "_validate", falling)
        way = {"most_steps": 4, "evaluate_every": 2}
        best, last = tuned("best", **way), tuned("last", **way, keep="last")
    assert best.key == last.key
    assert (best.best_step, best.best) == (2, "validation_auc")
    assert (last.best_step, last.best) == (4, "last")
    kept, ended = (load_file(tmp_path / name / WEIGHTS) for name in ("best", "last"))
    assert any(not torch.equal(kept[name], ended[name]) for name in kept)
    assert "0.600 at step 4, whose weights these are. They are the last." in readme(last)
    assert "0.800 at step 2, whose weights these are. The best of several" in readme(best)
    assert any("No validation was better" in one for one in best.notices)
    assert not any("No validation was better" in one for one in last.notices)


def test_an_adapter_that_reads_codes_goes_on_with_the_same_ones(tuned: Callable[..., Card]) -> None:
    tuned("coded", codes=True)
    assert tuned("again", "coded", codes=True).steps == 2
    tuned("plain")
    assert tuned("taught", "plain", codes=True).steps == 2
    with pytest.raises(RequestError, match="knows user and item codes; expected --codes"):
        tuned("lost", "coded")
    with pytest.raises(RequestError, match="knows other user and item codes"):
        tuned("others", "coded", codes=True, seed=1)


def test_a_model_that_reads_codes_is_tuned_with_the_same_ones(
    tuned: Callable[..., Card], tuning: TuningSettings, films: Dataset, tmp_path: Path
) -> None:
    tuned("whole", method="full", codes=True)
    whole = str(tmp_path / "whole")

    def again(**values: Any) -> Card:
        wanted = tuning.model_copy(update={"model": whole, "most_steps": 1, **values})
        return tune(wanted, tmp_path / f"again {values}", dataset=films, model=load(whole, device="cpu"))

    assert again(codes=True).steps == 1
    with pytest.raises(RequestError, match="the model whole knows user and item codes; expected --codes"):
        again()
    with pytest.raises(RequestError, match="the model whole knows other user and item codes"):
        again(codes=True, seed=1)


def test_another_adapter_under_the_same_name_is_another_run(tuned: Callable[..., Card]) -> None:
    tuned("first")
    key = tuned("second", "first").key
    tuned("other", seed=1)
    assert tuned("third", "other").key != key
    assert tuned("second", "first").key == key


@pytest.mark.parametrize("changes", [{"rank": 4}, {"alpha": 8}])
def test_matrices_of_another_size_are_refused(tuned: Callable[..., Card], changes: dict[str, int]) -> None:
    tuned("first")
    with pytest.raises(RequestError, match="rank and alpha of the adapter are 2 and 16; expected this run's"):
        tuned("second", "first", **changes)


def test_an_adapter_without_some_matrix_is_refused(tuned: Callable[..., Card], tmp_path: Path) -> None:
    tuned("first")
    tensors = load_file(tmp_path / "first" / WEIGHTS)
    left = {name: one for name, one in tensors.items() if "layers.0.self_attn.q_proj" not in name}
    save_file(left, tmp_path / "first" / WEIGHTS)
    with pytest.raises(ModelError, match="its matrices do not fit"):
        tuned("second", "first")
    assert not (tmp_path / "second" / WEIGHTS).exists()


def test_an_adapter_that_saw_the_test_is_refused(tuned: Callable[..., Card]) -> None:
    tuned("first", share=0.9)
    with pytest.raises(RequestError, match="was tuned on interactions of this run's test"):
        tuned("second", "first")


def test_what_is_known_of_the_adapter_s_past_is_told(tuned: Callable[..., Card], tmp_path: Path) -> None:
    tuned("first", validation=0.1)
    assert any("had learned from interactions of this run's validation" in one for one in tuned("a", "first").notices)
    (tmp_path / "first" / "card.json").unlink()
    assert any(one.startswith("Nothing tells whether the adapter") for one in tuned("b", "first").notices)


def test_no_adapter_there_is_one_sentence(tuned: Callable[..., Card]) -> None:
    with pytest.raises(ModelError, match="no such adapter folder"):
        tuned("second", "nowhere")

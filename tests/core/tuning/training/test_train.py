"""Training: against a slow reference, from broken-off runs, and what is stored in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from core.data.dataset import Dataset
from core.errors import Cancelled, RequestError
from core.lm.loading.adapter import checked_adapter
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.score import Scorer
from core.metrics.binary import auc
from core.prompt.codes import Codes
from core.seeds import seed_of
from core.tuning.examples import Window, examples_in, prompt_of
from core.tuning.training.answer_tokens import encode_prompt
from core.tuning.training.batches import training_set
from core.tuning.training.card import Card, read_card
from core.tuning.training.checkpoint import checkpoints_in
from core.tuning.training.lora import attach_lora, linear_layers
from core.tuning.training.train import BETAS, EPSILON, tune
from core.tuning.training.training_run import rate
from core.tuning.training.training_settings import TuningSettings

WEIGHTS = "adapter_model.safetensors"


def changed(tuning: TuningSettings, **values: Any) -> TuningSettings:
    return TuningSettings.model_validate(tuning.model_dump() | values)


def test_the_learning_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    settings = TuningSettings(learning_rate=0.5, warm_up=0.2)
    rates = [rate(step, 10, settings) for step in range(10)]
    assert rates[:3] == [0.25, 0.5, 0.5]
    assert rates[6] == pytest.approx(0.25)  # half-way down
    assert all(later < earlier for earlier, later in pairwise(rates[2:]))
    assert rate(0, 10, TuningSettings(warm_up=0)) == TuningSettings().learning_rate


def test_every_linear_layer_of_the_blocks_and_no_other(tiny_llama: Any, tiny_gemma3: Any) -> None:
    names = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert linear_layers(tiny_llama) == linear_layers(tiny_gemma3) == names


def test_steps_are_those_of_a_plain_loop(
    tuning: TuningSettings, films: Dataset, llama: LanguageModel, llama_folder: Path, tmp_path: Path
) -> None:
    settings = changed(tuning, most_steps=3, validation_examples=0, class_balance=False, clip=0.5)
    tune(settings, tmp_path / "run", dataset=films, model=llama)
    stored = load_file(tmp_path / "run" / WEIGHTS)

    other = load(str(llama_folder), device="cpu")
    other.network.set_attn_implementation("eager")

    attach_lora(other.network, base="x", rank=2, alpha=16, dropout=0.0, seed=seed_of("lora", 0))
    learned = {name: one for name, one in other.network.named_parameters() if one.requires_grad}
    optimiser = torch.optim.AdamW(learned.values(), lr=0.01, betas=BETAS, eps=EPSILON, weight_decay=0.01)
    material = training_set(settings, films)
    for step in range(3):
        each = []
        for family, example in material.batch(step):
            prompt = encode_prompt(example, films, other.tokenizer, family=family)
            logits = other.network(torch.from_numpy(prompt.ids)[None], use_cache=False).logits[0, prompt.rows]
            each.append(cross_entropy(logits, torch.from_numpy(prompt.labels), reduction="none"))
        torch.cat(each).mean().backward()
        torch.nn.utils.clip_grad_norm_(learned.values(), 0.5)
        for group in optimiser.param_groups:
            group["lr"] = rate(step, 3, settings)
        optimiser.step()
        optimiser.zero_grad()
    assert len(stored) == len(learned) == 2 * 7 * 3
    for name, one in learned.items():
        found = stored["base_model.model." + name.replace(".default", "")]
        torch.testing.assert_close(found, one.detach(), rtol=1e-3, atol=1e-5)


@pytest.fixture
def tuned(tuning: TuningSettings, films: Dataset, llama: LanguageModel, tmp_path: Path) -> Callable[..., Card]:
    def made(name: str = "run", progress: Any = lambda *_: None, **values: Any) -> Card:
        model = load(tuning.model, device="cpu")
        return tune(changed(tuning, **values), tmp_path / name, dataset=films, model=model, progress=progress)

    return made


def test_the_stored_adapter_is_what_was_validated(
    tuned: Callable[..., Card], tuning: TuningSettings, films: Dataset, tmp_path: Path
) -> None:
    card = tuned(patience=9)
    assert sorted(os.listdir(tmp_path / "run")) == ["README.md", "adapter_config.json", WEIGHTS, "card.json"]
    files = checked_adapter(str(tmp_path / "run"))
    assert files.base == "llama"
    model = load(tuning.model, adapter=str(tmp_path / "run"), device="cpu")
    material = training_set(tuning, films)
    prompts = [prompt_of(one, films, model.tokenizer, family="yes_no") for one in material.validation]
    scores = [float(Scorer(model, prompt).full()[0]) for prompt in prompts]
    kept = next(point for point in card.curve if point.step == card.best_step)
    assert kept.validation_auc == pytest.approx(auc(scores, [one.liked for one in material.validation]))
    results = {point.step: point.validation_auc for point in card.curve if point.validation_auc is not None}
    assert list(results) == [0, 2, 4, 6]
    assert kept.validation_auc == max(value for step, value in results.items() if step > 0)


def test_tuning_lowers_the_loss_of_what_it_saw(tuned: Callable[..., Card]) -> None:
    card = tuned(most_steps=20, validation_examples=0)
    losses = [point.loss for point in card.curve if point.loss is not None]
    assert losses[-1] < 0.8 * losses[0]


def test_the_card_tells_the_whole_run(tuned: Callable[..., Card], tmp_path: Path, films: Dataset) -> None:
    card = tuned(half=True)
    assert read_card(tmp_path / "run") == card
    assert (card.steps, card.planned_steps, card.stop, card.best) == (6, 6, "steps", "validation_auc")
    assert card.command.startswith("demolens tune --dataset ")
    assert card.command.endswith(" --out run")
    assert card.dataset_id == films.dataset_id
    assert card.train_until is not None
    assert card.validation_until == films.time_cut(0.8)
    (row,) = card.learned
    assert row.labels > row.examples > 0
    assert 0 < (row.yes or 0) < row.labels
    assert card.weights == sum(one.numel() for one in load_file(tmp_path / "run" / WEIGHTS).values())
    assert all(one.dtype == torch.float16 for one in load_file(tmp_path / "run" / WEIGHTS).values())
    config = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["inference_mode"]) == (2, 16, True)
    readme = (tmp_path / "run" / "README.md").read_text()
    assert "Validation AUC on 6 examples" in readme
    assert str(tmp_path) not in (tmp_path / "run" / "adapter_config.json").read_text() + readme.replace(
        card.command, ""
    )


def test_a_finished_run_is_only_read(tuned: Callable[..., Card], tmp_path: Path) -> None:
    card = tuned()
    before = (tmp_path / "run" / WEIGHTS).read_bytes()
    assert tuned() == card
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == before
    with pytest.raises(RequestError, match="holds a run of rank 2, not 4"):
        tuned(rank=4)


def stop_at(step: int) -> Callable[[str, float], None]:
    def progress(label: str, _: float) -> None:
        if label.startswith(f"step {step} of"):
            raise Cancelled("stopped")

    return progress


@pytest.mark.parametrize("loss", ["all", "list"])
@pytest.mark.parametrize("step", [2, 5])
def test_a_run_that_went_on_ends_with_the_same_bytes(
    tuned: Callable[..., Card], tmp_path: Path, step: int, loss: str
) -> None:
    more: dict[str, Any] = {"lora_dropout": 0.3, "families": ("yes_no", "next_item"), "loss": loss, "candidates": 4}
    whole = tuned("whole", **more)
    with pytest.raises(Cancelled):
        tuned("broken", progress=stop_at(step), **more)
    assert [one.name for one in checkpoints_in(tmp_path / "broken")][:1] == (
        [f"checkpoint-{(step - 1) // 2 * 2:06d}"] if step > 2 else []
    )
    resumed = tuned("broken", **more)
    assert (tmp_path / "broken" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert [point.model_copy(update={"seconds": 0}) for point in resumed.curve] == [
        point.model_copy(update={"seconds": 0}) for point in whole.curve
    ]
    assert checkpoints_in(tmp_path / "broken") == []


def test_more_minutes_go_on_where_the_time_was_up(tuned: Callable[..., Card], tmp_path: Path) -> None:
    more: dict[str, Any] = {"validation_examples": 0}
    tuned("whole", **more)
    card = tuned("short", minutes=1e-6, **more)
    assert (card.stop, card.steps, card.best) == ("minutes", 1, "last")
    assert any("cut short by its time limit" in notice for notice in card.notices)
    checked_adapter(str(tmp_path / "short"))
    assert tuned("short", minutes=60, **more).stop == "steps"
    assert (tmp_path / "short" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


def test_time_that_is_up_keeps_validated_weights(tuned: Callable[..., Card]) -> None:
    card = tuned(minutes=1e-6)
    assert [point.step for point in card.curve] == [0, 1]
    assert (card.best_step, card.best) == (1, "validation_auc")


def test_training_stops_when_validation_gets_no_better(tuned: Callable[..., Card]) -> None:
    card = tuned(most_steps=40, learning_rate=1e-12, patience=2)
    assert (card.stop, card.steps, card.best_step) == ("patience", 6, 2)
    assert "No validation was better than the untuned model's." in card.notices


def test_next_item_alone_is_judged_by_its_loss(tuned: Callable[..., Card]) -> None:
    card = tuned(families=("next_item",), most_steps=4)
    assert card.best == "validation_loss"
    measured = {point.step: point.validation_loss for point in card.curve}
    assert all(point.validation_auc is None for point in card.curve)
    assert card.best_step == min((step for step in measured if step), key=lambda step: measured[step] or 0)


def test_a_run_on_lists_is_judged_by_their_ndcg(tuned: Callable[..., Card], tmp_path: Path) -> None:
    card = tuned(loss="list", candidates=4, most_steps=20, validation_examples=4, evaluate_every=5, patience=9)
    assert card.best == "validation_ndcg"
    measured = {point.step: point for point in card.curve if point.validation_ndcg is not None}
    assert list(measured) == [0, 5, 10, 15, 20]
    best = measured[card.best_step].validation_ndcg
    assert best == max(point.validation_ndcg or 0 for step, point in measured.items() if step)
    for point in measured.values():
        assert point.validation_auc is None
        assert 0 < (point.validation_ndcg or 0) <= 1
        assert -1 <= (point.validation_gain or 0) <= 1
        assert 0 < (point.demo_attention or 0) < 1
        assert (point.demo_effect or 0) > 0
    losses = [point.loss for point in card.curve if point.loss is not None]
    assert losses[-1] < 0.8 * losses[0]
    (row,) = card.learned
    assert row.labels == row.examples > 0
    assert "NDCG@10 on 4 validation lists" in (tmp_path / "run" / "README.md").read_text()


def test_full_tuning_on_lists_lowers_their_loss(tuned: Callable[..., Card]) -> None:
    how = {"method": "full", "learning_rate": 2e-3, "families": ("next_item",), "scoring": "mean"}
    card = tuned(loss="list", candidates=4, most_steps=20, validation_examples=0, **how)
    losses = [point.loss for point in card.curve if point.loss is not None]
    assert losses[-1] < 0.8 * losses[0]


def test_full_tuning_changes_all_but_the_embeddings(
    tuned: Callable[..., Card], tiny_llama: Any, tmp_path: Path
) -> None:
    card = tuned(method="full", most_steps=2, learning_rate=1e-3)
    model = load(str(tmp_path / "run"), device="cpu")
    before = dict(tiny_llama.named_parameters())
    same = {name for name, one in model.network.named_parameters() if torch.equal(one, before[name])}
    assert same == {"model.embed_tokens.weight"}
    assert card.weights == sum(one.numel() for name, one in before.items() if name not in same)
    assert any("Input embeddings were not tuned" in notice for notice in card.notices)
    assert model.tokenizer.encode(" Yes")[0]


def test_gradient_checkpointing_changes_no_result(tuned: Callable[..., Card], tmp_path: Path) -> None:
    for name, on in (("plain", False), ("less", True)):
        tuned(name, gradient_checkpointing=on, validation_examples=0)
    plain, less = (load_file(tmp_path / name / WEIGHTS) for name in ("plain", "less"))
    assert all(torch.allclose(plain[name], less[name], atol=1e-6) for name in plain)


def test_tuning_without_demonstrations_is_the_same_code(tuned: Callable[..., Card]) -> None:
    card = tuned(demos=0, most_steps=2)
    assert card.learned[0].labels == card.learned[0].examples


def test_codes_stand_in_the_prompts_and_beside_the_result(
    tuned: Callable[..., Card], films: Dataset, tmp_path: Path
) -> None:
    card = tuned(codes=True, most_steps=2)
    codes = Codes(**json.loads((tmp_path / "run" / "codes.json").read_text()))
    assert set(codes.users) == {user for user, _ in films.users()}
    assert card.settings.codes
    first, *_ = examples_in(films, Window(until=card.train_until), demos=0, history=0)
    prompt = prompt_of(first, films, load(card.settings.model, device="cpu").tokenizer, family="yes_no", codes=codes)
    assert f"User code: {codes.user('u0')}" in prompt.query.text

"""The files of a finished run: an adapter in PEFT's format or a whole model, with its card."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
from transformers.utils import logging

from core.data.dataset import Dataset
from core.lm.loading.adapter import CONFIG, WEIGHTS
from core.lm.loading.code_table import CODES
from core.lm.loading.load import LanguageModel
from core.prompt.families import FAMILIES
from core.tuning.training.answer_loss import in_bfloat16
from core.tuning.training.answer_tokens import answer_counts
from core.tuning.training.card import CARD, Card, LearnedFamily, command_of, licences, plain_name, readme, versions
from core.tuning.training.checkpoint import store_result, writing
from core.tuning.training.lora import adapter_config, as_stored, stored_names
from core.tuning.training.objectives import BestMeasure
from core.tuning.training.training_run import TrainingRun

TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("chat_template.jinja", "vocab.json", "merges.txt", "tokenizer.model"),
)
"""Files of a tokenizer, as far as a model has them."""


def store_run(run: TrainingRun, dataset: Dataset, model: LanguageModel) -> Card:
    """Write what a run has learned, and remove its checkpoints unless it can still go on. Returns the card.

    Only the first process writes. Raises `MaterialError` when the files cannot be written.
    """
    folder, card = run.checkpoints.folder, card_of(run, dataset, model)
    if run.processes.is_first:
        files = {CARD: (card.model_dump_json(indent=1) + "\n").encode(), "README.md": readme(card).encode()}
        if run.codes is not None:
            files[CODES] = json.dumps(asdict(run.codes)).encode()
        if run.wrapped is None:
            store_result(folder, files, _whole_model(folder, model))
        else:
            store_result(folder, _adapter(run) | files)
        if run.state.stop != "minutes":
            run.checkpoints.clear()
    run.processes.wait()
    return card


def card_of(run: TrainingRun, dataset: Dataset, model: LanguageModel) -> Card:
    """The account of a run that has stopped."""
    data_licence, model_licence = licences(run.settings, dataset)
    state, examples = run.state, run.examples
    last = run.settings.keep == "last" or state.best_step is None
    assert state.stop is not None
    return Card(
        command=command_of(run.settings, run.checkpoints.folder),
        key=run.checkpoints.key,
        settings=run.settings,
        dataset_id=dataset.dataset_id,
        dataset_name=dataset.name,
        dataset_licence=data_licence,
        model_id=model.model_id,
        model_name=plain_name(model.name),
        model_licence=model_licence,
        start_id=None if run.start is None else run.start.content_id,
        earlier=() if run.start is None else run.start.runs,
        device=model.device,
        arithmetic="bfloat16" if in_bfloat16(model.device, autocast=run.settings.autocast) else "float32",
        processes=run.processes.count,
        versions=versions(),
        train_until=examples.windows[0].until,
        validation_until=examples.windows[1].until,
        learned=_learned(run),
        validation_examples=len(examples.validation),
        weights=sum(tensor.numel() for tensor in run.weights.values()),
        steps=state.step,
        planned_steps=examples.steps,
        stop=state.stop,
        best_step=state.step if last or state.best_step is None else state.best_step,
        best="last" if last else _measure(run),
        curve=state.curve,
        seconds=run.seconds,
        notices=(*dataset.notices, *run.checkpoints.notices, *_notices(run, model)),
    )


def _measure(run: TrainingRun) -> BestMeasure:
    """By which the best weights were chosen."""
    measures: tuple[BestMeasure, ...] = ("validation_ndcg", "validation_auc")
    measured = (name for name in measures if any(getattr(point, name) is not None for point in run.state.curve))
    return next(measured, "validation_loss")


def _learned(run: TrainingRun) -> tuple[LearnedFamily, ...]:
    rows = []
    for family, examples in run.examples.training.items():
        if run.settings.loss == "list":
            rows.append(LearnedFamily(family=family, examples=len(examples), labels=len(examples)))
            continue
        yes, no = answer_counts(examples, run.settings.loss)
        answers = yes if FAMILIES[family].labelled else None
        rows.append(LearnedFamily(family=family, examples=len(examples), labels=yes + no, yes=answers))
    return tuple(rows)


def _notices(run: TrainingRun, model: LanguageModel) -> list[str]:
    notices = [*model.notices, *([run.start.notice] if run.start and run.start.notice else [])]
    if run.state.stop == "minutes":
        notices.append(
            "Training was cut short by its time limit; the same command with more minutes goes on from there."
        )
    first = next((point for point in run.state.curve if point.validation_loss is not None), None)
    if first is not None and run.state.best is not None and run.settings.keep == "best":
        judged = getattr(first, _measure(run))
        if (-judged if _measure(run) == "validation_loss" else judged) >= run.state.best:
            begun = "the untuned model's" if run.start is None else "that of the adapter it began from"
            notices.append(f"No validation was better than {begun}.")
    if run.wrapped is None:
        notices.append("Input embeddings were not tuned, nor an output layer that shares their weights.")
    return notices


def _adapter(run: TrainingRun) -> dict[str, bytes]:
    names = stored_names(run.wrapped)
    tensors = as_stored({names[name]: tensor for name, tensor in run.weights.items()}, half=run.settings.half)
    return {CONFIG: adapter_config(run.wrapped), WEIGHTS: safetensors.torch.save(tensors, metadata={"format": "pt"})}


def _whole_model(folder: Path, model: LanguageModel) -> Path:
    """The tuned model as a model folder; returns where it lies for now."""
    part = folder / f".result.{secrets.token_hex(4)}.part"
    with writing("the result", folder):
        logging.disable_progress_bar()
        model.network.save_pretrained(part)
        logging.enable_progress_bar()
        for name in TOKENIZER:
            if (model.folder / name).is_file():
                shutil.copyfile(model.folder / name, part / name)
    return part

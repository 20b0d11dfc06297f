"""Tune a model on prompts with demonstrations, so that it still reads them afterwards (RecICL, arXiv 2410.23136)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.data.dataset import Dataset, open_dataset
from core.lm.forward.attention import prepare
from core.lm.loading.load import LanguageModel, load
from core.prompt.codes import Codes
from core.prompt.families import FAMILIES, Family
from core.question.task import Progress
from core.seeds import seed_of
from core.tuning.classical.code_learning import learn_codes
from core.tuning.examples import Example
from core.tuning.list_examples import ListExample
from core.tuning.training.answer_loss import ready
from core.tuning.training.answer_tokens import Balance, EncodedPrompt, balance_of, encode_prompt
from core.tuning.training.batches import TrainingSet, training_set
from core.tuning.training.card import Card, plain_name, read_card
from core.tuning.training.checkpoint import Checkpoints, checked_folder, checkpoints_in, other_run
from core.tuning.training.list_loss import EncodedList, encode_list
from core.tuning.training.lora import attach_lora, stored_names
from core.tuning.training.objectives import (
    AnswerObjective,
    ListObjective,
    TrainingObjective,
    ValidationList,
    validation_list,
)
from core.tuning.training.processes import Processes
from core.tuning.training.result import store_run
from core.tuning.training.start import Start, begin_from, check_codes, open_start
from core.tuning.training.training_run import TrainingRun
from core.tuning.training.training_settings import Loss, TuningSettings

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of AdamW (arXiv 1711.05101)."""


def tune(
    settings: TuningSettings,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    model: LanguageModel | None = None,
    progress: Progress = lambda *_: None,
) -> Card:
    """Tune and store the result in the folder `out`: an adapter or a model, `card.json` and a README.

    A run that was broken off there goes on; a finished one is only read. `progress` is called between passes and may
    raise `Cancelled`; the last checkpoint stays. `dataset` and `model` are those of the settings if they are open
    already; the model must be in 32 bits, and its network is changed. Raises the errors of `core.errors`, and then
    nothing half-written is left.
    """
    processes = Processes(settings.device)
    folder = checked_folder(out, settings)
    progress("opening the data", 0.0)
    dataset = dataset or open_dataset(settings.dataset)
    examples = training_set(settings, dataset)
    start = open_start(settings, dataset, examples.windows)
    progress("loading the model", 0.0)
    model = model or load(settings.model, device=settings.device, dtype="float32")
    origin = model.model_id if start is None else f"{model.model_id} {start.content_id}"
    key = settings.key(dataset_id=dataset.dataset_id, model_id=origin)
    card = read_card(folder)
    if card is not None and not checkpoints_in(folder):
        if card.key != key:
            raise other_run(folder, card.settings, settings)
        return card
    checkpoints = Checkpoints(folder, settings, key)
    with torch.random.fork_rng():
        run = _start_run(settings, examples, dataset, model, start, processes, checkpoints, progress)
        run.train()
    return store_run(run, dataset, model)


def _start_run(
    settings: TuningSettings,
    examples: TrainingSet,
    dataset: Dataset,
    model: LanguageModel,
    start: Start | None,
    processes: Processes,
    checkpoints: Checkpoints,
    progress: Progress,
) -> TrainingRun:
    """A run with everything in place, at its newest checkpoint."""
    codes = learn_codes(dataset, examples.windows[0], settings.seed) if settings.codes else None
    check_codes(f"the model {plain_name(model.name)}", model.codes, codes)
    if start is not None:
        check_codes(f"the adapter {start.name}", start.codes, codes)
    progress("writing the validation prompts", 0.0)
    objective = _objective(settings, examples, dataset, model, codes)
    wrapped, weights = _prepare(settings, model)
    if start is not None:
        begin_from(weights, stored_names(wrapped), start)
    run = TrainingRun(
        settings=settings,
        examples=examples,
        network=model.network,
        wrapped=wrapped,
        weights=weights,
        optimiser=_optimiser(settings, weights),
        objective=objective,
        codes=codes,
        start=start,
        processes=processes,
        checkpoints=checkpoints,
        progress=progress,
    )
    run.resume()
    return run


def _objective(
    settings: TuningSettings, examples: TrainingSet, dataset: Dataset, model: LanguageModel, codes: Codes | None
) -> TrainingObjective[Any]:
    context = min(settings.context or model.context, model.context)
    if settings.loss == "list":
        return _list_objective(examples, dataset, model, codes, context)
    balanced = settings.class_balance and FAMILIES[examples.judged].labelled
    balance = balance_of(examples.training[examples.judged], settings.loss) if balanced else Balance()

    def encode(family: Family, example: Example, loss: Loss) -> EncodedPrompt:
        return encode_prompt(
            example, dataset, model.tokenizer, family=family, loss=loss, context=context, balance=balance, codes=codes
        )

    return AnswerObjective(
        examples, encode, tuple(encode(examples.judged, example, "query") for example in examples.validation)
    )


def _list_objective(
    examples: TrainingSet, dataset: Dataset, model: LanguageModel, codes: Codes | None, context: int
) -> ListObjective:
    settings = examples.settings

    def encode(family: Family, row: ListExample) -> EncodedList:
        return encode_list(
            row,
            dataset,
            model.tokenizer,
            family=family,
            scoring=settings.scoring,
            context=context,
            codes=codes,
        )

    pairs = (validation_list(settings, dataset, example) for example in examples.validation)
    validation = tuple(ValidationList(*(encode(examples.judged, row) for row in pair)) for pair in pairs)
    return ListObjective(examples, dataset, encode, validation)


def _prepare(settings: TuningSettings, model: LanguageModel) -> tuple[Any, dict[str, Tensor]]:
    """PEFT's wrapping of the network (None for all weights), and the parameters to train by name."""
    network, wrapped = model.network, None
    if settings.loss == "list":
        prepare(network)  # Branches behind one prompt need our own attention.
    else:
        ready(network)
    if settings.method == "lora":
        wrapped = attach_lora(
            network,
            base=plain_name(model.name),
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=settings.lora_dropout,
            seed=seed_of("lora", settings.seed),
        )
    else:
        network.requires_grad_(True)
        network.get_input_embeddings().weight.requires_grad_(False)
    if settings.gradient_checkpointing:
        network.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return wrapped, {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _optimiser(settings: TuningSettings, weights: dict[str, Tensor]) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    matrices = [parameter for parameter in weights.values() if parameter.dim() > 1]
    others = [parameter for parameter in weights.values() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    filled = [group for group in groups if group["params"]]
    return torch.optim.AdamW(filled, lr=settings.learning_rate, betas=BETAS, eps=EPSILON)

"""The one unit of work of every runner: the loaded model and data, and the reports made with them."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import ModelError, RequestError
from core.lm.loading.facts import ModelFacts
from core.lm.server.address import names_server
from core.question.case_spec import CaseSpec
from core.question.kinds import kind_of
from core.question.task import Progress, Report, Task
from core.store.lock import reporting
from core.work.contents import data_fingerprint, model_fingerprint

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.lm.loading.load import LanguageModel
    from core.prompt.case_source import CaseSource

WARM_UP_TOKENS = 256
NOT_SERVED = "the sample model, a model folder, a .gguf file, or a hub name"


class Engine(Protocol):
    """What a worker runs; the tests have one without a model."""

    def warm_up(self) -> float | None:
        """Import and load what the first run will need; seconds per token of a forward pass, if it was measured."""
        ...

    def run(self, task: Task, progress: Progress) -> Iterator[Report]:
        """Ever more complete reports of `task`."""
        ...

    def look(self, case: CaseSpec) -> tuple[ModelFacts, bool]:
        """What the files of the case's model say, and whether it is loaded; loads nothing."""
        ...

    def examine(self, case: CaseSpec, progress: Progress) -> tuple[ModelFacts, bool]:
        """The same once the model was loaded, or why it cannot be."""
        ...


class ModelEngine:
    """Keeps the model and the data set of the last task; another task's are loaded in their place.

    Files that changed are other material: a choice holds their fingerprint from before they were opened, so what
    changed meanwhile is opened again for the next case. Another adapter, or none, is no other model: the weights
    stay in memory.
    """

    def __init__(self) -> None:
        self._model: LanguageModel | None = None
        self._model_choice: tuple[str, ...] = ()
        self._dataset: Dataset | None = None
        self._dataset_choice: tuple[str, ...] = ()

    def warm_up(self) -> float | None:
        """Import torch, load the sample model if it lies on this machine, and time one forward pass of it.

        Raises whatever loading raises; a worker goes on without the measurement.
        """
        use_all_cores()
        case = CaseSpec()
        self._dataset_for(case)
        return seconds_per_token(self._model_for(case))

    def run(self, task: Task, progress: Progress) -> Iterator[Report]:
        """Ever more complete reports; the last has stage `complete`.

        Raises the errors of `core.errors` for everything a person can act on, `Cancelled` among them.
        """
        progress("opening the data", 0.0)
        kind = kind_of(task)
        if kind.needs_weights and names_server(task.case.model):
            raise RequestError(f"{kind.name} looks into the model, and a server gives scores only", expected=NOT_SERVED)
        kind.check(task)
        with reporting(progress):
            dataset = self._source_for(task.case)
        subject = kind.subject(task, dataset)  # A wrong choice is refused before a model is loaded for it.
        use_all_cores()
        progress("loading the model", 0.01)
        with reporting(progress):
            model = self._model_for(task.case)
        pulse = _Pulse(progress)
        with _before_every_layer(_networks(model), pulse.again):
            yield from kind.run(task, dataset=dataset, model=model, progress=pulse, subject=subject)

    def look(self, case: CaseSpec) -> tuple[ModelFacts, bool]:
        """What the files of the case's model say; where it is in memory, also what was found as it was loaded.

        Nothing is loaded, fetched or converted; may be called while something runs. Raises `MaterialError`.
        """
        from core.lm.loading.model_facts import facts_of

        facts = facts_of(case.model, adapter=case.adapter, device=case.device, dtype=case.dtype, fetch=False)
        model = self._held(case)
        return (facts, False) if model is None else (_with_loaded(facts, model), True)

    def examine(self, case: CaseSpec, progress: Progress) -> tuple[ModelFacts, bool]:
        """The same with the model loaded, which the next run then finds in memory; or why it is refused.

        Raises `MaterialError`, and `Cancelled` where `progress` does.
        """
        from core.lm.loading.model_facts import facts_of

        progress("reading the files", 0.0)
        use_all_cores()
        with reporting(progress):
            facts = facts_of(case.model, adapter=case.adapter, device=case.device, dtype=case.dtype)
            progress("loading and checking the model", 0.0)
            try:
                return _with_loaded(facts, self._model_for(case)), True
            except ModelError as error:
                return ModelFacts(facts.rows, str(error)), False

    def _held(self, case: CaseSpec) -> LanguageModel | None:
        """The case's model with its adapter, where just that is in memory; nothing is attached for it."""
        model, choice = self._model, self._model_choice
        if model is None or choice != (case.model, model_fingerprint(case.model), case.device, case.dtype):
            return None
        return model.with_adapter(case.adapter) if case.adapter in (None, model.adapter) else None

    def _source_for(self, case: CaseSpec) -> CaseSource:
        from core.prompt.imported.imported_cases import open_cases

        return self._dataset_for(case) if case.cases is None else open_cases(case.cases)

    def _dataset_for(self, case: CaseSpec) -> Dataset:
        from core.data.dataset import open_dataset

        choice = (case.dataset, data_fingerprint(case.dataset))
        if self._dataset is None or self._dataset_choice != choice:
            self._dataset = None
            self._dataset, self._dataset_choice = open_dataset(case.dataset), choice
        return self._dataset

    def _model_for(self, case: CaseSpec) -> LanguageModel:
        from core.lm.loading.load import load

        choice = (case.model, model_fingerprint(case.model), case.device, case.dtype)
        if self._model is None or self._model_choice != choice:
            self._model = None  # Freed before the next one is loaded: two models may not fit.
            _release()
            self._model = load(case.model, adapter=case.adapter, device=case.device, dtype=case.dtype)
            self._model_choice = choice
        adapted = self._model.with_adapter(case.adapter)
        if case.adapter is not None:
            self._model = adapted  # Kept while the plain model runs, too: a small thing, and asked for again.
        return adapted


def _with_loaded(facts: ModelFacts, model: LanguageModel) -> ModelFacts:
    """What the files say and what was found as the model was loaded; it is there, so nothing speaks against it."""
    from core.lm.loading.model_facts import loaded_facts

    return ModelFacts((*facts.rows, *loaded_facts(model).rows), None)


class _Pulse:
    """Progress that can be repeated where nothing is new, only to learn whether to stop."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._last = progress, ("preparing", 0.01)

    def __call__(self, label: str, fraction: float) -> None:
        self._last = (label, fraction)
        self._progress(label, fraction)

    def again(self) -> None:
        """Give the last label and fraction once more."""
        self._progress(*self._last)


def _networks(model: LanguageModel) -> tuple[Any, ...]:
    """The networks that work with this model may run: its own, and the one without its adapter; none on a server."""
    if model.server is not None:
        return ()
    return (model.network,) if model.base is None else (model.network, model.base.network)


@contextlib.contextmanager
def _before_every_layer(networks: Sequence[Any], act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before each layer of each pass: one pass over a long prompt may take seconds."""
    from torch.nn import ModuleList

    modules = [module for network in networks for module in network.modules()]
    layers = [layer for module in modules if isinstance(module, ModuleList) for layer in module]
    handles = [layer.register_forward_pre_hook(lambda *_: act()) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def use_all_cores() -> None:
    """Give torch as many threads as this process may use cores, no more: oversubscription is slower than serial.

    A number of threads in OMP_NUM_THREADS stays.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch.get_num_threads() != cores:
        torch.set_num_threads(cores)


def seconds_per_token(model: LanguageModel) -> float:
    """Seconds per token of one forward pass over `WARM_UP_TOKENS` tokens, the second of two."""
    import torch

    from core.lm.forward.forest import Forest, Segment
    from core.lm.forward.forward_pass import run

    forest = Forest(new=(Segment(token_ids=(0,) * WARM_UP_TOKENS, parent=None, start=0),))
    started = 0.0
    for _ in range(2):  # The first pass also pays for allocations and lazy initialisation.
        started = time.monotonic()
        with torch.inference_mode():
            run(model.network, forest, [WARM_UP_TOKENS - 1])[0].sum().item()
    return (time.monotonic() - started) / WARM_UP_TOKENS


def _release() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

"""Scores, bars and noise through a server, held against the same model loaded here."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from bench.own.protocol_server import ProtocolServer
from bench.own.tiny_served import CONTEXT, untouched, write_tiny_model
from bench.results_table import ResultRow, as_row
from core.analysis.explain.explain_run import explain
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.data.cases import eligible_users
from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel, load
from core.lm.server.address import ALIAS, SERVER, SERVER_TOKENIZER
from core.metrics.similarity import spearman
from core.prompt.families import FAMILIES, Family
from core.question.case_spec import CaseSpec

DEMOS, CANDIDATES, BUDGET = 4, 6, 6.0
NOISES = (0.01, 0.3)
"""Standard deviations in nats of what the server adds to every log-probability."""


@dataclass
class _Compared:
    """What explanations by a server differ in from local ones."""

    differences: list[float] = field(default_factory=list)
    """Largest difference of a score, by case."""
    correlations: list[float] = field(default_factory=list)
    """Rank correlation of the bars, by case."""
    called: list[bool] = field(default_factory=list)
    """Of every measured effect up to the floor: whether it is called noise."""
    untrue: list[bool] = field(default_factory=list)
    """Of every effect that is not called noise: whether it differs from the local one by more than its interval."""
    seconds: list[float] = field(default_factory=list)


def server_rows(cases: int, seed: int) -> Iterator[list[ResultRow]]:
    """The rows so far, after each case: a tiny model in single precision, here and behind HTTP on this machine."""
    compared, dataset = _Compared(), open_dataset("sample")
    with tempfile.TemporaryDirectory() as name:
        write_tiny_model(Path(name))
        with _named(Path(name)) as server:
            models = load(name, device="cpu", dtype="float32"), load(ALIAS)
            users = eligible_users(dataset)[seed : seed + cases]
            for user, family in product(users, FAMILIES):
                _compare(compared, _task(user, family), dataset, models, server)
                yield _rows(compared)
    dataset.close()


@contextmanager
def _named(folder: Path) -> Iterator[ProtocolServer]:
    """A server over the model of a folder, as the owner's."""
    network, tokenizer = untouched(folder)
    with ProtocolServer(network, tokenizer, context=CONTEXT) as server:
        names = {SERVER: server.address, SERVER_TOKENIZER: str(folder)}
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            yield server
        finally:
            _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _task(user: str, family: Family) -> Explain:
    case = CaseSpec(user=user, family=family, demos=DEMOS, strategy="recent", candidates=CANDIDATES, history=1)
    return Explain(case=case, method="ablations", budget=BUDGET, removals=0, flips=0)


def _compare(
    compared: _Compared,
    task: Explain,
    dataset: Dataset,
    models: tuple[LanguageModel, LanguageModel],
    server: ProtocolServer,
) -> None:
    """One case here, by the server, and by the server with noise of every size."""
    server.noise = 0.0
    local = _explained(task, dataset, models[0])
    start = time.monotonic()
    served = _explained(task, dataset, models[1])
    compared.seconds.append(time.monotonic() - start)
    compared.differences.append(_apart(served, local))
    compared.correlations.append(spearman(_bars(served), _bars(local)))
    for noise in NOISES:
        server.noise = noise
        _compare_noisy(compared, _explained(task, dataset, models[1]), _bars(local))


def _compare_noisy(compared: _Compared, noisy: Explanation, bars: np.ndarray) -> None:
    answer, floor = noisy.contributions, noisy.noise
    assert answer is not None
    assert answer.within_noise is not None
    assert answer.low is not None
    assert answer.high is not None
    assert floor is not None
    rows = zip(answer.values, answer.low, answer.high, answer.within_noise, bars, strict=True)
    for value, low, high, called, true in rows:
        if abs(value) <= floor.floor:
            compared.called.append(called)
        elif not called:
            compared.untrue.append(not low <= true <= high)


def _explained(task: Explain, dataset: Dataset, model: LanguageModel) -> Explanation:
    return list(explain(task, dataset=dataset, model=model))[-1]


def _apart(served: Explanation, local: Explanation) -> float:
    """Largest difference of a score over the prompts that both measured; noise may lead to other ablations."""
    ours, theirs = _scores(local), _scores(served)
    return max(float(np.abs(ours[prompt] - theirs[prompt]).max()) for prompt in ours.keys() & theirs.keys())


def _scores(report: Explanation) -> dict[tuple[int, ...], np.ndarray]:
    """Scores [candidate] with and without demonstrations and of every ablated prompt, by what it leaves out."""
    assert report.list_effects is not None
    return {row.left_out: np.array(row.scores) for row in report.list_effects.measured}


def _bars(report: Explanation) -> np.ndarray:
    assert report.contributions is not None
    return np.array(report.contributions.values)


def _rows(compared: _Compared) -> list[ResultRow]:
    cases = len(compared.differences)
    where = f"tiny model over HTTP, {cases} cases"
    return [
        as_row(f"server: largest difference of a score, nats ({where})", [max(compared.differences)], "<= 1e-4"),
        as_row(f"server: lowest rank correlation of bars ({where})", [min(compared.correlations)], ">= 0.99"),
        as_row(
            f"server with noise: share of {len(compared.called)} effects under the floor that are called noise",
            [_share(compared.called)],
            ">= 1",
        ),
        as_row(
            f"server with noise: share of {len(compared.untrue)} other effects whose interval misses the local one",
            [_share(compared.untrue)],
        ),
        as_row("server: seconds of one explanation, median", [float(np.median(compared.seconds))]),
    ]


def _share(marks: Sequence[bool]) -> float:
    return float(np.mean(marks)) if marks else float("nan")

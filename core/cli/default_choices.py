"""What a kept choice of demonstrations fills into a command that names data, a model or an adapter."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from core.cli.progress import progress
from core.errors import DemoLensError
from core.question.case_spec import CaseSpec
from core.question.command_line import CHOSEN_BY_DATA, MATERIAL, task_of
from core.question.kinds import Kind
from core.work.log import escaped


def filled(kind: Kind, choices: Mapping[str, object]) -> Mapping[str, object]:
    """The choices of a command, with those of the kept choice that they leave out; explicit ones always win.

    One sentence on stderr says which default holds. Data that cannot be opened fill nothing: the run says why. Nor are
    the usual choices of a kind touched that has its own, nor a case from a file.
    """
    usual: CaseSpec = kind.task.model_fields["case"].default
    if usual != CaseSpec() or "cases" in choices or not any(name in choices for name in MATERIAL):
        return choices
    if all(name in choices for name in CHOSEN_BY_DATA):
        return choices
    try:
        return _filled(kind, choices)
    except DemoLensError:
        return choices


def _filled(kind: Kind, choices: Mapping[str, object]) -> Mapping[str, object]:
    from core.comparison.default_choices import sentence_of, stated_prior, without_explicit
    from core.comparison.kept_choice import kept_choice
    from core.data.dataset import open_dataset

    case = task_of(kind.task, choices, kind.name).case
    with progress() as report:
        report("opening the data", 0.0)
        dataset = open_dataset(case.dataset)
        choice = kept_choice(dataset.dataset_id, case.model, case.adapter)
        dataset.close()
    stated = stated_prior(case.adapter)
    full = {**without_explicit(choice, choices, stated), **choices}
    task_of(kind.task, full, kind.name)
    sys.stderr.write(f"demolens: {escaped(sentence_of(choice, case, stated))}\n")
    return full

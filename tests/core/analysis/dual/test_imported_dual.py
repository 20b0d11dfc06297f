"""The dual model of a finished prompt: as exact as that of a built one, and not of a server."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from logged_cases import case_file, chat_case, text_case

from core.analysis.dual.dual_run import dual
from core.analysis.dual.dual_task import DualTask
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import open_cases
from core.question.command_line import task_of
from core.question.kinds import KINDS
from core.work.engine import ModelEngine


@pytest.mark.parametrize("imported", [text_case(), chat_case()])
def test_the_identity_holds_in_every_head(tmp_path: Path, local_model: LanguageModel, imported: PromptCase) -> None:
    path = str(case_file(tmp_path, imported))
    task = task_of(DualTask, {"cases": path, "case": imported.case_id})
    *_, report = dual(task, dataset=open_cases(path), model=local_model)
    assert report.stage == "complete"
    assert [part.label for part in report.parts] == ["W0", "D1", "D2", "D3"]
    assert max(chain.from_iterable(report.residual)) < 1e-5
    assert sum(part.mass for part in report.parts) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["dual", "updates"])
def test_a_server_is_refused_in_one_sentence(serve: Any, tmp_path: Path, kind: str) -> None:
    serve()
    path = str(case_file(tmp_path, text_case()))
    task = task_of(KINDS[kind].task, {"cases": path, "case": "text", "model": "server"})
    with pytest.raises(RequestError, match=r"server") as refused:
        list(ModelEngine().run(task, lambda _label, _share: None))
    assert "\n" not in str(refused.value)

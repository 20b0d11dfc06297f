"""A search for a better set by a server's scores, held against the same model loaded here."""

from __future__ import annotations

from typing import Any

import pytest
from questions import labelled_case

from core.lm.loading.load import LanguageModel, load
from core.selection.improve import improve
from core.selection.improve_task import ImproveTask

CHOICES: dict[str, Any] = {"k": 2, "pool": 6, "shortlist": 3, "held_out": 2, "confirm": 0, "negatives": 2}


def test_the_search_finds_the_set_that_it_finds_here(serve: Any, films: Any, local_model: LanguageModel) -> None:
    serve()
    case = labelled_case(user="u", demos=2, candidates=4, history=1)
    here, there = (
        list(improve(ImproveTask(case=case, budget=10.0, encode=encode, **CHOICES), dataset=films, model=model))[-1]
        for model, encode in ((local_model, False), (load("server"), True))
    )
    assert there.stage == "complete"
    assert there.best is not None
    assert here.best is not None
    assert there.best.demo_ids == here.best.demo_ids
    assert [row.rank for row in there.outcomes] == [row.rank for row in here.outcomes]
    assert there.passes == pytest.approx(here.passes)

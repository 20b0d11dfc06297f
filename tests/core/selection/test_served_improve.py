"""A search for a better set by a server's scores, held against the same model loaded here."""

from __future__ import annotations

from typing import Any

import pytest
from questions import labelled_case

from core.lm.loading.load import LanguageModel, load
from core.selection.improve import improve
from core.selection.improve_task import ImproveTask
from core.selection.verdict import noise_sentence, verdicts

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
    assert there.search_passes == pytest.approx(here.search_passes)
    assert here.noise is None
    assert there.noise is not None
    assert there.noise.floor == 0
    assert "The server gave the same scores in 5 repeats: no noise was seen." in verdicts(there)


def test_a_gap_below_the_noise_is_said(serve: Any, films: Any) -> None:
    server = serve()
    served = load("server")
    server.noise = 5.0
    task = ImproveTask(case=labelled_case(user="u", demos=2, candidates=4, history=1), budget=10.0, **CHOICES)
    done = list(improve(task, dataset=films, model=served))[-1]
    assert done.noise is not None
    assert done.noise.floor >= 3 * done.noise.deviation > 0
    assert done.best is not None
    assert done.zero_shot is not None
    small = done.best.objective - done.zero_shot.objective <= done.noise.floor
    said = "the set is above no demonstrations by no more than that" in noise_sentence(done)
    assert said == (small and bool(done.best.demo_ids))

"""The steps of one case on a tiny network: what they hold, not how long they take."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from references import hand_written, language_model, random_prompt

from bench.case_list import PromptSubject
from bench.product import contextcite
from bench.product.method_faithfulness import by_family_text, figures_of, rows_of
from bench.product.method_records import record_of
from bench.product.speed import time_competitors
from core.analysis.values import all_masks


@pytest.fixture(scope="module")
def bench(tiny_llama):
    model = language_model(copy.deepcopy(tiny_llama))
    return SimpleNamespace(model=model, untouched=copy.deepcopy(tiny_llama))


@pytest.fixture(scope="module")
def subjects():
    return [
        PromptSubject(str(seed), family, "recent", random_prompt(family, demos=6, seed=seed), 1)
        for seed, family in enumerate(("yes_no", "next_item"))
    ]


def test_a_whole_case_from_model_to_rows(bench, subjects, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truths = [subject.score(bench.model).at(all_masks(6)) for subject in subjects]
    expected = hand_written(bench.untouched, subjects[1].prompt, all_masks(6)[21], 1)
    assert truths[1][21] == pytest.approx(expected, abs=1e-4)
    records = [
        record_of(bench, subject, truth, ("race", "others")) for subject, truth in zip(subjects, truths, strict=True)
    ]
    race = records[0]["race"]
    assert [one["ablations"] for one in race["default"]] == sorted({one["ablations"] for one in race["default"]})
    assert set(race["cite_seconds"]) == set(map(str, contextcite.COUNTS))
    summaries = [figures_of(one) for one in records]
    rows = {one.measure: one for one in rows_of(summaries)}
    assert all(one.value is None or np.isfinite(one.value) for one in rows.values())
    assert "Captum Shapley sampling" in by_family_text(summaries)


def test_every_competitor_of_the_speed_part_runs(bench, subjects):
    for subject in subjects:
        found = time_competitors(bench, subject)
        assert {"packed", "plain packed", "gradient", "loo", "naive loo", "copied cache"} <= set(found)
        assert min(found.values()) > 0

"""Gains beside the bars: the same quantity has the same value, and another one is said to be another."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts import demonstration_quality as charts
from app.list_reading import effects_on, target_of
from app.pages.explore import quality_section
from app.pages.explore.quality_section import same_effects
from core.analysis.explain.explain_task import Explain
from core.analysis.quality.quality_task import QualityReport, QualityRow, QualityTask
from core.question.case_spec import CaseSpec


@pytest.fixture
def explanation(example: Any) -> Any:
    return example.explanation()


def report(explanation: Any, **update: Any) -> QualityReport:
    rows = tuple(QualityRow(label=row.label, tokens=9, gain=0.5) for row in explanation.demos)
    target = target_of(explanation, "field", explanation.candidates[0].item_id)
    fields = {"task": QualityTask(), "demos": explanation.demos, "rows": rows, "tokens": 9, "scored": target}
    return QualityReport(**{**fields, "provenance": explanation.provenance, **update})


def test_the_gain_of_the_target_is_the_effect_of_the_bars(explanation: Any) -> None:
    quality = report(explanation)
    effects = same_effects(explanation, quality)
    assert effects is not None
    assert quality.scored is not None
    bars = effects_on(explanation, quality.scored)
    assert bars is not None
    table = charts.scores(quality, effects)
    assert list(table["gain"]) == bars.value.tolist()
    assert list(table["gain_low"]) == bars.low.tolist()
    assert list(table["gain_high"]) == bars.high.tolist()


@pytest.mark.parametrize("update", [{"proxy": True}, {"scored": None}, {"demos": ()}])
def test_another_quantity_keeps_its_own_value(explanation: Any, update: dict[str, Any]) -> None:
    quality = report(explanation, **update)
    assert same_effects(explanation, quality) is None


def test_an_item_that_is_no_candidate_has_no_bars(explanation: Any) -> None:
    target = target_of(explanation, "field", "no such item")
    assert same_effects(explanation, report(explanation, scored=target)) is None


def test_without_effects_of_a_list_gains_are_those_of_the_report(explanation: Any) -> None:
    bare = explanation.model_copy(update={"list_effects": None})
    assert same_effects(bare, report(bare)) is None
    assert set(charts.scores(report(bare))["gain"]) == {0.5}


def test_a_finished_prompt_is_offered_no_check_over_users(explanation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = explanation.model_copy(update={"task": Explain(case=CaseSpec(cases="calls.jsonl", case="1"))})
    monkeypatch.setattr(quality_section, "section", lambda *_texts: pytest.fail("a check was offered"))
    quality_section._worth(imported)

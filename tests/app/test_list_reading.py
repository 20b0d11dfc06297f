"""Bars, sentence, table and map say the same of one demonstration and one candidate, whatever is read."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from app import sentences
from app.charts import heatmap, waterfall
from app.list_reading import about, place_without, target_of
from app.pages.explore import demos
from app.pages.explore.demo_rows import rows_of
from app.pages.explore.drawn_rows import drawn_rows
from app.pages.explore.selection import words
from app.theme import LIGHT, ordinal, signed
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.targets import EXPLAINED


@given(
    user=some.integers(1, 10**6),
    demo=some.integers(0, 3),
    candidate=some.integers(0, 5),
    explain=some.sampled_from(["field", "score"]),
)
def test_every_view_of_a_pair_has_the_same_effect_and_place(example, user, demo, candidate, explain):
    record = example.explanation(Explain(case=CaseSpec(user=str(user), demos=4, candidates=6)))
    item = record.candidates[candidate]
    shown = about(record, target_of(record, explain, item.item_id))
    value = shown.contributions.values[demo]
    bars = next(t for t in waterfall.figure(shown, LIGHT).data if t.name == "contribution")
    row = list(bars.customdata).index(demo)
    grid = heatmap.figure(record, LIGHT, limit=6, explain=explain).data[0]
    line = heatmap.drawn(record, 6).index(candidate)
    table = demos.table(shown).iloc[demo]
    assert bars.x[row] == pytest.approx(value, abs=1e-12)
    assert grid.z[line][demo] == pytest.approx(value, abs=1e-12)
    assert table["contribution"] == pytest.approx(value, abs=1e-12)
    assert table["place_without"] == place_without(record, demo, candidate).value
    drawn = drawn_rows(shown, rows_of(shown.demos, None, {}, labelled=False), None, {})[demo]
    assert drawn["effect"] == signed(value)
    assert drawn["without"] == ordinal(place_without(record, demo, candidate).nearest)
    text = words(record, shown, demo, item.item_id)
    verbs = set(re.findall(r"raises|lowers", text))
    assert verbs == (set() if value == 0 else {"raises" if value > 0 else "lowers"})
    assert sentences.place_words(place_without(record, demo, candidate), item.rank) in text


@given(user=some.integers(1, 10**6), explain=some.sampled_from(["field", "score", "lift", "pair"]))
def test_what_is_read_adds_up_and_is_what_a_run_about_it_says(example, user, explain):
    case = CaseSpec(user=str(user), demos=4, candidates=6)
    record = example.explanation(Explain(case=case))
    read = about(record, target_of(record, explain, "101", "103")).contributions
    assert read.zero_shot + sum(read.values) + read.residual == pytest.approx(read.few_shot, abs=1e-9)
    run = example.explanation(Explain(case=case, explain=explain, target="101", against="103")).contributions
    np.testing.assert_allclose(read.values, run.values, atol=1e-12)
    np.testing.assert_allclose([read.low, read.high], [run.low, run.high], atol=1e-12)
    assert read.target == run.target
    assert read.lds is None


def test_the_parts_of_an_own_score_are_the_field_and_the_lift(complete):
    item = complete.candidates[3].item_id
    score, field, lift = (
        np.array(about(complete, target_of(complete, name, item)).contributions.values)
        for name in ("score", "field", "lift")
    )
    np.testing.assert_allclose(score, field + lift, atol=1e-12)
    assert set(EXPLAINED) == {"field", "score", "lift", "pair"}

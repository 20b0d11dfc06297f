import numpy as np
import pytest

from bench.product import contextcite
from bench.product.method_faithfulness import (
    CITE,
    DEFAULT,
    EARLY_DEFAULT,
    FIRST,
    LATER_DEFAULT,
    by_family_text,
    figures_of,
    lds,
    rows_of,
)
from core.analysis.values import all_masks

EFFECTS = np.array([3.0, -2.0, 0.5, 1.0])
TRUTH = all_masks(4) @ EFFECTS


def given(ablations, seconds, values, width):
    values = np.asarray(values, dtype=float)
    return {
        "ablations": ablations,
        "seconds": seconds,
        "passes": seconds,
        "values": values.tolist(),
        "low": (values - width).tolist(),
        "high": (values + width).tolist(),
    }


def record(family):
    first, last = given(0, 3.0, -EFFECTS, 0.1), given(8, 10.0, EFFECTS, 0.1)
    return {
        "family": family,
        "tokens": 600,
        "truth": {"scores": TRUTH.tolist()},
        "race": {
            "default": [first, last],
            "curve": [first, last],
            "cite_seconds": {str(n): 0.5 * n for n in contextcite.COUNTS},
            "cite_passes": 40.0,
        },
        "others": {"attention mass": {"values": [1.0] * 4, "seconds": 1.0, "passes": 1.0}},
    }


def test_lds_of_the_truth_its_opposite_and_nothing():
    assert lds(EFFECTS, TRUTH) == pytest.approx(1.0)
    assert lds(-EFFECTS, TRUTH) == pytest.approx(-1.0)
    assert lds(np.zeros(4), TRUTH) == 0.0


def test_a_case_in_figures():
    one = figures_of(record("yes_no"))
    for name in (DEFAULT, EARLY_DEFAULT, LATER_DEFAULT, "leave-one-out", "exact Shapley"):
        assert one.lds[name] == pytest.approx(1.0)
    assert one.lds[FIRST] == pytest.approx(-1.0)
    assert one.share_of_time[DEFAULT] == pytest.approx(10 / 32)
    assert one.share_of_passes[FIRST] == pytest.approx(3 / 40)
    assert one.covered == {0: 0.0, 8: 1.0}
    assert one.covered_at_default == 1.0
    assert one.ours[8] == (pytest.approx(10 / 32), pytest.approx(1.0))


def test_rows_hold_every_method_and_every_promise():
    summaries = [figures_of(record(family)) for family in ("yes_no", "next_item")]
    rows = {one.measure: one for one in rows_of(summaries)}
    assert rows[f"LDS, {DEFAULT}, next_item"].value == pytest.approx(1.0)
    assert rows[f"LDS, {CITE}"].value > 0.9
    assert sum(one.target is not None for one in rows.values()) == 9
    assert rows[f"LDS, {EARLY_DEFAULT}"].target == ">= 0.83"
    text = by_family_text(summaries)
    assert len({line.index("[") for line in text.splitlines()[1:]}) >= 1
    assert DEFAULT in text


def test_one_family_alone_leaves_the_other_empty():
    rows = {one.measure: one for one in rows_of([figures_of(record("yes_no"))])}
    assert rows[f"LDS, {DEFAULT}, next_item"].value is None

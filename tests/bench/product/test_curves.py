import numpy as np
import pytest

from bench.product.curves import curve_rows, curves_json, differences, pool_curves

OURS = [{0: (0.1, 0.5), 4: (0.2, 0.7), 8: (0.3, 0.8)}, {0: (0.12, 0.4), 4: (0.22, 0.6), 7: (0.3, 0.9)}]
CITE = [{4: (0.06, 0.1), 8: (0.12, 0.3), 16: (0.25, 0.5), 64: (1.0, 0.9)}] * 2


def test_pooled_keeps_the_answers_that_every_case_has():
    one = pool_curves(OURS)
    assert one.ablations == (0, 4)
    assert one.times == pytest.approx([0.11, 0.21])
    assert one.lds.tolist() == [[0.5, 0.7], [0.4, 0.6]]


def test_ours_is_what_stands_on_the_screen():
    one = pool_curves(OURS)
    assert np.isnan(one.on_screen(0.1)).all()
    assert one.on_screen(0.11).tolist() == [0.5, 0.4]
    assert one.on_screen(0.2).tolist() == [0.5, 0.4]
    assert one.on_screen(0.5).tolist() == [0.7, 0.6]


def test_theirs_is_joined_by_straight_lines():
    one = pool_curves(CITE)
    assert np.isnan(one.joined(0.05)).all()
    assert one.joined(0.09) == pytest.approx([0.2, 0.2])
    assert one.joined(2.0) == pytest.approx([0.9, 0.9])


def test_differences_run_from_our_first_to_our_last_answer():
    found = differences(list(zip(OURS, CITE, strict=True)))
    assert found[0][0] == pytest.approx(0.11)
    assert found[-1][0] == pytest.approx(0.21)
    expected = (0.5 + 0.4) / 2 - np.interp(0.11, [0.06, 0.12], [0.1, 0.3])
    assert found[0][1] == pytest.approx(expected)


def test_rows_say_whether_we_are_behind():
    least, early, eight, before = curve_rows(list(zip(OURS, CITE, strict=True)))
    assert least.met is True
    assert early.value == pytest.approx(0.45 - 0.3, abs=0.02)
    assert eight.value == pytest.approx(0.45 - 0.3)
    assert before.value == pytest.approx(0.1)
    assert "after 4 ablations" in before.measure
    swapped = [
        (one, {n: (time, 0.95) for n, (time, _) in other.items()}) for one, other in zip(OURS, CITE, strict=True)
    ]
    assert curve_rows(swapped)[0].met is False


def test_curves_as_json():
    found = curves_json({"both": list(zip(OURS, CITE, strict=True))})
    assert found["both"]["cases"] == 2
    assert [point["ablations"] for point in found["both"]["context_cite"]] == [4, 8, 16, 64]

"""Effects of demonstrations that were not run, against conditioning one number at a time and against its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.predicted_effects import (
    ANSWER,
    LEAST,
    MEAN,
    OWN,
    WORDS,
    Likeness,
    predicted_effects,
)


def likeness(first, second) -> Likeness:
    """Of demonstrations given as (answer, words), two with the same words and answer are not the same demonstration."""
    words = [[len(a & b) / len(a | b) for _, b in second] for _, a in first]
    return Likeness(
        np.array(words, float).reshape(len(first), len(second)),
        np.array([[a == b for b, _ in second] for a, _ in first]).reshape(len(first), len(second)),
    )


def estimates(values, halves) -> Estimates:
    values, halves = np.array(values, float), np.array(halves, float)
    return Estimates(values, values - halves, values + halves)


WORD = st.sampled_from(["crime", "war", "heat", "space", "comedy"])
DEMO = st.tuples(st.booleans(), st.sets(WORD, min_size=1).map(frozenset))
EFFECT = st.floats(-3, 3, allow_subnormal=False).map(lambda value: round(value, 6))


@st.composite
def problems(draw):
    demos = draw(st.lists(DEMO, min_size=LEAST, max_size=8))
    new = draw(st.lists(DEMO, min_size=1, max_size=4))
    values = [draw(EFFECT) for _ in demos]
    halves = [draw(st.floats(0.01, 1)) for _ in demos]
    return demos, new, values, halves


def slow(demos, new, values, halves):
    """Mean and interval of one new demonstration after another; measured ones enter one by one (sequential Bayes)."""
    noise = [(half / stats.norm.ppf(0.95)) ** 2 for half in halves]
    mean = sum(values) / len(values)
    seen = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    variance = max(seen - sum(noise) / len(noise), 0.1 * seen)
    everyone = [*demos, *new]

    def covariance(i, j):
        (answer, words), (other, others) = everyone[i], everyone[j]
        alike = len(words & others) / len(words | others)
        return variance * (MEAN + ANSWER * (answer == other) + WORDS * alike + OWN * (i == j))

    def condition(skip=None):
        level = [0.0] * len(everyone)
        spread = [[covariance(i, j) for j in range(len(everyone))] for i in range(len(everyone))]
        for i, value in enumerate(values):
            if i == skip:
                continue
            total = spread[i][i] + noise[i] + 1e-9 * variance + 1e-18
            gain = [spread[j][i] / total for j in range(len(everyone))]
            miss = value - mean - level[i]
            level = [level[j] + gain[j] * miss for j in range(len(everyone))]
            spread = [
                [spread[j][k] - gain[j] * spread[i][k] for k in range(len(everyone))] for j in range(len(everyone))
            ]
        return level, spread

    z, misses = [], []
    for i, value in enumerate(values):
        level, spread = condition(skip=i)
        misses.append(value - mean - level[i])
        z.append(misses[-1] ** 2 / (spread[i][i] + noise[i] + 1e-9 * variance + 1e-18))
    wider = max(1.0, (sum(z) / len(z)) ** 0.5)
    level, spread = condition()
    rows = range(len(demos), len(everyone))
    half = [stats.t.ppf(0.95, len(demos) - 1) * wider * max(spread[i][i], 0) ** 0.5 for i in rows]
    return [mean + level[i] for i in rows], half, sum(map(abs, misses)) / len(misses)


@given(problems())
def test_the_prediction_is_what_conditioning_one_by_one_gives(problem):
    demos, new, values, halves = problem
    prediction = predicted_effects(estimates(values, halves), likeness(demos, demos), likeness(new, demos))
    value, half, error = slow(*problem)
    assert prediction.effects.value == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert prediction.effects.high - prediction.effects.value == pytest.approx(half, rel=1e-4, abs=1e-5)
    assert prediction.error == pytest.approx(error, rel=1e-5, abs=1e-6)


@given(problems(), st.floats(-5, 5), st.sampled_from([-2.0, 0.5, 3.0]), st.randoms(use_true_random=False))
def test_it_moves_with_the_effects_and_knows_no_order(problem, shift, scale, random):
    """Property: shifted, scaled or reordered effects give the shifted, scaled or same prediction."""
    demos, new, values, halves = problem
    plain = predicted_effects(estimates(values, halves), likeness(demos, demos), likeness(new, demos))
    order = random.sample(range(len(demos)), len(demos))
    mixed = [demos[place] for place in order]
    moved = estimates(
        [shift + scale * values[place] for place in order], [abs(scale) * halves[place] for place in order]
    )
    other = predicted_effects(moved, likeness(mixed, mixed), likeness(new, mixed))
    assert other.effects.value == pytest.approx(shift + scale * plain.effects.value, rel=1e-5, abs=1e-5)
    width, wider = (each.effects.high - each.effects.low for each in (plain, other))
    assert wider == pytest.approx(abs(scale) * width, rel=1e-4, abs=1e-5)


def test_answer_and_words_pull_towards_those_that_have_them():
    demos = [(True, frozenset("a")), (True, frozenset("b")), (False, frozenset("c")), (False, frozenset("d"))]
    new = [(True, frozenset("x")), (False, frozenset("x")), (True, frozenset("a")), (True, frozenset("b"))]
    effects = estimates([1.0, 0.6, -1.0, -0.6], [0.1] * 4)
    yes, no, like_first, like_second = predicted_effects(
        effects, likeness(demos, demos), likeness(new, demos)
    ).effects.value
    assert yes > 0 > no
    assert like_first > yes
    assert like_first > like_second
    assert -1 < no < yes < like_first < 1


def test_the_interval_is_never_narrower_than_what_the_effects_themselves_vary_by():
    demos = [(True, frozenset(word)) for word in "abcdefgh"]
    values = [0.5, -0.4, 0.2, 0.9, -0.7, 0.1, 0.3, -0.2]
    effects = predicted_effects(
        estimates(values, [0.05] * 8), likeness(demos, demos), likeness(demos[:1], demos)
    ).effects
    assert effects.high[0] - effects.low[0] > 2 * np.std(values, ddof=1)


def test_too_few_demonstrations_predict_nothing():
    demos = [(True, frozenset("a")), (True, frozenset("b"))]
    assert predicted_effects(estimates([1, 2], [0.1, 0.1]), likeness(demos, demos), likeness(demos, demos)) is None


def test_equal_effects_without_noise_predict_themselves():
    demos = [(True, frozenset(word)) for word in "abc"]
    prediction = predicted_effects(estimates([0.3] * 3, [0] * 3), likeness(demos, demos), likeness(demos, demos))
    assert prediction.effects.value == pytest.approx([0.3] * 3)
    assert np.all(np.isfinite(prediction.effects.low))

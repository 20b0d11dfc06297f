"""Stage two against brute force, on judges whose answers are known."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection.search import Question, Search, rotated, views


class Additive:
    """Each member adds an amount of its own; each place from the end counts a little less; every question costs 1."""

    def __init__(self, gains, noise=None, by_place=0.0, pairs=None, price=1.0):
        self.gains, self.noise = np.asarray(gains, float), noise
        self.by_place, self.pairs, self.price = by_place, pairs, price
        self.asked: list[Question] = []

    def passes(self, asked):
        return self.price * len(asked)

    def scores(self, asked):
        self.asked += asked
        return np.array([self.row(question) for question in asked])

    def row(self, question):
        order = question.order
        value = sum(self.gains[m] * (1 - self.by_place * back) for back, m in enumerate(reversed(order)))
        if self.pairs is not None:
            value += sum(self.pairs[a, b] for p, a in enumerate(order) for b in order[:p])
        spread = 0.0 if self.noise is None else sum(self.noise[m] for m in order)
        return value + np.array([spread, -spread]) - 0.01 * question.changed


def _search(judge, members, k, **choices):
    return Search(judge, members, k, **{"lam": 0.0, "budget": 1e9, "patience": 10_000, **choices})


def _done(search, starts=(), trials=()):
    steps = list(search.steps(starts, trials))
    return steps, search.best


def _objective(judge, order, lam):
    cells = np.concatenate([judge.row(view) for view in views(order)])
    return cells.mean() - lam * cells.std()


def _brute(judge, members, k, lam):
    orders = [order for size in range(k + 1) for order in permutations(range(members), size)]
    return max(_objective(judge, order, lam) for order in orders)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_orders_is_found_where_members_add_up(seed):
    rng = np.random.default_rng(seed)
    judge = Additive(rng.normal(size=6), noise=rng.uniform(0, 0.3, 6))
    search = _search(judge, 6, 3, lam=0.5)
    _, best = _done(search)
    assert best.objective == pytest.approx(_brute(judge, 6, 3, 0.5))
    assert search.stop == "optimum"


@pytest.mark.parametrize("seed", range(8))
def test_exchanges_end_where_no_neighbour_is_better(seed):
    rng = np.random.default_rng(100 + seed)
    judge = Additive(rng.normal(size=6), pairs=rng.normal(size=(6, 6)), by_place=0.1)
    search = _search(judge, 6, 3)
    _, best = _done(search)
    order = best.order
    near = [order[:p] + order[p + 1 :] for p in range(len(order))]
    near += [(*order[:p], m, *order[p + 1 :]) for p in range(len(order)) for m in range(6) if m not in order]
    near += [(*order, m) for m in range(6) if m not in order and len(order) < 3]
    plain = judge.row(Question(order)).mean()
    for other in near:
        assert _objective(judge, other, 0.0) <= best.objective + 1e-9 or judge.row(Question(other)).mean() <= plain


@pytest.mark.parametrize("gains", [(3.0, 2.0, 1.0), (1.0, 3.0, 2.0), (2.0, 1.0, 3.0)])
def test_the_best_order_of_a_set_is_found(gains):
    judge = Additive(gains, by_place=0.2)
    _, best = _done(_search(judge, 3, 3))
    assert best.objective == pytest.approx(_brute(judge, 3, 3, 0.0))
    assert len(best.order) == 3


def test_the_objective_is_the_mean_less_lambda_times_the_spread():
    judge = Additive([1.0, 2.0], noise=[0.5, 0.0])
    search = _search(judge, 2, 2, lam=0.3)
    found = search.judge_aside((0, 1))
    cells = np.concatenate([judge.row(view) for view in views((0, 1))])
    assert found.mean == pytest.approx(cells.mean())
    assert found.spread == pytest.approx(np.sqrt(((cells - cells.mean()) ** 2).mean()))
    assert found.objective == pytest.approx(found.mean - 0.3 * found.spread)


def test_spread_decides_when_lambda_is_large():
    judge = Additive([1.0, 0.9], noise=[2.0, 0.0])
    assert _done(_search(judge, 2, 1, lam=0.0))[1].order == (0,)
    assert _done(_search(judge, 2, 1, lam=1.0))[1].order == (1,)


def test_where_every_demonstration_harms_the_empty_set_is_the_answer():
    _, best = _done(_search(Additive([-1.0, -0.5, -2.0]), 3, 2))
    assert best.order == ()


def test_less_spread_never_buys_a_mean_below_zero_shot():
    class Calming(Additive):
        def row(self, question):
            return np.array([3.0, -3.0]) if not question.order else np.array([-0.5, -0.5])

    search = _search(Calming([0.0]), 1, 1, lam=1.0)
    _, best = _done(search)
    assert search.judged((0,)).objective > search.zero_shot.objective
    assert best.order == ()
    assert "worse" in search.guards


def test_members_closer_than_the_floor_never_stand_together():
    judge = Additive([3.0, 2.9, 1.0])
    distances = np.array([[0, 0.01, 1], [0.01, 0, 1], [1, 1, 0]], float)
    search = _search(judge, 3, 2, distances=distances, floor=0.05)
    _, best = _done(search, [(0, 1)])
    assert set(best.order) == {0, 2}
    assert all(not {0, 1} <= set(question.order) for question in judge.asked)
    assert "close" in search.guards


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 1000),
    st.integers(1, 5),
    st.integers(1, 4),
    st.floats(0.1, 60),
    st.floats(0, 10),
    st.integers(1, 5),
)
def test_the_budget_is_never_exceeded_and_the_best_only_rises(seed, members, k, budget, lam, patience):
    rng = np.random.default_rng(seed)
    judge = Additive(rng.normal(size=members), rng.uniform(0, 1, members), pairs=rng.normal(size=(members, members)))
    judge.price = 0.7
    search = _search(judge, members, k, lam=lam, budget=budget, patience=patience)
    steps, best = _done(search)
    assert judge.price * len(judge.asked) == pytest.approx(search.passes)
    assert search.passes <= budget
    objectives = [step.best.objective for step in steps]
    assert objectives == sorted(objectives)
    assert [step.passes for step in steps] == sorted(step.passes for step in steps)
    assert search.stop is not None
    assert (best is None) == (budget < 2 * judge.price)
    if best is not None:
        assert best.objective >= search.zero_shot.objective
        assert best.mean >= search.zero_shot.mean
        assert best.order == () or len(best.order) <= k
    assert len(set(judge.asked)) == len(judge.asked)


def test_what_is_scored_on_the_plain_prompt_can_be_judged():
    judge = Additive([1.0, 2.0, 3.0, *([0.0] * 20)])
    steps, best = _done(_search(judge, 23, 3, budget=9.0))
    assert [step.move for step in steps] == ["zero-shot", "grow"]
    assert best.order == (2,)


def test_equal_searches_take_equal_paths():
    rng = np.random.default_rng(3)
    gains, pairs = rng.normal(size=8), rng.normal(size=(8, 8))
    one, two = (_done(_search(Additive(gains, pairs=pairs), 8, 4, budget=80))[0] for _ in range(2))
    assert one == two


def test_a_start_is_judged_first_and_kept_where_nothing_is_better():
    judge = Additive([1.0, 2.0, 3.0, 4.0])
    steps, best = _done(_search(judge, 4, 2, budget=5.0), [(2, 3)])
    assert [step.move for step in steps[:2]] == ["zero-shot", "start"]
    assert steps[1].score.order == (2, 3)
    assert best.objective == pytest.approx(7 - 0.01 / 2)


def test_a_start_that_is_too_large_is_not_judged():
    judge = Additive([1.0, 2.0, 3.0])
    _done(_search(judge, 3, 2), [(0, 1, 2)])
    assert all(len(question.order) <= 2 for question in judge.asked)


def test_a_set_outside_the_shortlist_can_be_judged_aside():
    judge = Additive([1.0, 2.0, 9.0])
    search = _search(judge, 2, 1)
    assert search.judge_aside((2,)).mean == pytest.approx(9 - 0.01 / 2)
    _, best = _done(search)
    assert best.order == (1,)
    assert search.judge_aside(()) == search.zero_shot


def test_it_stops_on_a_plateau():
    judge = Additive([1.0, *([0.0] * 30)])
    search = _search(judge, 31, 2, patience=2)
    _done(search)
    assert search.stop == "plateau"
    assert search.passes < 31 + 31 * 30


def test_the_work_can_be_left_at_any_step_with_the_best_so_far():
    judge = Additive([1.0, 2.0, 3.0])
    search = _search(judge, 3, 2)
    steps = search.steps()
    next(steps)
    assert search.best.order == ()
    next(steps)
    assert search.best.order == (2,)


def test_members_of_little_gain_are_not_asked_again_where_gains_add_up():
    judge = Additive(np.arange(20, 0, -1.0))
    _done(_search(judge, 20, 3, budget=20 + 2 + 40))
    second = {question.order for question in judge.asked if len(question.order) == 2 and question.order[0] == 0}
    assert (0, 1) in second
    assert (0, 19) not in second


def test_of_the_trials_only_the_best_are_judged_in_full():
    judge = Additive([1.0, 2.0, 3.0, 4.0])
    steps, _ = _done(_search(judge, 4, 1), trials=[(0,), (1,), (3,), (2,)])
    assert (steps[1].move, steps[1].tried, steps[1].score.order) == ("start", 4, (3,))
    changed = [question.order for question in judge.asked[: judge.asked.index(Question((2,), changed=True)) + 1]]
    assert Question((0,), changed=True) not in judge.asked
    assert changed.count((2,)) == 2


def test_growth_begins_with_the_best_set_so_far():
    judge = Additive([1.0, 2.0, 3.0, 4.0])
    steps, best = _done(_search(judge, 4, 3), starts=[(2, 3)])
    assert [(step.move, step.score.order) for step in steps[:3]] == [
        ("zero-shot", ()),
        ("start", (2, 3)),
        ("grow", (2, 3, 1)),
    ]
    assert set(best.order) == {1, 2, 3}


def test_what_a_set_loses_least_is_exchanged_first():
    """Without its members one by one the set tells which of them is worth least: that one makes room."""
    judge = Additive([5.0, 0.5, 4.0, 1.0])
    search = _search(judge, 4, 3)
    steps, best = _done(search, starts=[(0, 1, 2)])
    exchanged = next(step for step in steps if step.move == "exchange")
    assert exchanged.score.order == (0, 3, 2)
    assert set(best.order) == {0, 2, 3}


def test_the_second_half_stands_before_the_first_where_a_set_is_rotated():
    assert rotated((1, 2, 3, 4, 5)) == (3, 4, 5, 1, 2)
    assert rotated(()) == ()

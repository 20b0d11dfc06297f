"""Games of several data sets side by side: each has rows of its own, after every game."""

from types import SimpleNamespace

import numpy as np
from games import additive_game

from bench.product import faithfulness_of_folders as part
from bench.product.whole_games import KINDS


def test_rows_of_every_data_set_follow_one_another(monkeypatch):
    game = additive_game(np.random.default_rng(0).normal(size=(8, 5)), kind=KINDS[1])
    monkeypatch.setattr(part, "game_subjects", lambda *_: iter([SimpleNamespace(kind=KINDS[1])]))
    monkeypatch.setattr(part, "whole_game", lambda _: game)
    benches = [SimpleNamespace(dataset=SimpleNamespace(name=name), users=lambda: iter(())) for name in ("one", "two")]
    first, second = part.faithfulness_of_folders(benches, 1)
    assert all(row.measure.startswith("one, 1 whole games") for row in first)
    assert second[: len(first)] == first
    assert len(second) == 2 * len(first)
    assert all(row.measure.startswith("two, 1 whole games") for row in second[len(first) :])

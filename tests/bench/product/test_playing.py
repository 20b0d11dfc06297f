"""The forecast by hand, and that games are played once."""

from types import SimpleNamespace

import pytest

from bench.product import playing
from bench.product.playing import forecast_text, play


@pytest.fixture
def subjects(monkeypatch):
    played = []
    span = SimpleNamespace(token_ids=(0,) * 50)
    prompt = SimpleNamespace(prefix=(span,), candidates=(span,))
    kind = SimpleNamespace(name="kind")
    subjects = [
        SimpleNamespace(number=n, kind=kind, game_tokens=60_000, setting=SimpleNamespace(prompt=prompt))
        for n in range(3)
    ]
    monkeypatch.setattr(playing, "is_played", lambda subject: subject.number in played)
    monkeypatch.setattr(playing, "whole_game", lambda subject: played.append(subject.number))
    monkeypatch.setattr(playing, "tokens_per_second", lambda *_: 500.0)
    return subjects, played


def test_the_forecast_counts_games_that_are_not_played(subjects):
    some, played = subjects
    played.append(0)
    text = forecast_text(None, some, 1)
    assert "2 whole games 4 (processes: 1)" in text  # 2 games of 60,000 tokens at 500 a second.
    assert "methods and times 1, rivals' packages 4" in text  # 3 prompts: 110 passes of 100 tokens, and 90 seconds.
    assert text.startswith("faithfulness: about 10 min for 3 cases at 500 tokens/s")


def test_all_games_are_played_by_one_process(subjects):
    some, played = subjects
    play(SimpleNamespace(seed=0), some, 1)
    assert played == [0, 1, 2]

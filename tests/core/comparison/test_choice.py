"""The race, its winner, and the choice that is kept with a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.cli import command
from core.comparison import kept_choice as keeping
from core.comparison.arm import Arm
from core.comparison.arm_row import ArmRow, winner
from core.comparison.choose import FINALISTS, Race
from core.comparison.kept_choice import Choice, choice_of, kept_choice, write_choice
from core.comparison.list_outcomes import ListOutcome
from core.data.records import Case
from core.tuning.evaluation.record import MetricEstimate

NUMBERS = (1, 2, 4, 8, 16, 32)
WORTH = {"neighbours": 0.5, "similar": 0.4, "random": 0.3, "recent": 0.2, "diverse": 0.1}


def row_of(ndcg: float, gain: tuple[float, float, float] = (0.1, 0.05, 0.2), lists: int = 10, **arm: Any) -> ArmRow:
    value = MetricEstimate(value=ndcg, low=ndcg - 0.1, high=ndcg + 0.1)
    return ArmRow.model_validate(
        {"family": "next_item", "strategy": "neighbours", "demos": 4, "scoring": "sum"}
        | {"lists": lists, "ndcg": value, "gain": MetricEstimate(value=gain[0], low=gain[1], high=gain[2])}
        | {"shows_target": 0.2, "gain_where_shown": value, "gain_where_not": value, "moved": value}
        | {"demonstrations": 4, "tokens": 100}
        | arm
    )


def test_the_fewest_tokens_within_one_standard_error_of_the_best_win() -> None:
    # intervals of +- 0.1 at 95 %: a standard error of 0.051
    rows = [
        row_of(0.3, demos=0, tokens=50),
        row_of(0.5),
        row_of(0.6, demos=8, tokens=300),
        row_of(0.9, lists=5, demos=16),
    ]
    assert winner(rows).demos == 8
    assert winner([*rows, row_of(0.56, demos=2, tokens=80), row_of(0.57, demos=3, tokens=80)]).demos == 3
    assert winner([*rows, row_of(0.54, demos=2, tokens=80)]).demos == 8
    assert winner([*rows, row_of(0.56, demos=0, tokens=20)]).demos == 0


def test_demonstrations_without_a_sure_gain_lose_to_none() -> None:
    rows = [row_of(0.3, demos=0), row_of(0.5, gain=(0.1, -0.01, 0.2)), row_of(0.4, demos=0, family="yes_no")]
    assert (winner(rows).demos, winner(rows).family) == (0, "yes_no")


@dataclass
class PlannedOutcomes:
    """Outcomes whose worth is known: the strategy's, and a little less for every number but 16."""

    by_arm: dict[Arm, dict[Case, ListOutcome]]

    def measure(self, arms: list[Arm], lists: tuple[Case, ...]) -> None:
        for arm in arms:
            for case in lists:
                worth = WORTH[arm.strategy] - 0.01 * abs(arm.demos - 16) if arm.demos else 0.05
                worth -= 0.01 * (arm.order == "nearest_first") + 0.01 * (arm.each > 1)
                scores = dict.fromkeys(arm.scorings, worth)
                self.by_arm.setdefault(arm, {})[case] = ListOutcome(scores, scores, False, arm.demos, 10, {})

    def column(self, arm: Arm, lists: tuple[Case, ...], value: Any) -> Any:
        import numpy as np

        return np.array([value(self.by_arm[arm][case]) for case in lists])

    def shows_target(self, arm: Arm, lists: tuple[Case, ...]) -> Any:
        return self.column(arm, lists, lambda row: row.shows_target).astype(bool)


def test_the_race_halves_its_field_and_finds_the_planned_winner() -> None:
    lists = tuple(Case("d", str(number), "time", (), ("1", "2"), "1", 1.0, 0) for number in range(8))
    outcomes = PlannedOutcomes({})
    race = Race(outcomes, lists, 0)  # type: ignore[arg-type]
    race.run(["next_item"], list(WORTH), NUMBERS)  # type: ignore[arg-type]
    measured = {arm: len(cases) for arm, cases in outcomes.by_arm.items()}
    assert measured[Arm(family="next_item", strategy="diverse", demos=8)] == 2  # a quarter of the lists
    assert measured[Arm(family="next_item", strategy="neighbours", demos=16)] == 8
    whole = {arm.strategy for arm, lived in measured.items() if lived == len(lists) and arm.demos}
    assert len(whole) == FINALISTS
    assert {arm.demos for arm in measured if arm.strategy == "similar"} == set(NUMBERS)
    best = winner(race.rows())
    assert (best.strategy, best.demos, best.order, best.each) == ("neighbours", 16, "nearest_last", 1)


def choice(rows: list[ArmRow], **changes: Any) -> Choice:
    facts = {"dataset_id": "d" * 16, "dataset_name": "things", "model": "sample", "model_id": "m", "history": 5}
    facts |= {"candidates": 20, "command": "demolens choose", "created": "2026-01-01T00:00:00+00:00"}
    return choice_of(rows, **(facts | changes))


def test_a_choice_is_kept_for_each_model_and_adapter(comparison_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = choice([row_of(0.3, demos=0), row_of(0.5)])
    tuned = choice([row_of(0.3, demos=0, adapter="recicl"), row_of(0.2, adapter="recicl")])
    keeping.keep_choice(base)
    keeping.keep_choice(tuned)
    assert kept_choice("d" * 16, "sample", None) == base
    assert kept_choice("d" * 16, "sample", "recicl") == tuned
    assert kept_choice("d" * 16, "other", None) is None
    assert kept_choice("e" * 16, "sample", None) is None
    assert "4 demonstrations (users who liked the same items), next_item: NDCG@10 0.500" in base.sentence
    assert "none are worth their tokens" in tuned.sentence


def test_the_best_set_that_did_not_help_is_of_those_measured_on_all_lists() -> None:
    rows = [row_of(0.3, demos=0), row_of(0.2), row_of(0.9, gain=(0.7, 0.6, 0.8), lists=3, demos=2)]
    assert "the best set tried gains 0.100 (0.050 to 0.200)" in choice(rows).sentence


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"sample, none": {"family": "odd"}}', b'{"sample, none": 1}'])
def test_a_damaged_file_holds_no_choice(comparison_home: Path, content: bytes) -> None:
    write_choice(choice([row_of(0.5)], dataset_id="f" * 16), keeping.room("choices"))
    (comparison_home / "choices" / f"{'f' * 16}.json").write_bytes(content)
    assert kept_choice("f" * 16, "sample", None) is None


def test_choose_keeps_what_wins(
    watched_folder: Path, llama_folder: Path, comparison_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["choose", "--dataset", str(watched_folder), "--model", str(llama_folder), "--device", "cpu"]
    line += ["--lists", "2", "--candidates", "3", "--families", "next_item", "--share", "0.9"]
    assert command.status_of(lambda: command.app([*line, "--into", str(tmp_path)], standalone_mode=False)) == 0
    (path,) = tmp_path.glob("*.json")
    (kept,) = (Choice.model_validate(each) for each in json.loads(path.read_text()).values())
    assert kept == choice_of(kept.rows, **kept.model_dump(exclude={"rows", "lists", *Arm.model_fields, "scoring"}))
    assert kept.sentence in capsys.readouterr().out

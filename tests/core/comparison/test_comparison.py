"""Figures of a comparison against scores that are computed one prompt at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.analysis.setting import prompt_of, reader_for
from core.analysis.subject import item_ids
from core.cli import command
from core.comparison.arm import Arm, arms_of
from core.comparison.compared_lists import later_lists, validation_lists
from core.comparison.comparison import StrategyComparison, comparison_of
from core.comparison.list_outcomes import ListOutcomes
from core.data.dataset import Dataset, open_dataset
from core.data.strategies import pick
from core.lm.loading.load import LanguageModel
from core.lm.reading.vector_store import VectorStore
from core.lm.scoring.score import Scorer
from core.metrics.ranking import expected_ndcg
from core.question.case_spec import CaseSpec
from core.tuning.examples import split_times

NEIGHBOURS = Arm(family="next_item", strategy="neighbours", demos=3)


@pytest.fixture
def outcomes(watched: Dataset, llama: LanguageModel) -> ListOutcomes:
    return ListOutcomes(watched, {None: llama}, 2)


def test_outcomes_are_those_of_each_prompt_alone(
    watched: Dataset, llama: LanguageModel, outcomes: ListOutcomes
) -> None:
    lists = later_lists(watched, count=4, candidates=3, history=2, share=0.6)
    outcomes.measure([NEIGHBOURS.bare, NEIGHBOURS], lists)
    assert len(lists) == 4
    for case in lists:
        demos = pick(watched, case, k=3, strategy="neighbours", history=2)
        items = watched.items(item_ids(case, demos))
        prompt = prompt_of(CaseSpec(family="next_item", history=2), watched, llama, case, demos, items)
        bare = prompt_of(CaseSpec(family="next_item", history=0), watched, llama, case, (), items)
        total, free = Scorer(llama, prompt).full(), Scorer(llama, bare).full()
        target = case.candidates.index(str(case.target))
        sizes = [len(span.token_ids) for span in prompt.candidates]
        expected = {"sum": total, "mean": total / sizes, "calibrated": total - free}
        row = outcomes.by_arm[NEIGHBOURS][case]
        for scoring, scores in expected.items():
            assert row.ndcg[scoring] == pytest.approx(expected_ndcg(scores, target))  # type: ignore[index]
        assert (row.tokens, row.demos) == (prompt.length, len(demos))
        assert row.shows_target == any(case.target in (demo.item_id, *demo.history) for demo in demos)


@pytest.mark.parametrize("strategy", ["semantic", "gradient"])
def test_what_a_model_reads_to_pick_counts_and_is_read_once(
    watched: Dataset, llama: LanguageModel, outcomes: ListOutcomes, strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = later_lists(watched, count=1, candidates=3, history=2, share=0.6)
    arm = Arm(family="next_item", strategy=strategy, demos=3)
    store = "core.lm.reading.vector_store.STORE"
    monkeypatch.setattr(store, VectorStore(disk_bytes=0))
    reader = reader_for(arm.spec("sample", "sample", 2), watched, llama)
    demos = pick(watched, lists[0], k=3, strategy=strategy, history=2, reader=reader)
    monkeypatch.setattr(store, VectorStore(disk_bytes=0))
    again = ListOutcomes(watched, {None: llama}, 2)
    for measured in (outcomes, again):
        measured.measure([arm], lists)
    assert outcomes.by_arm[arm] == again.by_arm[arm]
    assert outcomes.by_arm[arm][lists[0]].demos == len(demos) == 3
    assert outcomes.tokens - again.tokens == reader.cost.tokens > 0


def test_rows_tell_lists_apart_where_a_demonstration_shows_the_target(outcomes: ListOutcomes, watched: Dataset) -> None:
    lists = later_lists(watched, count=8, candidates=3, history=2, share=0.5)
    outcomes.measure([NEIGHBOURS.bare, NEIGHBOURS], lists)
    comparison = comparison_of(outcomes, [NEIGHBOURS.bare, NEIGHBOURS], lists, period="later", seed=0, made_by="test")
    bare, row = comparison.rows
    seen = outcomes.shows_target(NEIGHBOURS, lists)
    assert 0 < seen.sum() < len(lists)
    with_demos, without = (
        np.array([outcomes.by_arm[arm][case].ndcg["sum"] for case in lists]) for arm in (NEIGHBOURS, NEIGHBOURS.bare)
    )
    gain = with_demos - without
    assert row.gain.value == pytest.approx(gain.mean())
    assert row.gain_where_shown.value == pytest.approx(gain[seen].mean())
    assert row.gain_where_not.value == pytest.approx(gain[~seen].mean())
    assert row.shows_target == pytest.approx(seen.mean())
    assert bare.gain.value == 0
    ranks = [[outcomes.by_arm[arm][case].rank["sum"] for case in lists] for arm in (NEIGHBOURS, NEIGHBOURS.bare)]
    moved = np.abs(np.subtract(*ranks)) >= 2
    assert row.moved.value == pytest.approx(moved.mean())
    (apart,) = comparison.differences
    assert apart.apart.value == pytest.approx(abs(gain.mean()))


def test_popularity_counts_likes_before_the_moment(outcomes: ListOutcomes, watched: Dataset) -> None:
    lists = later_lists(watched, count=5, candidates=3, history=2, share=0.6)
    outcomes.measure([NEIGHBOURS.bare], lists)
    comparison = comparison_of(outcomes, [NEIGHBOURS.bare], lists, period="later", seed=0, made_by="test")
    expected = []
    for case in lists:
        rows = [row for user, _ in watched.users() for row in watched.history(user) if watched.liked(row)]
        early = [row.item_id for row in rows if (row.timestamp or 0) < (case.moment or 0)]
        counts = np.array([early.count(item) for item in case.candidates], dtype=float)
        expected.append(expected_ndcg(counts, case.candidates.index(str(case.target))))
    assert comparison.popularity.value == pytest.approx(np.mean(expected))


def test_validation_lists_lie_before_the_test_and_ask_for_nobodys_last_interaction(watched: Dataset) -> None:
    _, window, test = split_times(watched, share=0.9)
    lists = validation_lists(watched, count=20, candidates=3, history=2, share=0.9)
    assert lists
    for case in lists:
        assert window.holds(case.moment)
        assert not test.holds(case.moment)
        assert watched.history(case.user_id)[-1].item_id != case.target
        assert all((row.timestamp or 0) < (case.moment or 0) for row in case.history)
        met = {row.item_id for row in watched.history(case.user_id)}
        assert set(case.candidates) & met == {case.target}


def test_without_timestamps_the_last_interaction_is_asked_for(comparison_home: Path, tmp_path: Path) -> None:
    lines = ["user_id\titem_id", *(f"u{user}\t{(user + place) % 9}" for user in range(5) for place in range(4))]
    (tmp_path / "bare.inter").write_text("\n".join(lines) + "\n")
    dataset = open_dataset(str(tmp_path))
    lists = later_lists(dataset, count=3, candidates=3, history=2)
    assert len(lists) == 3
    assert all(dataset.history(case.user_id)[-1].item_id == case.target for case in lists)


def test_arms_have_each_family_without_demonstrations_once() -> None:
    arms = arms_of(("next_item", "yes_no"), ("recent", "similar"), (0, 2))
    assert [arm.name for arm in arms] == [
        "next_item, no demonstrations",
        "next_item, recent 2",
        "next_item, similar 2",
        "yes_no, no demonstrations",
        "yes_no, recent 2",
        "yes_no, similar 2",
    ]
    assert Arm(family="next_item", strategy="mixed", demos=4, order="nearest_first", each=2, adapter="recicl").name == (
        "recicl, next_item, mixed 4, nearest first, 2 of each"
    )


@pytest.fixture
def ran(watched_folder: Path, llama_folder: Path, comparison_home: Path) -> Callable[..., int]:
    def called(name: str, *words: str) -> int:
        line = [name, "--dataset", str(watched_folder), "--model", str(llama_folder), "--device", "cpu", *words]
        return command.status_of(lambda: command.app(line, standalone_mode=False))

    return called


def test_evaluate_compares_strategies(
    ran: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--strategies", "--lists", "2", "--candidates", "3", "--demos", "2", "--share", "0.6")
    assert ran("evaluate", *words, "--json", str(tmp_path / "out.json")) == 0
    comparison = StrategyComparison.model_validate_json((tmp_path / "out.json").read_text())
    assert comparison.lists == 2
    names = {(row.family, row.strategy, row.demos) for row in comparison.rows}
    assert ("next_item", "neighbours", 2) in names
    assert ("yes_no", "recent", 0) in names
    assert ran("evaluate", *words) == 0
    assert "next_item, neighbours 2" in capsys.readouterr().out

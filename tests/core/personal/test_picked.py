"""Demonstrations picked anew at every step of a play: what is known by then, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from questions import labelled_case
from references import language_model

from core.analysis.setting import prompt_of, reader_for
from core.analysis.subject import demonstrations_for, item_ids
from core.data.dataset import Dataset, open_dataset
from core.data.records import Demonstration, Strategy
from core.data.strategies import STRATEGIES
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.personal.personalise import personalise
from core.personal.personalise_task import PersonaliseReport, PersonaliseTask, windowed
from core.personal.play import Play, play_of
from core.personal.step_words import change_sentences

Row = tuple[str, str, float, float]
"""User, item, rating and time."""
Open = Callable[..., Dataset]
ITEMS = "ABCDEFGHTXYZ"
PICKED = tuple(name for name, row in STRATEGIES.items() if row.choose and not row.needs_model and name != "recent")
COMMON: tuple[Row, ...] = (
    *(("me", item, 5, time) for item, time in zip("ABCT", (10, 20, 30, 100), strict=True)),
    *(("p", item, 5, time) for item, time in zip("AX", (1, 2), strict=True)),
    *(("q", item, 5, time) for item, time in zip("BCY", (1, 2, 3), strict=True)),
    ("r", "A", 5, 4),
    ("r", "Z", 5, 25),
    *(("s", item, 1, 5) for item in "DEF"),
)
"""p likes what `me` likes first, q what `me` likes second and third; r finds something new between B and C."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    datasets: list[Dataset] = []

    def make(rows: Sequence[Row], *, ratings: bool = True, times: bool = True) -> Dataset:
        folder = tmp_path_factory.mktemp("data") / "films"
        folder.mkdir()
        head = ["user_id:token", "item_id:token", *["rating:float"] * ratings, *["timestamp:float"] * times]
        lines = ["\t".join(map(str, (*row[:2], *row[2:3] * ratings, *row[3:] * times))) for row in rows]
        (folder / "films.inter").write_text("\n".join(["\t".join(head), *lines]) + "\n")
        titles = [f"{item}\tFilm {item}" for item in ITEMS]
        (folder / "films.item").write_text("\n".join(["item_id:token\tmovie_title:token_seq", *titles]) + "\n")
        datasets.append(open_dataset(str(folder)))
        return datasets[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield make
        for dataset in datasets:
            dataset.close()


def asked(strategy: Strategy = "neighbours", demos: int = 1, **choices: Any) -> PersonaliseTask:
    case = labelled_case(user="me", strategy=strategy, demos=demos, candidates=4, history=2)
    return PersonaliseTask(case=case, **choices)


def ids(demos: Sequence[Demonstration]) -> list[str]:
    return [demo.demo_id for demo in demos]


# ---- a data set whose neighbours are known by hand


def test_a_new_interaction_changes_the_neighbour(opened: Open) -> None:
    """Before 20 `me` knows A only, which q does not like. Before 30, A weighs log(1 + 4 users / (1 + 3 likes)) and B
    log(1 + 4 / (1 + 2)), over the root of 20 and the weight of all that p and q like: q is nearer."""
    play = play_of(asked(steps=3), opened(COMMON))
    assert [ids(play.demonstrations(count)) for count in range(4)] == [[], ["p:1"], ["q:2"], ["q:2"]]
    assert play.demonstrations(3)[0].history == ("B", "C")
    assert [play.case_at(count).moment for count in range(4)] == [10, 20, 30, 100]
    assert [len(play.case_at(count).history) for count in range(4)] == [0, 1, 2, 3]


def test_what_comes_because_time_goes_on_is_told_from_what_the_interaction_brings(opened: Open) -> None:
    play = play_of(asked(demos=4, steps=3), opened(COMMON))
    assert ids(play.demonstrations(1)) == ["p:1"]  # r has liked nothing new yet
    assert ids(play.as_time_passes(2)) == ["r:1", "p:1"]
    assert set(ids(play.demonstrations(2))) == {"p:1", "q:2", "r:1"}


def test_interactions_by_hand_count_with_their_own_answer(opened: Open) -> None:
    for ratings in (True, False):
        dataset = opened(COMMON, ratings=ratings)
        liked, not_liked = (
            play_of(asked(known=1, steps=0, added=(f"B:{answer}", f"C:{answer}")), dataset) for answer in ("yes", "no")
        )
        assert [ids(liked.demonstrations(count)) for count in (1, 2, 3)] == [["p:1"], ["q:2"], ["q:2"]]
        assert [ids(not_liked.demonstrations(count)) for count in (1, 2, 3)] == [["p:1"], ["p:1"], ["p:1"]]
        assert [dataset.liked(row) for row in not_liked.case_at(3).history] == [True, False, False]
        assert [liked.case_at(count).moment for count in (1, 2, 3)] == [20, 20, 20]  # B is not known yet


def test_what_was_met_by_hand_is_not_shown_by_a_neighbour(opened: Open) -> None:
    play = play_of(asked(demos=4, steps=0, added=("X:no",)), opened(COMMON))
    assert "p:1" in ids(play.demonstrations(3))
    assert "p:1" not in ids(play.demonstrations(4))
    assert play.case_at(4).moment == 100


@pytest.mark.parametrize("strategy", ["mixed", "sequence"])
def test_what_was_added_is_a_demonstration_under_its_own_id(opened: Open, strategy: Strategy) -> None:
    play = play_of(asked(strategy, steps=0, added=("D:no", "E:yes")), opened(COMMON))
    (demo,) = play.demonstrations(5)
    assert (demo.demo_id, demo.item_id, demo.liked, demo.source) == ("added-2", "E", True, "manual")
    assert demo.history == ("B", "C")
    assert ids(play.demonstrations(3)) == ["me:2"]


def test_without_timestamps_positions_are_the_clock(opened: Open) -> None:
    play = play_of(asked(demos=4, steps=3, added=("D:yes",)), opened(COMMON, times=False))
    assert [set(ids(play.demonstrations(count))) for count in range(4)] == [
        set(),
        set(),  # p and r have liked nothing but A at the first place
        {"p:1", "q:1", "r:1"},
        {"p:1", "q:2", "r:1"},
    ]
    assert play.as_time_passes(2) == play.demonstrations(1)
    assert all(play.case_at(count).moment is None for count in range(5))


def test_a_user_without_overlap_or_likes_has_no_neighbour(opened: Open) -> None:
    rows = [("me", "G", 1, 10), ("me", "H", 5, 20), ("me", "T", 5, 30), ("p", "A", 5, 1), ("p", "B", 5, 2)]
    play = play_of(asked(demos=4, steps=2), opened(rows))
    assert [play.demonstrations(count) for count in range(3)] == [(), (), ()]


# ---- any data set


@pytest.mark.parametrize("strategy", PICKED)
@pytest.mark.parametrize("times", [True, False])
def test_the_last_step_shows_what_the_other_pages_show(opened: Open, strategy: Strategy, *, times: bool) -> None:
    rows = [*COMMON, ("me", "D", 0, 35), ("me", "E", 2, 40), ("me", "F", 0, 45)]  # 0 is not rated
    dataset, task = opened(rows, times=times), asked(strategy, demos=3, steps=3)
    play = play_of(task, dataset)
    last = len(play.interactions)
    assert not windowed(task.case)
    assert play.demonstrations(last) == demonstrations_for(task.case, dataset, play.case) != ()


ROWS = some.lists(
    some.tuples(
        some.sampled_from(["me", "p", "q", "r"]),
        some.sampled_from("ABCDEFGH"),
        some.integers(1, 5),
        some.integers(1, 9),
    ),
    min_size=10,
    max_size=40,
)
FILLER: tuple[Row, ...] = (
    *(("scale", item, place % 5 + 1, 0) for place, item in enumerate(ITEMS)),
    ("me", "A", 5, 1),
    ("me", "B", 4, 3),
    ("me", "C", 5, 6),
)
"""So that the scale of ratings is the same whatever is left out, and `me` has a stream."""


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, some.integers(0, 20), some.sampled_from(PICKED))
def test_no_step_reads_what_lies_at_or_after_its_moment(
    opened: Open, rows: list[Row], number: int, strategy: Strategy
) -> None:
    everything = [*FILLER, *rows, ("me", "T", 5, 9)]
    play = play_of(asked(strategy, demos=4, steps=50), opened(everything))
    count = number % (len(play.interactions) + 1)
    moment, demos = play.case_at(count).moment, play.demonstrations(count)
    assert moment is not None
    for demo in demos:
        shown = play.dataset.history(demo.user_id)[demo.position]
        assert (shown.item_id, play.dataset.liked(shown)) == (demo.item_id, demo.liked)
        known = {row.demo_id for row in play.interactions[:count]}
        assert demo.demo_id in known if demo.user_id == "me" else (shown.timestamp or 0) < moment
    if strategy != "random":  # whose draw depends on the data as a whole
        before = [row for row in everything if row[0] == "me" or row[3] < moment]
        assert play_of(asked(strategy, demos=4, steps=50), opened(before)).demonstrations(count) == demos


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, some.sampled_from(PICKED))
def test_the_target_and_the_candidates_change_nothing(opened: Open, rows: list[Row], strategy: Strategy) -> None:
    def shown(play: Play) -> list[tuple[Demonstration, ...]]:
        return [play.demonstrations(count) for count in range(len(play.interactions) + 1)]

    plays = [
        play_of(asked(strategy, demos=3, steps=50), opened([*FILLER, *rows, ("me", target, 5, 10)])) for target in "TX"
    ]
    turned = replace(plays[0], case=replace(plays[0].case, target="Y", candidates=("Y", "Z")))
    assert shown(turned) == shown(plays[0])
    if strategy != "random":
        assert shown(plays[1]) == shown(plays[0])


# ---- reports


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def last(task: PersonaliseTask, dataset: Dataset, model: LanguageModel) -> PersonaliseReport:
    return list(personalise(task, dataset=dataset, model=model))[-1]


@pytest.fixture(scope="module")
def neighbours(opened: Open, model: LanguageModel) -> PersonaliseReport:
    return last(asked(demos=4, steps=3, added=("X:no",)), opened(COMMON), model)


def test_every_step_says_what_joined_and_what_left(neighbours: PersonaliseReport) -> None:
    changes = [
        ([(row.demo_id, row.by_time) for row in step.joined], [(row.demo_id, row.by_time) for row in step.left])
        for step in neighbours.stream
    ]
    assert changes == [
        ([], []),
        ([("p:1", False)], []),
        ([("r:1", True), ("q:2", False)], []),
        ([], []),
        ([], [("p:1", False)]),
    ]
    assert [step.demo_id for step in neighbours.stream] == [None, "me:0", "me:1", "me:2", "added-1"]
    assert change_sentences(neighbours.stream[1], "me") == ["1 neighbour's choice joined: Film X of user p."]
    assert change_sentences(neighbours.stream[2], "me") == [
        "1 neighbour's choice joined: Film Y of user q.",
        "1 neighbour's choice joined as time went on: Film Z of user r.",
    ]
    assert change_sentences(neighbours.stream[3], "me") == []
    assert change_sentences(neighbours.stream[4], "me") == ["1 neighbour's choice left: Film X of user p."]
    assert PersonaliseReport.model_validate_json(neighbours.model_dump_json()) == neighbours
    assert any(notice.startswith("Demonstrations are picked anew at every step") for notice in neighbours.notices)
    assert any(notice.startswith("Only 2 of the 4 demonstrations asked for") for notice in neighbours.notices)


@pytest.mark.parametrize(
    ("source", "noun"), [("co_likes", "neighbour's choice"), ("similar", "other user's interaction")]
)
def test_other_users_demonstrations_are_named_after_what_picked_them(
    neighbours: PersonaliseReport, source: str, noun: str
) -> None:
    (change,) = neighbours.stream[1].joined
    step = neighbours.stream[1].model_copy(update={"joined": (change.model_copy(update={"source": source}),)})
    assert change_sentences(step, "me") == [f"1 {noun} joined: Film X of user p."]


@pytest.mark.parametrize("strategy", ["neighbours", "mixed", "semantic", "gradient"])
@pytest.mark.parametrize("order", ["nearest_last", "nearest_first"])
def test_every_list_equals_that_of_its_prompt_from_scratch(
    opened: Open, model: LanguageModel, strategy: Strategy, order: str
) -> None:
    task, dataset = asked(strategy, demos=3, steps=3, added=("D:no", "E:yes")), opened(COMMON)
    task = task.model_copy(update={"case": task.case.model_copy(update={"order": order})})
    report, play, reader = last(task, dataset, model), play_of(task, dataset), reader_for(task.case, dataset, model)
    for count, step in enumerate(report.stream):
        case, demos = play.case_at(count), play.demonstrations(count, reader)
        assert step.demo_ids == tuple(ids(demos))
        prompt = prompt_of(task.case, dataset, model, case, demos, dataset.items(item_ids(case, demos)))
        np.testing.assert_allclose(step.lists[0].scores, Scorer(model, prompt).full(), atol=1e-4)
        assert 0 <= step.picking_seconds <= step.lists[0].seconds
    assert [row.demo_id for row in report.moved] == list(report.stream[-1].demo_ids)


def test_the_windowed_stream_says_what_left(opened: Open, model: LanguageModel) -> None:
    done = last(asked("recent", demos=2, steps=3, added=("D:no",)), opened(COMMON), model)
    joined = [[row.demo_id for row in step.joined] for step in done.stream]
    assert joined == [[], ["me:0"], ["me:1"], ["me:2"], ["added-1"]]
    assert [change_sentences(step, "me") for step in done.stream] == [
        [],
        [],
        [],
        [],
        ["2 own interactions left: Film A; Film B."],
    ]
    assert not any(row.by_time for step in done.stream for row in (*step.joined, *step.left))

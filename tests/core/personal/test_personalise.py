"""The play of a user's stream on a tiny model: every list as from scratch, nothing later known, no weight touched."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapters import saved_adapter
from questions import labelled_case
from references import language_model

from core.analysis.explain.explain_run import explain
from core.analysis.explain.explain_task import Explain
from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.demonstrations import by_ids
from core.data.records import Demonstration, Interaction
from core.errors import Cancelled, ComputeError, DataError, DemoLensError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ranks
from core.personal.personalise import personalise
from core.personal.personalise_task import USUAL_CASE, PersonaliseReport, PersonaliseTask
from core.prompt.build import build
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.command_line import task_of

TITLES = ("Alien", "Heat", "Fargo", "Solaris", "Dune", "Emma")
ITEMS, LENGTH = 24, 9
"""User u meets item (7 place) mod 24 at moment 10 place, the last one at 80, and likes two of three."""
Made = Callable[..., Dataset]


def rows(*, ratings: bool = True, times: bool = True, length: int = LENGTH) -> list[str]:
    lines = ["user_id:token\titem_id:token" + "\trating:float" * ratings + "\ttimestamp:float" * times]
    for number, user in enumerate(("u", "v")):
        for place in range(length if user == "u" else 4):
            rating = f"\t{5 - 3 * (place % 3 == 1)}" if ratings else ""
            lines.append(f"{user}\t{(number + 7 * place) % ITEMS}{rating}" + f"\t{10 * place + number}" * times)
    return lines


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    opened: list[Dataset] = []

    def make(lines: list[str]) -> Dataset:
        folder = tmp_path_factory.mktemp("data") / "films"
        folder.mkdir()
        (folder / "films.inter").write_text("\n".join(lines) + "\n")
        items = [f"{n}\t{TITLES[n % 6]} {n // 6 + 1}" for n in range(ITEMS)]
        (folder / "films.item").write_text("\n".join(["item_id:token\tmovie_title:token_seq", *items]) + "\n")
        opened.append(open_dataset(str(folder)))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield make
        for dataset in opened:
            dataset.close()


@pytest.fixture(scope="module")
def films(made: Made) -> Dataset:
    return made(rows())


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def asked(case: dict[str, Any] | None = None, **choices: Any) -> PersonaliseTask:
    own = {"user": "u", "demos": 2, "candidates": 5, "history": 2, "adapter": None, **(case or {})}
    return PersonaliseTask(case=labelled_case(**own), **choices)


def last(task: PersonaliseTask, dataset: Dataset, model: LanguageModel) -> PersonaliseReport:
    return list(personalise(task, dataset=dataset, model=model))[-1]


def scores(report: PersonaliseReport, step: int) -> np.ndarray:
    return np.array(report.stream[step].lists[0].scores)


def rebuilt(
    dataset: Dataset,
    model: LanguageModel,
    request: CaseSpec,
    history: tuple[Interaction, ...],
    demos: tuple[Demonstration, ...],
    liked: Callable[[Interaction], bool],
) -> np.ndarray:
    """Scores [candidate] of a prompt that knows `history`, by the scorer of the other pages."""
    case = replace(case_of(dataset, request.user, candidates=request.candidates), history=history)
    prompt = build(
        case,
        demos,
        {item.item_id: item for item in dataset.all_items()},
        model.tokenizer,
        family=request.family,
        noun=dataset.noun,
        history=request.history,
        liked=liked,
    )
    return Scorer(model, prompt).full()


@pytest.fixture(scope="module")
def reports(films: Dataset, model: LanguageModel) -> list[PersonaliseReport]:
    return list(personalise(asked(steps=5, added=("3:no", "4:yes")), dataset=films, model=model))


def test_reports_grow_by_one_step_and_end_with_what_moved_the_list(reports: list[PersonaliseReport]) -> None:
    assert [len(one.stream) for one in reports] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert [one.stage for one in reports] == [*["partial"] * 8, "complete"]
    assert [one.weights_after is None for one in reports] == [*[True] * 8, False]
    done = reports[-1]
    assert [row.step for row in done.stream] == list(range(8))
    assert [row.kind for row in done.stream] == ["start", *["stream"] * 5, "added", "added"]
    assert [row.position for row in done.stream] == [None, 3, 4, 5, 6, 7, None, None]
    assert [row.timestamp for row in done.stream] == [None, 30, 40, 50, 60, 70, None, None]
    assert [row.liked for row in done.stream[5:]] == [False, False, True]
    assert [row.title for row in done.stream[5:]] == ["Heat 1", "Solaris 1", "Dune 1"]
    assert PersonaliseReport.model_validate_json(done.model_dump_json()) == done


def test_the_window_grows_and_is_cut_back_at_multiples_of_k(reports: list[PersonaliseReport]) -> None:
    shown = [row.demo_ids for row in reports[-1].stream]
    assert shown == [
        ("u:0", "u:1", "u:2"),
        ("u:2", "u:3"),
        ("u:2", "u:3", "u:4"),
        ("u:4", "u:5"),
        ("u:4", "u:5", "u:6"),
        ("u:6", "u:7"),
        ("u:6", "u:7", "added-1"),
        ("added-1", "added-2"),
    ]
    assert [demo.demo_id for demo in reports[-1].demos] == list(shown[-1])


def test_every_list_equals_that_of_its_prompt_from_scratch(
    films: Dataset, model: LanguageModel, reports: list[PersonaliseReport]
) -> None:
    case, request = case_of(films, "u", candidates=5), asked().case
    for step in range(6):
        demos = by_ids(films, case, reports[-1].stream[step].demo_ids, history=2)
        expected = rebuilt(films, model, request, case.history[: 3 + step], demos, films.liked)
        np.testing.assert_allclose(scores(reports[-1], step), expected, atol=1e-4)
        assert reports[-1].stream[step].lists[0].ranks == ranks(scores(reports[-1], step))


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("scoring", ["sum", "mean", "calibrated"])
def test_the_last_list_is_the_one_of_explore(films: Dataset, model: LanguageModel, family: str, scoring: str) -> None:
    task = asked({"family": family, "scoring": scoring}, steps=2)
    done = last(task, films, model)
    manual = {"strategy": "manual", "demo_ids": done.stream[-1].demo_ids}
    explained = next(explain(Explain(case=task.case.model_copy(update=manual)), dataset=films, model=model))
    assert [row.item_id for row in done.candidates] == [row.item_id for row in explained.candidates]
    np.testing.assert_allclose(scores(done, -1), [row.score for row in explained.candidates], atol=1e-4)
    np.testing.assert_allclose([row.score for row in done.candidates], scores(done, -1))
    np.testing.assert_allclose([row.zero_shot_score for row in done.candidates], scores(done, 0))


def test_interactions_by_hand_are_demonstrations_and_history(
    films: Dataset, model: LanguageModel, reports: list[PersonaliseReport]
) -> None:
    # User u likes all but places 1, 4 and 7, which are items 7, 4 and 1.
    history = case_of(films, "u", candidates=5).history
    new = (Interaction("3", 8), Interaction("4", 9))
    demos = (
        Demonstration("added-1", "u", 8, (history[5].item_id, history[6].item_id), "3", False, "manual"),
        Demonstration("added-2", "u", 9, (history[5].item_id, history[6].item_id), "4", True, "manual"),
    )
    expected = rebuilt(
        films,
        model,
        asked().case,
        history + new,
        demos,
        lambda one: one.position == 9 or (one.position < 8 and films.liked(one)),
    )
    np.testing.assert_allclose(scores(reports[-1], 7), expected, atol=1e-4)
    for demo_id in ("added-1", "added-2"):
        with pytest.raises(DemoLensError):
            by_ids(films, case_of(films, "u"), [demo_id], history=2)


def test_what_moved_the_list_is_the_list_less_the_one_without(
    films: Dataset, model: LanguageModel, reports: list[PersonaliseReport]
) -> None:
    done = last(asked(steps=2), films, model)
    history, request = case_of(films, "u", candidates=5).history, asked().case
    demos = by_ids(films, case_of(films, "u"), ("u:6", "u:7"), history=2)
    whole = rebuilt(films, model, request, history, demos, films.liked)
    assert [(row.demo_id, row.answer) for row in done.moved] == [("u:6", "Yes"), ("u:7", "No")]
    for row, rest in zip(done.moved, (demos[1:], demos[:1]), strict=True):
        without = rebuilt(films, model, request, history, rest, films.liked)
        np.testing.assert_allclose(row.effects, whole - without, atol=2e-4)
        assert row.ranks == tuple(1 + int((without > own + 1e-5).sum()) for own in without)


def test_a_step_runs_a_part_of_its_prompt(reports: list[PersonaliseReport]) -> None:
    done = reports[-1]
    grown = [row.lists[0] for row in done.stream if len(row.demo_ids) == 3][1:]
    assert len(grown) == 3
    assert all(found.tokens_run < 0.6 * found.tokens for found in grown)
    assert done.stream[0].lists[0].tokens_run < done.stream[0].lists[0].tokens  # candidates begin alike
    assert done.full_seconds is not None
    assert done.full_seconds > 0
    assert all(row.lists[0].seconds > 0 for row in done.stream)


def test_the_same_knowledge_gives_the_same_list_wherever_the_play_began(
    films: Dataset, model: LanguageModel, reports: list[PersonaliseReport]
) -> None:
    short = last(asked(known=6, steps=1), films, model)
    assert short.stream[-1].demo_ids == reports[-1].stream[3].demo_ids
    np.testing.assert_allclose(scores(short, -1), scores(reports[-1], 3), atol=1e-4)


def test_equal_tasks_have_equal_reports_apart_from_timings(films: Dataset, model: LanguageModel) -> None:
    one, two = (last(asked(steps=2), films, model) for _ in range(2))
    assert [row.demo_ids for row in one.stream] == [row.demo_ids for row in two.stream]
    assert [row.lists[0].scores for row in one.stream] == [row.lists[0].scores for row in two.stream]
    assert one.moved == two.moved
    assert (one.passes, one.forwards, one.weights_after) == (two.passes, two.forwards, two.weights_before)


def test_nothing_at_or_after_the_moment_is_known(films: Dataset, model: LanguageModel) -> None:
    done = last(asked(steps=50), films, model)
    assert films.history("u")[-1].timestamp == 80
    assert max(row.timestamp or 0 for row in done.stream) == 70
    target = films.history("u")[-1].item_id
    assert all(row.item_id != target for row in done.stream)
    with pytest.raises(RequestError, match=r"known: 9 known interactions of user 'u'; expected at most 8, those"):
        last(asked(known=9), films, model)


def test_ties_with_the_moment_are_out(made: Made, model: LanguageModel) -> None:
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", "u\t1\t1", "u\t2\t2", "u\t3\t2", "v\t1\t0"])
    assert [row.item_id for row in last(asked(), dataset, model).stream] == [None, "1"]


def test_more_steps_than_interactions_play_what_there_is(films: Dataset, model: LanguageModel) -> None:
    done = last(asked(known=2, steps=5), films, model)
    assert [row.demo_ids for row in done.stream] == [(), ("u:0",), ("u:0", "u:1")]
    assert "5 steps were asked for; 2 can be played, as no more interactions are known." in done.notices


def test_no_demonstrations_only_the_history_changes(films: Dataset, model: LanguageModel) -> None:
    done = last(asked({"demos": 0}, steps=2, added=("3:yes",)), films, model)
    assert all(row.demo_ids == () for row in done.stream)
    assert done.moved == ()
    assert (
        "No demonstrations are asked for, so a new interaction changes only the history in the query." in done.notices
    )
    assert not np.allclose(scores(done, 0), scores(done, 1))  # place 6 is liked
    np.testing.assert_allclose(scores(done, 1), scores(done, 2), atol=1e-4)  # place 7 is not
    assert not np.allclose(scores(done, 2), scores(done, 3))


def test_next_item_shows_liked_interactions_only(films: Dataset, model: LanguageModel) -> None:
    done = last(asked({"family": "next_item"}, steps=2, added=("3:no", "4:yes")), films, model)
    assert [row.demo_ids[-1] for row in done.stream] == ["u:5", "u:6", "u:6", "u:6", "added-2"]
    np.testing.assert_allclose(scores(done, 1), scores(done, 3), atol=1e-4)
    assert "2 new interactions are not liked; prompts of the family next_item show liked ones only." in done.notices
    assert all(row.answer is None for row in done.moved)


@pytest.mark.parametrize("kinds", [{"times": False}, {"ratings": False}])
def test_data_without_times_or_ratings(made: Made, model: LanguageModel, kinds: dict[str, bool]) -> None:
    done = last(asked(steps=2, added=("3:no",)), made(rows(**kinds)), model)
    assert [row.position for row in done.stream] == [None, 6, 7, None]
    assert done.stream[-1].demo_ids == ("u:6", "u:7", "added-1")
    assert (done.stream[1].timestamp is None) == (not kinds.get("times", True))
    assert done.moved[-1].answer == "No"


def test_a_user_with_one_interaction(made: Made, model: LanguageModel) -> None:
    dataset = made([*rows(), "w\t2\t5\t7"])
    with pytest.raises(DataError, match="user 'w' has no interaction before the case's moment; expected at least one"):
        last(asked({"user": "w"}), dataset, model)
    done = last(asked({"user": "w"}, added=("3:yes",)), dataset, model)
    assert [row.demo_ids for row in done.stream] == [(), ("added-1",)]


def test_an_unknown_item_by_hand_is_told(films: Dataset, model: LanguageModel) -> None:
    with pytest.raises(DataError, match="added: item '99' is not in the data set films; expected an item id"):
        last(asked(added=("99:yes",)), films, model)


@pytest.mark.parametrize("added", ["3", "3:maybe", ":yes", "3:YES", "yes"])
def test_an_answer_that_is_none_is_refused_at_the_door(added: str) -> None:
    with pytest.raises(RequestError, match=r"personalise: added is '.*'; expected item_id:yes or item_id:no"):
        checked(PersonaliseTask, "personalise", {"added": [added]})


@pytest.mark.parametrize(("option", "value"), [("known", 0), ("steps", -1), ("steps", 51), ("added", ["3:yes"] * 21)])
def test_choices_out_of_range_are_refused_with_one_sentence(option: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"personalise: {option} is"):
        checked(PersonaliseTask, "personalise", {option: value})


def test_a_case_of_single_choices_is_completed_as_the_adapter_was_tuned() -> None:
    task = task_of(PersonaliseTask, {"user": "7"})
    assert task.case == USUAL_CASE.model_copy(update={"user": "7"})
    assert task_of(PersonaliseTask, {"adapter": "none", "demos": 8}).case == labelled_case(history=3)
    for same in (task, PersonaliseTask(), asked(added=("3:yes",))):
        assert PersonaliseTask.model_validate(same.model_dump(mode="json")) == same


def test_demonstrations_by_hand_are_not_played_and_that_is_said(films: Dataset, model: LanguageModel) -> None:
    done = last(asked({"strategy": "manual", "demo_ids": ("v:1",)}, steps=1), films, model)
    assert done.stream[-1].demo_ids == ("u:6", "u:7")
    assert any("Demonstrations chosen by hand are not played" in notice for notice in done.notices)


def test_cancelled_it_leaves_the_steps_so_far(films: Dataset, model: LanguageModel) -> None:
    seen: list[PersonaliseReport] = []
    fractions: list[float] = []

    def progress(_: str, fraction: float) -> None:
        fractions.append(fraction)
        if len(seen) == 2:
            raise Cancelled("stopped")

    def read() -> None:
        for report in personalise(asked(), dataset=films, model=model, progress=progress):
            seen.append(report)

    with pytest.raises(Cancelled):
        read()
    assert [len(report.stream) for report in seen] == [1, 2]
    assert all(0 <= fraction < 1 for fraction in fractions)


def test_the_base_model_plays_beside_its_adapter(
    films: Dataset, model: LanguageModel, tiny_llama: Any, tmp_path: Path
) -> None:
    adapted = model.with_adapter(str(saved_adapter(tiny_llama, tmp_path / "adapter")))
    task = asked({"adapter": "its folder"}, steps=2)
    both, alone = last(task, films, adapted), last(asked(steps=2), films, model)
    one = last(task.model_copy(update={"compare": False}), films, adapted)
    for row, plain, single in zip(both.stream, alone.stream, one.stream, strict=True):
        assert [found.which for found in row.lists] == ["adapter", "base"]
        np.testing.assert_allclose(row.lists[1].scores, plain.lists[0].scores, atol=1e-5)
        np.testing.assert_allclose(row.lists[0].scores, single.lists[0].scores, atol=1e-5)
        assert [found.which for found in (*single.lists, *plain.lists)] == ["adapter", "base"]
    assert not np.allclose(scores(both, -1), scores(alone, -1), atol=1e-3)
    assert [row.which for row in both.moved] == ["adapter", "adapter", "base", "base"]
    assert [row.effects for row in both.moved[2:]] == [row.effects for row in alone.moved]
    assert both.weights_before == both.weights_after != alone.weights_after
    demos = by_ids(films, case_of(films, "u"), both.stream[-1].demo_ids, history=2)
    history = case_of(films, "u").history
    expected = rebuilt(films, adapted, task.case, history, demos, films.liked)
    np.testing.assert_allclose(scores(both, -1), expected, atol=1e-4)


def test_a_weight_that_changed_during_the_play_is_an_error(
    films: Dataset, tiny_llama: Any, tiny_tokenizer: Any
) -> None:
    own = language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
    play = personalise(asked(steps=1), dataset=films, model=own)
    next(play)
    next(own.network.parameters()).data[0, 0] += 1
    with pytest.raises(ComputeError, match="the weights in memory are not those from before the play"):
        list(play)


def test_the_weights_are_the_same_before_and_after(reports: list[PersonaliseReport]) -> None:
    assert reports[-1].weights_after == reports[0].weights_before
    assert len(str(reports[-1].weights_after)) == 64


def test_a_blended_list_counts_the_likes_before_the_moment_of_its_step(films: Dataset, model: LanguageModel) -> None:
    """User u meets item 7 place mod 24 at 10 place, v one item and one moment later; two of three are liked."""
    met = [(number, place) for number, most in (("u", LENGTH), ("v", 4)) for place in range(most)]
    likes = [
        (("uv".index(user) + 7 * place) % ITEMS, 10.0 * place + "uv".index(user))
        for user, place in met
        if place % 3 != 1
    ]
    ids = {"candidate_ids": ("8", "14", "11", "18", "15")}
    alone = last(asked(case=ids, steps=4), films, model)
    blended = last(asked(case={**ids, "prior": 20.0}, steps=4), films, model)
    moments = [row.timestamp for row in blended.stream[2:]] + [80.0]
    priors = []
    for step, moment in enumerate(moments, start=1):
        counts = [sum(item == int(name) and at < moment for item, at in likes) for name in ids["candidate_ids"]]
        priors.append(20.0 * np.log1p(counts))
        expected = scores(alone, step) + priors[-1]
        np.testing.assert_allclose(scores(blended, step), expected, atol=1e-4)
        assert blended.stream[step].lists[0].ranks == ranks(expected)
    assert any((first != then).any() for first, then in pairwise(priors))
    np.testing.assert_allclose([row.prior for row in blended.candidates], priors[-1])
    assert [row.model_rank for row in blended.candidates] == [row.rank for row in alone.candidates]
    for before, after in zip(alone.moved, blended.moved, strict=True):
        np.testing.assert_allclose(after.effects, before.effects, atol=1e-4)
    assert any("20 x log(1 + likes before the moment)" in notice for notice in blended.notices)

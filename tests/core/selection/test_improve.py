"""The whole way from a case to a better set, on a tiny model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from questions import labelled_case

from core.analysis.setting import set_up
from core.analysis.subject import item_ids
from core.cli.report_lines import improve_lines
from core.data.cases import case_of
from core.data.demonstrations import by_ids
from core.errors import Cancelled, DataError, RequestError
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ndcg, ranks
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.task import Task
from core.selection import improve as improve_module
from core.selection.heldout import held_out
from core.selection.improve import improve
from core.selection.improve_task import ConfirmRow, ImproveReport, ImproveTask
from core.selection.members import START_SETS
from core.selection.verdict import against_chance, target_move, target_place, verdict
from core.words import ordinal

QUICK = {"k": 2, "pool": 8, "shortlist": 4, "held_out": 2, "confirm": 0, "negatives": 2, "budget": 20.0}


def small(case=None, **choices):
    case = {"user": "u", "demos": 2, "candidates": 5, "history": 2, **(case or {})}
    return ImproveTask(**{"case": labelled_case(**case), **QUICK, **choices})


def last(task, dataset, model):
    return list(improve(task, dataset=dataset, model=model))[-1]


def _bare(report):
    text = report.model_copy(update={"seconds": 0.0, "provenance": None})
    return text.model_dump(exclude={"provenance"})


@pytest.fixture(scope="module")
def reports(films, model):
    return list(improve(small(), dataset=films, model=model))


def test_reports_grow_from_the_shortlist_to_before_and_after(reports):
    first, done = reports[0], reports[-1]
    assert first.stage == "partial"
    moving = [row for row in first.shortlist if row.back is not None]
    assert (len(first.shortlist) - len(moving), len(first.held_out), first.path, first.best) == (4, 2, (), None)
    assert {row.source for row in moving} <= {strategy for row in START_SETS for strategy in row.strategies}
    assert [len(one.path) for one in reports[:-1]] == list(range(len(reports) - 1))
    assert done.stage == "complete"
    assert done.stop is not None
    assert done.outcomes[0].which == "zero_shot"
    assert ImproveReport.model_validate_json(done.model_dump_json()) == done


def test_there_is_no_verdict_before_the_end(reports):
    said = [verdict(one) for one in reports]
    assert said[0] == "The search has not judged a set yet."
    assert all(text.startswith("Not finished, no verdict yet: after ") for text in said[1:-1])
    assert said[1].endswith("passes no set is ahead of no demonstrations.")
    assert "Not finished" not in said[-1]
    assert [target_place(one) for one in reports[:-1]] == [""] * (len(reports) - 1)


def test_the_target_is_told_beside_the_choices_of_the_judgement(films, model, reports):
    """Its place by one plain scoring of each set's prompt; said on the command line too."""
    done = reports[-1]
    places = {}
    for row in done.outcomes:
        case = small().case.model_copy(update={"demo_ids": row.demo_ids, "strategy": "manual"})
        setting = set_up(Task(case=case), films, model)
        scores = Scorer(model, setting.prompt).full()
        own = scores[setting.case.candidates.index(setting.case.target)]
        places[row.which] = 1 + int((scores > own).sum())
    text = target_move(done)
    assert text.startswith("The item really chosen next ")
    assert f"{ordinal(places['best'])} of 5 with the set found" in text
    assert f"{ordinal(places['current'])}" in text
    assert target_place(done).startswith(f"{text} Without demonstrations it is {ordinal(places['zero_shot'])}. Its ")
    assert improve_lines(done)[2:5] == [verdict(done), against_chance(done), target_place(done)]


def test_the_list_before_and_after_is_that_of_plain_prompts(films, model, reports):
    """Scores, places and margins of every candidate, by one plain scoring of each set's prompt."""
    done = reports[-1]
    assert len(done.candidates) == 5
    for outcome in done.outcomes:
        case = small().case.model_copy(update={"demo_ids": outcome.demo_ids, "strategy": "manual"})
        setting = set_up(Task(case=case), films, model)
        scores = dict(zip(setting.case.candidates, Scorer(model, setting.prompt).full().tolist(), strict=True))
        rows = {row.item_id: row for row in done.candidates}
        assert {item: getattr(row, f"{outcome.which}_score") for item, row in rows.items()} == pytest.approx(
            scores, abs=2e-4
        )
        for item, row in rows.items():
            above = 1 + sum(score > scores[item] + 1e-9 for score in scores.values())
            assert getattr(row, f"{outcome.which}_rank") == above
        own = scores.pop(setting.case.target)
        assert outcome.margin == pytest.approx(own - sum(scores.values()) / 4, abs=4e-4)
    assert [row.best_rank for row in done.candidates] == sorted(row.best_rank for row in done.candidates)
    assert [row.is_target for row in done.candidates].count(True) == 1


def test_where_no_set_is_better_only_real_sets_are_named(reports):
    none = reports[-1].zero_shot
    done = reports[-1].model_copy(update={"best": none, "found": none, "target_answer": "No"})
    assert verdict(done) == "No set of demonstrations serves this user's known choices better than none."
    assert "with the set found" not in target_place(done)
    assert "a later place is better" in target_place(done)
    own = done.model_copy(update={"best": done.current, "found": done.current})
    assert verdict(own) == "This user's demonstrations stand: no set found is better on the known choices."


def test_a_set_that_newer_choices_speak_against_is_said_to_be_dropped(reports):
    done, dropped = (
        reports[-1],
        "the set that the search found is not better on the newer choices, which it had not read.",
    )
    found = done.current.model_copy(update={"demo_ids": ("v:1", "v:2")})
    none = done.model_copy(update={"best": done.zero_shot, "found": found})
    assert verdict(none) == f"No demonstrations are advised: {dropped}"
    own = done.model_copy(update={"best": done.current, "found": found})
    assert verdict(own) == f"This user's demonstrations stand: {dropped}"


def test_no_more_is_spent_than_the_budget(reports):
    done = reports[-1]
    assert done.search_passes <= 20.0
    assert done.path[-1].passes <= done.search_passes <= done.passes


def test_the_best_is_never_below_zero_shot(reports):
    for one in reports[1:]:
        assert one.best.objective >= one.zero_shot.objective
        assert one.best.mean >= one.zero_shot.mean
    assert reports[-1].current is not None
    assert [row.best for row in reports[-1].path] == sorted(row.best for row in reports[-1].path)


def test_the_best_set_can_be_asked_for_as_it_is(films, model, reports):
    done = reports[-1]
    asked = small().case.model_copy(update={"demo_ids": done.best.demo_ids, "strategy": "manual"})
    setting = set_up(Task(case=asked), films, model)
    assert tuple(demo.demo_id for demo in setting.demos) == done.best.demo_ids
    scores = Scorer(model, setting.prompt).full()
    target = setting.case.candidates.index(setting.case.target)
    outcome = next(one for one in done.outcomes if one.which == "best")
    assert outcome.score == pytest.approx(scores[target], abs=2e-4)
    assert outcome.rank == ranks(scores)[target]
    assert outcome.ndcg == ndcg(outcome.rank)


def test_nothing_shown_in_the_search_is_as_new_as_the_case(films, reports):
    done = reports[-1]
    moment = films.history("u")[-1].timestamp
    assert all(row.timestamp < moment for row in done.held_out)
    for row in done.shortlist:
        user, position = row.demo_id.split(":")
        assert films.history(user)[int(position)].timestamp < moment
    assert done.target_answer == "Yes"


def test_equal_tasks_have_equal_reports(films, model, reports):
    assert _bare(last(small(), films, model)) == _bare(reports[-1])


def test_cancelled_it_leaves_the_best_so_far(films, model):
    seen = []

    def progress(label, fraction):
        assert 0 <= fraction <= 1
        if len(seen) == 2:
            raise Cancelled("stopped")

    def read():
        for report in improve(small(), dataset=films, model=model, progress=progress):
            seen.append(report)

    with pytest.raises(Cancelled):
        read()
    assert len(seen) == 2
    assert seen[-1].best is not None


@pytest.mark.parametrize("scoring", ["sum", "calibrated"])
def test_next_item_is_judged_by_the_share_of_the_choice(films, model, scoring):
    done = last(small({"family": "next_item", "scoring": scoring}), films, model)
    assert done.zero_shot.mean <= 0
    assert all(row.answer is None for row in done.shortlist + done.held_out)
    assert done.target_answer is None


def test_the_truth_alone_needs_no_other_items(films, model):
    done = last(small(objective="truth", budget=8.0), films, model)
    assert done.path[0].passes < last(small(budget=8.0), films, model).path[0].passes


def test_the_truth_needs_ratings(made, model):
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", *(f"u\t{n}\t{n}" for n in range(6))])
    with pytest.raises(RequestError, match="the objective truth needs Yes and No"):
        last(small(objective="truth"), dataset, model)


def test_an_earlier_set_is_judged_first_and_its_drift_shown(films, model):
    done = last(small(start=("v:2", "u:9"), start_objective=0.5), films, model)
    assert done.path[1].move == "start"
    assert done.path[1].demo_ids == ("v:2", "u:9")
    assert done.start.objective == done.path[1].objective
    assert done.start_objective == 0.5
    assert {one.which for one in done.outcomes} == {"zero_shot", "current", "start", "best"}


def test_demonstrations_by_hand_are_the_current_ones(films, model):
    done = last(small({"demo_ids": ("v:2", "u:9:no"), "strategy": "manual"}), films, model)
    assert done.outcomes[1].demo_ids == ("v:2", "u:9:no")


def test_the_own_set_can_be_returned_whatever_its_strategy(films, model):
    done = last(small({"strategy": "random"}), films, model)
    assert set(done.current.demo_ids) <= {row.demo_id for row in done.shortlist}
    assert done.path[1].demo_ids == done.current.demo_ids
    assert done.path[1].move == "start"


def test_more_current_demonstrations_than_a_set_may_have_are_judged_aside(films, model):
    rich = last(small({"demos": 4}, budget=60.0), films, model)
    assert len(rich.current.demo_ids) == 4
    poor = last(small({"demos": 4}, budget=8.0), films, model)
    assert poor.current is None
    assert any("own demonstrations are not judged" in notice for notice in poor.notices)


def test_a_pool_that_is_smaller_than_k_is_said(made, model):
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", *(f"u\t{n}\t{n}" for n in range(4))])
    done = last(small(k=4, shortlist=6, budget=60.0), dataset, model)
    assert "Only 3 demonstrations can be shown, fewer than the 4 asked for." in done.notices
    assert len(done.shortlist) == 3


def test_fewer_choices_than_asked_for_are_said(films, model):
    done = last(small(held_out=32, confirm=4, budget=30.0), films, model)
    told = "The user has 10 choices that can be held out, fewer than 36: 6 judge sets, 4 confirm the set found."
    assert told in done.notices
    assert (len(done.held_out), len(done.confirming)) == (6, 4)


def test_without_recents_the_held_out_choices_are_no_demonstrations(films, model):
    done = last(small(recents=False), films, model)
    held = {f"u:{row.position}" for row in done.held_out}
    assert not held & {row.demo_id for row in done.shortlist}
    assert all(row.back is None for row in done.shortlist if row.user_id == "u")


def test_the_pool_can_be_encoded_within_half_the_budget(films, model):
    done = last(small(encode=True, budget=60.0), films, model)
    assert all(row.embedding is not None and row.effect is not None for row in done.shortlist)
    poor = last(small(encode=True, budget=6.0), films, model)
    assert all(row.embedding is None for row in poor.shortlist)
    assert any("The pool is not encoded" in notice for notice in poor.notices)


def test_a_case_without_its_target_has_no_before_and_after(films, model):
    target = films.history("u")[-1].item_id
    others = tuple(item for item in films.catalogue.ids if item != target)[:4]
    done = last(small({"candidate_ids": others}), films, model)
    assert done.best is not None
    assert done.outcomes is None
    assert done.target is None
    assert any("its place is not known" in notice for notice in done.notices)
    assert target_place(done).endswith("so there is no verdict on this case's target.")
    assert len(done.candidates) == 4
    assert not any(row.is_target for row in done.candidates)


def test_too_small_a_budget_is_told_with_what_is_needed(films, model):
    with pytest.raises(
        RequestError, match=r"a budget of 0\.1 passes; expected at least \d+\.\d, to judge the empty set"
    ):
        last(small(budget=0.1), films, model)


def test_too_little_history_is_told(made, model):
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", "u\t1\t1", "u\t2\t2", "v\t1\t0", "v\t3\t1"])
    with pytest.raises(DataError, match="none that can be held out; expected at least 2"):
        last(small(), dataset, model)


@pytest.mark.parametrize(
    ("option", "value"),
    [("k", 0), ("lam", -0.1), ("lam", 10.1), ("budget", 0), ("pool", 0), ("mmr", 1.5), ("patience", 0)],
)
def test_choices_out_of_range_are_refused_with_one_sentence(option, value):
    with pytest.raises(RequestError, match=f"improve: {option} is {value}"):
        checked(ImproveTask, "improve", {option: value})


# ---- choices that confirm


CONFIRMED = {"held_out": 3, "confirm": 5, "budget": 25.0}


@pytest.fixture(scope="module")
def confirmed(films, model):
    return last(small({"family": "next_item"}, **CONFIRMED), films, model)


def _prompt_score(films, model, report, row, demo_ids):
    """log_share of a choice by one plain prompt, its demonstrations named by hand."""
    held = held_out(films, case_of(films, "u", candidates=5), count=8, negatives=2, family="next_item", history=2)
    choice = next(one for one in held if one.position == row.position)
    demos = by_ids(films, choice.case, demo_ids, history=2) if demo_ids else ()
    setting = set_up(report.task, films, model)
    items = films.items(sorted(item_ids(choice.case, demos)))
    scores = Scorer(model, setting.write(choice.case, demos, items=items)).full()
    return float(scores[0] - np.logaddexp.reduce(scores))


def test_zero_shot_on_the_confirming_choices_is_what_plain_prompts_say(films, model, confirmed):
    assert (len(confirmed.held_out), len(confirmed.confirming)) == (3, 3), "6 choices are liked"
    assert max(row.position for row in confirmed.held_out) < min(row.position for row in confirmed.confirming)
    expected = [_prompt_score(films, model, confirmed, row, ()) for row in confirmed.confirming]
    (zero,) = (row for row in confirmed.confirmed if row.against == "zero_shot")
    assert zero.rival_mean == pytest.approx(np.mean(expected), abs=2e-4)
    assert zero.gap == pytest.approx(zero.mean - zero.rival_mean, abs=1e-6)
    assert (zero.choices, zero.permutations) == (3, 8)
    judged = [_prompt_score(films, model, confirmed, row, ()) for row in confirmed.held_out]
    assert min(judged) <= confirmed.zero_shot.mean <= max(judged)


def test_the_set_advised_is_nowhere_below_none_and_the_own_one(confirmed):
    rows = {row.against: row for row in confirmed.confirmed}
    assert "chance" in rows
    if all(rows[rival].gap >= 0 for rival in ("zero_shot", "current")):
        assert confirmed.best == confirmed.found
    else:
        assert confirmed.best != confirmed.found
        assert any("did worse on 3 newer choices than" in guard for guard in confirmed.guards)
    assert confirmed.best.objective >= confirmed.zero_shot.objective


@pytest.mark.parametrize(
    ("zero", "current", "found", "expected"),
    [(0.0, -1.0, 0.5, "found"), (0.0, 1.0, 0.5, "current"), (1.0, 0.5, 0.5, "zero_shot"), (1.0, 2.0, 0.5, "current")],
)
def test_what_is_advised_where_newer_choices_speak_against_the_set_found(
    films, model, monkeypatch, zero, current, found, expected
):
    """Every set but none is judged alike, so the case's own set may be advised; newer choices then decide."""

    tested = improve_module.confirmation

    def confirmation(_judge, order, own, **more):
        scores = {(): zero, own: current}
        known = SimpleNamespace(
            ask=lambda asked: np.array([scores.get(question.order, found) for question, _ in asked])
        )
        return tested(known, order, own, **more)

    def judged(judge, asked):
        return np.array([0.0 if not question.order else 1.0 + 0.1 * len(question.order) for question, _ in asked])

    monkeypatch.setattr(improve_module, "confirmation", confirmation)
    monkeypatch.setattr(improve_module.PromptJudge, "ask", judged)
    done = last(small({"demos": 1}, **CONFIRMED, k=2), films, model)
    assert len(done.found.demo_ids) == 2
    assert done.best.demo_ids == getattr(done, expected).demo_ids
    assert len(done.guards) == (expected != "found")


def test_the_target_changes_nothing_in_the_search(films, model, made, film_lines):
    """The same data but for what the user chose at the case's moment, among the same candidates."""
    candidates = tuple(case_of(films, "u", candidates=5).candidates)
    target = case_of(films, "u", candidates=5).target
    other = next(item for item in candidates if item != target)
    moment = f"{films.history('u')[-1].timestamp:g}"
    lines = [
        line.replace(f"u\t{target}\t", f"u\t{other}\t") if line.endswith(f"\t{moment}") else line for line in film_lines
    ]
    assert lines != film_lines
    changed = made(lines)
    assert changed.likes.users == films.likes.users
    changed.dataset_id = films.dataset_id  # Seeds follow the data set's content, which the target is part of.
    task = small({"family": "next_item", "candidate_ids": candidates}, **CONFIRMED)
    one, two = last(task, films, model), last(task, changed, model)
    assert (one.target.item_id, two.target.item_id) == (target, other)
    for field in ("held_out", "confirming", "shortlist", "path", "found", "best", "zero_shot", "confirmed", "guards"):
        assert getattr(one, field) == getattr(two, field), field


def _tested(report, p, choices, gap=0.5):
    row = ConfirmRow(against="chance", mean=1.0, rival_mean=1 - gap, gap=gap, p=p, permutations=9, choices=choices)
    return against_chance(report.model_copy(update={"confirmed": (row,)}))


def test_the_test_against_chance_is_said_in_one_sentence(confirmed):
    assert _tested(confirmed, 0.02, 8).startswith(
        "The set found is better than chance would choose (p = 0.02 over 8 choices)."
    )
    assert _tested(confirmed, 0.004, 8).startswith("The set found is better than chance would choose (p = 0.004 over")
    assert "no better than chance would choose (p = 0.40 over 8 choices)" in _tested(confirmed, 0.4, 8)
    assert "on too few choices to tell it from luck (p = 0.12 over 3 choices)" in _tested(confirmed, 0.125, 3)
    assert "no better than chance would choose (p = 1.00 over 3 choices)" in _tested(confirmed, 1.0, 3, gap=-0.1)
    assert "No known choice is left to test" in against_chance(confirmed.model_copy(update={"confirmed": None}))
    assert against_chance(confirmed.model_copy(update={"stage": "partial"})) == ""
    nothing = confirmed.model_copy(update={"found": confirmed.zero_shot, "confirmed": None})
    assert against_chance(nothing) == ""


def test_the_default_objective_is_that_of_the_family_and_names_the_same_job():
    assert ImproveTask(case=CaseSpec(family="yes_no")).judged_by.name == "margin"
    title = CaseSpec(family="next_item")
    assert ImproveTask(case=title).judged_by.name == "log_share"
    assert ImproveTask(case=title).effective() == ImproveTask(case=title, objective="log_share").effective()
    assert ImproveTask(case=title).effective() != ImproveTask(case=title, objective="ndcg").effective()


def test_a_set_judged_by_its_place_says_so(films, model):
    done = last(small({"family": "next_item"}, objective="ndcg", budget=8.0), films, model)
    assert 0 < done.zero_shot.mean <= 1
    best = done.best.model_copy(update={"demo_ids": ("v:1",), "objective": 0.75})
    apart = f"{0.75 - done.zero_shot.objective:.2f} NDCG@10 above no demonstrations"
    assert apart in verdict(done.model_copy(update={"best": best, "found": best}))


def test_before_and_after_are_those_of_the_blended_list(films, model):
    """User number n met item (3 n + 7 place) mod 24 at 10 place + n; the second of three was disliked."""
    case = {"prior": 25.0}
    done, setting = last(small(case), films, model), set_up(Task(case=small(case).case), films, model)
    moment = setting.case.moment
    met = [(number, place) for number in range(6) for place in range(12)]
    likes = [(3 * n + 7 * place) % 24 for n, place in met if place % 3 != 1 and 10 * place + n < moment]
    prior = np.array([25.0 * np.log1p(likes.count(int(item))) for item in setting.case.candidates])
    assert len(set(prior)) > 1
    plain = set_up(Task(case=small().case), films, model)
    for which in ("zero_shot", "current", "best"):
        row = next(each for each in done.outcomes if each.which == which)
        demos = by_ids(films, setting.case, row.demo_ids, history=2)
        items = films.items(item_ids(setting.case, demos))
        alone = Scorer(model, plain.write(plain.case, demos, items=items)).full()
        target = setting.case.candidates.index(setting.case.target)
        assert row.score == pytest.approx(float(alone[target] + prior[target]), abs=1e-4)
        assert row.rank == ranks((alone + prior).round(4))[target]
    assert any("25 x log(1 + likes before the moment)" in notice for notice in done.notices)

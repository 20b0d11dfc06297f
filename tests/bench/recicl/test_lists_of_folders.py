"""Part `recicl` on other people's data: ranks by hand, popularity without last choices, a run taken up again."""

import copy
import dataclasses

import numpy as np
import pytest
from adapters import saved_adapter
from references import language_model

from bench import folder_cases
from bench.case_list import FAMILIES, Bench
from bench.recicl import lists_of_folders
from bench.recicl.lists_of_folders import DEPTHS, POPULARITY, RankedLists, interaction_counts
from core.data.dataset import open_dataset
from core.lm.loading import adapter
from core.lm.scoring.score import Scorer
from core.metrics.ranking import expected_ndcg, ndcg
from core.tuning.evaluation.ways import RANKING, AnsweringWay

USERS = 7


@pytest.fixture
def plays(tiny_llama, tiny_tokenizer, write, tmp_path, monkeypatch):
    """Seven users with twelve choices and a given list each, and a RecICL adapter for the tiny network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(adapter, "ADAPTERS", tmp_path / "adapters")
    saved_adapter(tiny_llama, tmp_path / "adapters" / "recicl", seed=1)
    network = copy.deepcopy(tiny_llama)
    network.config.max_position_embeddings = 4096
    model = dataclasses.replace(language_model(network, tiny_tokenizer), context=4096)
    lists = "".join(f"u{user}\t{' '.join(map(str, range(40, 60)))}\n" for user in range(USERS))
    bench = folder_cases.bench_of_folder(
        Bench(model, None, 0), write(tmp_path / "plays", [12] * USERS, candidates=lists)
    )
    yield bench
    bench.dataset.close()


def test_popularity_does_not_know_last_choices(write, tmp_path, monkeypatch):
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    # u0 meets 0 1 2, u1 meets 7 8, u2 meets 14 alone: without the last ones 0, 1 and 7 stay, each once.
    dataset = open_dataset(write(tmp_path / "few", [3, 2, 1]))
    assert interaction_counts(dataset) == {"0": 1, "1": 1, "7": 1}
    dataset.close()


def gains(*places: int) -> list[list[float]]:
    """NDCG at every depth of a list each."""
    return [[ndcg(place, depth) for depth in DEPTHS] for place in places]


def test_worth_is_the_mean_gain_of_the_ranks(plays):
    lists = RankedLists(plays, ["u0", "u1"], {}, {}, ranked=["u0", "u1"], ndcg={(None, POPULARITY): gains(1, 3)})
    worth = lists.at_depths((None, POPULARITY))
    assert [one.value for one in worth] == [sum(ndcg(rank, depth) for rank in (1, 3)) / 2 for depth in DEPTHS]
    assert [one.value for one in worth] == [0.5, 0.75, 0.75]
    assert (worth[1].low, worth[1].high) == (0.5, 1.0)
    assert "plays: NDCG@5, popularity (2 lists)" in {row.measure for row in lists.rows()}
    assert "0.750 [0.500, 1.000]" in lists.table()


def test_a_gain_is_paired(plays):
    users, models = ["u0", "u1"], {"recicl": plays.model}
    ranks = {"yes_no": ([1, 3], [3, 1]), "next_item": ([1, 1], [3, 99])}
    found = {
        (family, AnsweringWay("recicl", demos).name): gains(*places)
        for family, both in ranks.items()
        for demos, places in zip((4, 0), both, strict=True)
    }
    gained = dict(RankedLists(plays, users, models, {}, ranked=users, ndcg=found).gains())
    assert [gained[f"{family}, gain of RecICL by 4 demonstrations"].value for family in FAMILIES] == [0.0, 0.75]


def test_every_way_ranks_the_given_lists_and_a_cut_run_goes_on(plays, tmp_path, capsys):
    first = next(lists_of_folders.recicl_of_folders([plays], USERS))
    assert all("(5 lists)" in one.measure for one in first)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bench-cases-recicl/*.json")}
    assert len(before) == len(RANKING) * len(FAMILIES)
    *_, last = lists_of_folders.recicl_of_folders([plays], USERS)
    assert len(last) == (len(RANKING) * len(FAMILIES) + 1) * len(DEPTHS) + 2 * len(FAMILIES)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    said = capsys.readouterr().out
    assert f"plays, {USERS} lists" in said
    assert folder_cases.CANDIDATE_FILE in said


def test_a_rank_is_that_of_the_whole_prompt_from_scratch(plays):
    lists = lists_of_folders.lists_of(plays, 1)
    (user,) = lists.users
    lists.take([user])
    for family, way in lists_of_folders.RANKERS:
        setting = lists._settings(user)[family, way.name]
        scores = Scorer(lists.models[way.tuned], setting.prompt).full()
        better = (scores > scores[setting.case.candidates.index(setting.case.target)]).sum()
        assert lists.ndcg[family, way.name] == gains(better + 1)
        assert len(setting.prompt.demos) == way.demos


def test_a_blend_is_ranked_from_the_same_scores_and_held_against_both_of_its_parts(plays):
    lists = lists_of_folders.lists_of(plays, 2)
    lists.weight_of = lambda adapter, family, _: 2.5 if (adapter, family) == ("recicl", "yes_no") else 0.0
    lists.take(lists.users)
    names = [name for family, name in lists.ndcg if "blend" in name]
    assert names == [f"{AnsweringWay('recicl', demos).name}, blend 2.5" for demos in (0, 4)]
    for row, user in enumerate(lists.users):
        for way in (each for each in RANKING if each.tuned == "recicl"):
            setting = lists._settings(user)["yes_no", way.name]
            likes = plays.dataset.cursor().execute(
                "SELECT item_id, count(*) FROM interactions WHERE timestamp < ? GROUP BY item_id", [setting.case.moment]
            )
            counts = dict(likes.fetchall())
            popular = np.array([np.log1p(counts.get(item, 0)) for item in setting.case.candidates])
            scores = Scorer(lists.models["recicl"], setting.prompt).full() + 2.5 * popular
            place = setting.case.candidates.index(setting.case.target)
            expected = [expected_ndcg(scores, place, depth) for depth in DEPTHS]
            assert lists.ndcg["yes_no", f"{way.name}, blend 2.5"][row] == pytest.approx(expected)
    apart = dict(lists.over_parts())
    assert [label.rpartition(" minus ")[2] for label in apart] == ["the model alone", POPULARITY] * 2
    assert "blend 2.5 minus the model alone" in lists.table()


def test_who_cannot_be_asked_about_is_left_out_and_told(plays):
    lists = lists_of_folders.lists_of(plays, 1)
    lists.take(["u99"])
    assert lists.ndcg == {}
    assert list(lists.rows()) == []
    assert lists.left_out[0].startswith("plays: user u99 is left out: ")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["amazon_games", "amazon_office_2018", "lastfm"])
def test_one_list_of_shared_data(plays, shared, name, capsys):
    bench = folder_cases.bench_of_folder(plays, shared(name))
    *_, last = lists_of_folders.recicl_of_folders([bench], 1)
    assert all(one.measure.startswith(f"{name}: ") and "(1 lists)" in one.measure for one in last)
    assert f"{name}, 1 lists" in capsys.readouterr().out
    bench.dataset.close()

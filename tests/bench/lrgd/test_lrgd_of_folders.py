"""Part `lrgd` on several data sets: rounds over them, their tables, and every measure once on a tiny network."""

import copy
import dataclasses

import pytest
from references import language_model

from bench import case_list as cases
from bench import folder_cases
from bench.lrgd import lrgd_of_folders, search_sets
from bench.lrgd.lrgd_of_folders import NOTHING, cell, table
from bench.lrgd.lrgd_part import TABLES
from bench.lrgd.search_sets import OTHERS, OURS
from bench.results_table import as_row
from core.errors import RequestError

# ---- tables


def test_what_differs_between_data_sets_stands_in_the_cell():
    assert cell(as_row("yes_no, AUC (7 cases), two-stage minus BM25 4", (0.25, -0.125, 0.5), "> 0")) == (
        *("yes_no, AUC, two-stage minus BM25 4 [> 0]", "0.250 [-0.125, 0.500] (7)"),
    )
    assert cell(as_row("seconds", [2.0], "<= 1")) == ("seconds [<= 1]", "2.000!")
    assert cell(as_row("AUC (0 cases)", [float("nan")])) == ("AUC", f"{NOTHING} (0)")
    assert cell(as_row("error", [0.0001]))[1] == "1.0e-04"


def test_a_line_that_one_data_set_lacks_keeps_its_place():
    text = table("measure", {"one": {"a": "1", "c": "3"}, "two": {"a": "4", "b": "5", "c": "6"}})
    assert [line.split() for line in text.splitlines()] == [
        ["measure", "one", "two"],
        ["a", "1", "4"],
        ["b", NOTHING, "5"],
        ["c", "3", "6"],
    ]


# ---- on a tiny network


@pytest.fixture(scope="module")
def tiny(tiny_llama, tiny_tokenizer, tmp_path_factory):
    """The tiny model as a bench without data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        plain = copy.deepcopy(tiny_llama)
        patch.setattr(cases, "plain_network", lambda folder: plain)
        network = copy.deepcopy(tiny_llama)
        network.config.max_position_embeddings = 8192
        model = dataclasses.replace(language_model(network, tiny_tokenizer), context=8192)
        yield cases.Bench(model, None, 0)


@pytest.fixture(scope="module")
def benches(tiny, write, tmp_path_factory):
    """`plays`: every answer Yes, candidates given; `notes`: ratings of 2 and 5, candidates sampled."""
    top = tmp_path_factory.mktemp("data")
    lists = "".join(f"u{user}\t{' '.join(str(item) for item in range(40, 60))}\n" for user in range(6))
    plays = write(top / "plays", [12] * 6, candidates=lists)
    notes = write(top / "notes", [13] * 5, rating=lambda place: 5 - 3 * (place % 3 == 1), apart=1)
    return [folder_cases.bench_of_folder(tiny, folder) for folder in (plays, notes)]


def records(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def test_a_whole_run_and_going_on_after_it(benches, small, capsys):
    *first, last = lrgd_of_folders.lrgd_of_folders(benches, 2)
    text = capsys.readouterr().out
    measures = [one.measure for one in last]
    assert len(set(measures)) == len(measures)
    for name in ("plays", "notes"):
        for wanted in ("two-stage search", "rank correlation", "flip rate", "pool of 14", "robustness sweep of"):
            assert any(one.startswith(f"{name}: ") and wanted in one for one in measures)
    both = "log-odds of the true answer"
    assert [any(one.startswith(name) and both in one for one in measures) for name in ("plays", "notes")] == [0, 1]
    (line,) = (one for one in text.splitlines() if one.startswith(f"yes_no, {both}, nats, {OURS}  "))
    assert line.split()[-4:-2] == [OURS, NOTHING]
    assert "plays: " in text
    assert "20 candidates in random order have an NDCG@10 of 0.227." in text
    before = records(small)
    assert len(before) == 2 * (2 + 2 + 2 + 1 + 1)
    assert list(lrgd_of_folders.lrgd_of_folders(benches, 2))[-1] == last
    assert records(small) == before
    assert {one.measure.split(":")[0] for one in first[0]} == {"plays"}
    assert {one.measure.split(":")[0] for one in first[1]} == {"plays", "notes"}


def test_every_data_set_has_its_turn_at_every_step(benches, small, monkeypatch):
    taken = []
    monkeypatch.setattr(
        lrgd_of_folders.Course, "take", lambda course, part, place: taken.append((id(course), part, place))
    )
    list(lrgd_of_folders.lrgd_of_folders(benches, 3))
    turns = [(taken[at], taken[at + 1]) for at in range(0, len(taken), 2)]
    assert all(one[1:] == other[1:] and one[0] != other[0] for one, other in turns)
    assert {part for _, part, _ in taken} == set(TABLES)


def test_a_case_that_cannot_be_measured_is_left_out_and_told(benches, small, monkeypatch, capsys):
    def refuse(*_):
        raise RequestError("a budget of 12 passes", expected="more")

    monkeypatch.setattr(search_sets, "records_of", refuse)
    monkeypatch.setattr(lrgd_of_folders, "plan", lambda *_: [("sets", 0), ("pool", 0)])
    last = list(lrgd_of_folders.lrgd_of_folders(benches[:1], 1))[-1]
    assert not any("two-stage" in one.measure for one in last)
    said = capsys.readouterr().out
    assert "plays: case 1 of part sets is left out: a budget of 12 passes" in said


def test_a_data_set_with_fewer_users_says_so(benches, small, monkeypatch, capsys):
    monkeypatch.setattr(lrgd_of_folders.Course, "take", lambda course, part, place: None)
    list(lrgd_of_folders.lrgd_of_folders(benches[1:], 5))
    assert "only" not in capsys.readouterr().out
    monkeypatch.setattr(lrgd_of_folders, "UTILITY_SHARE", 2.0)
    list(lrgd_of_folders.lrgd_of_folders(benches[1:], 5))
    assert "notes: " in (said := capsys.readouterr().out)
    assert "The utility check finds only 8 cases." in said
    with pytest.raises(SystemExit, match="notes has too few users"):
        list(lrgd_of_folders.lrgd_of_folders(benches[1:], 6))
    with pytest.raises(SystemExit, match="two data sets are named notes"):
        list(lrgd_of_folders.lrgd_of_folders([benches[1]] * 2, 1))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["amazon_games", "amazon_office_2018", "lastfm"])
def test_every_measure_of_one_case_of_shared_data(tiny, small, shared, name, capsys):
    bench = folder_cases.bench_of_folder(tiny, shared(name))
    last = list(lrgd_of_folders.lrgd_of_folders([bench], 1))[-1]
    assert all(one.measure.startswith(f"{name}: ") for one in last)
    parts = (f"minus {next(iter(OTHERS))}", "rank correlation", "flip rate", "pool of 14", "robustness sweep of")
    for wanted in parts:
        assert any(wanted in one.measure and one.value is not None for one in last)
    assert name in capsys.readouterr().out
    bench.dataset.close()

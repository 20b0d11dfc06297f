"""Users and candidates of other people's data: given lists, short histories, timestamps that are no dates."""

import copy
import dataclasses

import pytest
from references import language_model

from bench import folder_cases
from bench.case_list import Bench
from bench.folder_cases import CANDIDATE_FILE, FolderBench, candidate_lists
from core.analysis.quality.quality_work import scored_setting
from core.analysis.setting import setting_for
from core.data.dataset import open_dataset
from core.errors import DataError
from core.question.case_spec import CaseSpec


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def model(tiny_llama, tiny_tokenizer):
    return dataclasses.replace(language_model(copy.deepcopy(tiny_llama), tiny_tokenizer), context=4096)


def opened(model, folder):
    return folder_cases.bench_of_folder(Bench(model, None, 0), folder)


def listed(user, *items):
    return f"{user}\t{' '.join(str(item) for item in items)}\n"


# ---- the candidates' file


def test_lists_are_read_by_user_and_repeats_count_once(home, write):
    data = open_dataset(write(home / "plays", [6, 6, 6]))
    path = home / "lists"
    path.write_text(listed("u1", 5, 3, 5, 9) + "\n" + listed("u0", 2))
    assert candidate_lists(path, data) == {"u1": ("5", "3", "9"), "u0": ("2",)}
    assert candidate_lists(home / "nothing", data) == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("u1 3 4\n", "lists, line 2: there is no tab; expected a user, a tab, and item ids"),
        (listed("u9", 3), "lists, line 2: user 'u9' is not in plays"),
        (listed("u1", 3, 99), "lists, line 2: item '99' is not in plays"),
    ],
)
def test_a_line_that_does_not_belong_is_named(home, write, line, words):
    data = open_dataset(write(home / "plays", [6, 6, 6]))
    path = home / "lists"
    path.write_text(listed("u0", 1) + line)
    with pytest.raises(DataError) as raised:
        candidate_lists(path, data)
    assert str(raised.value) == words


# ---- specs


def test_given_candidates_are_the_first_of_the_list_and_the_target(home, model, write):
    lists = listed("u0", *range(30, 58)) + listed("u1", 40, 12, *range(41, 58))
    bench = opened(model, write(home / "plays", [6, 6], candidates=lists))
    first = bench.case("u0", "next_item", candidates=5)
    assert set(first.candidate_ids) == {"30", "31", "32", "33", "5"}
    assert first == bench.case("u0", "next_item", candidates=5)
    assert set(bench.case("u1", "yes_no", candidates=4).candidate_ids) == {"40", "12", "41", "42"}
    for user in ("u0", "u1"):
        case = setting_for(bench.case(user, "yes_no"), bench.dataset, bench.model).case
        assert case.target in case.candidates
        assert len(case.history) == 5


def test_the_place_of_the_target_differs_between_users(home, model, write):
    lists = "".join(listed(f"u{user}", *range(40, 59)) for user in range(4))
    bench = opened(model, write(home / "plays", [6] * 4, candidates=lists))
    asked = [bench.case(f"u{user}", "next_item") for user in range(4)]
    assert len({one.candidate_ids.index(bench.dataset.history(one.user)[-1].item_id) for one in asked}) > 1


def test_without_a_file_the_candidates_are_sampled(home, model, write):
    folder = write(home / "plays", [6, 6])
    asked = opened(model, folder).case("u0", "next_item", demos=4)
    assert asked == CaseSpec(dataset=folder, user="u0", family="next_item", strategy="recent", demos=4, candidates=20)


def test_users_are_those_with_a_list_and_enough_choices(home, model, write):
    lists = "".join(listed(f"u{user}", *range(40, 59)) for user in (0, 1, 2))
    counts = [6, 4, 5, 9]
    given = opened(model, write(home / "given", counts, candidates=lists))
    sampled = opened(model, write(home / "sampled", counts))
    assert sorted(given.users()) == ["u0", "u2"]
    assert sorted(sampled.users()) == ["u0", "u2", "u3"]
    assert list(sampled.users()) == list(sampled.users())


def test_ranked_users_have_a_choice_that_the_prompt_does_not_show(home, model, write):
    bench = opened(model, write(home / "plays", [10, 11, 12, 15, 40]))
    assert dict(bench.ranked()) == {"u1": 4, "u2": 5, "u3": 8, "u4": 8}
    for user, demos in bench.ranked():
        setting = setting_for(bench.case(user, "next_item", demos=demos), bench.dataset, bench.model)
        assert scored_setting(setting, proxy=True) is not None


def test_the_sample_is_the_bench_itself(model):
    bench = Bench(model, None, 0)
    assert folder_cases.bench_of_folder(bench, "sample") is bench


# ---- what a reader is told


def test_notes_tell_protocol_answers_and_order(home, model, write):
    lists = "".join(listed(f"u{user}", *range(40, 59)) for user in range(2))
    plays = opened(model, write(home / "plays", [6, 6], candidates=lists))
    text = " ".join(plays.notes())
    assert f"first 19 of each list in {CANDIDATE_FILE} and the target" in text
    assert "All true answers are Yes" in text
    assert "begin anew with every user" in text


def test_dates_and_ratings_need_no_warning(home, model, write):
    folder = write(home / "rated", [6, 6], rating=lambda place: 1 + place % 5, apart=1_000)
    text = " ".join(opened(model, folder).notes())
    assert "drawn at random" in text
    assert "Yes" not in text
    assert "anew" not in text


# ---- real data


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "size", "rated", "anew", "lists"),
    [
        ("amazon_games", (50_546, 16_859, 440_264), False, True, 200),
        ("lastfm", (1_142, 11_853, 68_436), False, True, 200),
        ("amazon_office_2018", (3_231, 3_317, 21_290), True, False, 0),
    ],
)
def test_shared_data_follow_their_protocol(stored, shared, model, name, size, rated, anew, lists):
    bench = opened(model, shared(name))
    assert isinstance(bench, FolderBench)
    data = bench.dataset
    assert tuple(data.size[key] for key in ("users", "items", "interactions")) == size
    assert (data.has_ratings, any("anew" in note for note in bench.notes())) == (rated, anew)
    assert len(bench.lists) == lists
    assert all(len(items) == 100 for items in bench.lists.values())
    for user in list(bench.users())[:5]:
        case = setting_for(bench.case(user, "next_item", demos=4), data, bench.model).case
        met = data.history(user)
        assert case.target == met[-1].item_id
        assert case.target in case.candidates
        assert len(set(case.candidates)) == 20
        assert not {one.item_id for one in met[:-1]} & (set(case.candidates) - {case.target})
        if lists:
            assert [one.item_id for one in case.history] == [one.item_id for one in met[:-1]]
            assert set(case.candidates) - {case.target} <= set(bench.lists[user][:20])
    data.close()

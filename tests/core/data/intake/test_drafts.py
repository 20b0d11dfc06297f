"""Files on their way are read in a limited child, corrected, and stored at once or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from core_data_imports import written
from waiting import until

from core.data.dataset import open_dataset
from core.data.intake import drafts as drafts_file
from core.data.intake.drafts import Drafts
from core.data.intake.limited_reading import ReadingLimits, ReadingOutcome, read_limited
from core.data.intake.uploads import Upload
from core.data.names import dataset_names
from core.data.reading.import_choices import DataChoices
from core.data.reading.sources import recognised
from core.data.stored import prepared
from core.errors import Cancelled, DataError

GAMES = "user,item,rating,time\na,1,5,1000000000\na,2,3,1000000005\nb,1,4,1000000001\nb,2,oops,1000000002\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def upload(name: str, text: str) -> Upload:
    return Upload(name, io.BytesIO(text.encode()), len(text))


def outcome(drafts: Drafts, name: str) -> ReadingOutcome:
    until(lambda: not (state := drafts.state(name)) or not state.busy, seconds=120)
    state = drafts.state(name)
    assert state is not None
    assert state.outcome is not None
    return state.outcome


def test_the_child_reports_what_a_reading_here_reports(tmp_path: Path, scratch: Path) -> None:
    paths, choices = written(tmp_path / "x", {"games.csv": GAMES}), DataChoices(like_from=5)
    with prepared(recognised(paths, choices)) as data:
        report = data.report
    result = read_limited(paths, choices, scratch)
    assert result.fault is None
    assert result.prepared is not None
    assert result.prepared.report == report
    assert result.origin is not None
    assert (result.origin.files, result.origin.choices) == (("games.csv",), choices)
    (head,) = result.heads
    assert (head.role, head.columns) == ("interactions", ("user", "item", "rating", "time"))
    assert head.rows[0] == ("a", "1", "5", "1000000000")


def test_a_cell_that_unpacks_to_too_much_is_refused(tmp_path: Path, scratch: Path) -> None:
    text = pa.array(["x" * 400_000_000, "y"])
    table = pa.table({"user_id": ["a", "b"], "item_id": text})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    result = read_limited([tmp_path / "bomb.parquet"], DataChoices(), scratch, limits=ReadingLimits(3 * 2**29))
    assert result.prepared is None
    assert result.fault is not None
    assert "bomb.parquet" in str(result.fault)


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path, scratch: Path) -> None:
    paths = written(tmp_path / "x", {"games.csv": GAMES})
    result = read_limited(paths, DataChoices(), scratch, limits=ReadingLimits(cpu_seconds=0.01))
    assert str(result.fault) == ("games.csv: is not read within 10 ms of processor time; expected a smaller data set")


def test_the_child_ends_where_nobody_waits_for_it(tmp_path: Path, scratch: Path) -> None:
    def between(_: str) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        read_limited(written(tmp_path / "x", {"games.csv": GAMES}), DataChoices(), scratch, between=between)


def test_the_child_gets_no_key_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.data.intake import limited_reading

    monkeypatch.setenv("DEMOLENS_SERVER_KEY", "secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert "secret" not in limited_reading._environment().values()


def test_a_draft_is_corrected_and_stored(home: Path) -> None:
    drafts = Drafts()
    name = drafts.upload([upload("games.csv", GAMES)])
    first = outcome(drafts, name)
    assert first.prepared is not None
    assert first.prepared.report.ratings.like_from == 4
    assert dataset_names() == ()
    drafts.read(name, DataChoices(like_from=3))
    drafts.read(name, DataChoices(like_from=5))  # The reading before it ends.
    corrected = outcome(drafts, name)
    assert corrected.choices.like_from == 5
    entry = drafts.add(name, "games")
    assert (entry.report.ratings.like_from, entry.choices.like_from, entry.files) == (5, 5, ("games.csv",))
    assert open_dataset("games").size == {"users": 2, "items": 2, "interactions": 3}
    assert drafts.state(name) is None
    assert not list((home / "scratch").glob("*/*"))
    with pytest.raises(DataError, match="not read any more"):
        drafts.add(name, "again")


def test_more_files_join_and_take_the_place_of_those_of_the_same_name(home: Path) -> None:
    drafts = Drafts()
    name = drafts.upload([upload("games.csv", GAMES)])
    outcome(drafts, name)
    assert drafts.upload([upload("titles.csv", "item,title\n1,Go\n2,Chess\n")], into=name) == name
    titled = outcome(drafts, name)
    assert titled.prepared is not None
    assert titled.prepared.report.titles.missing == 0
    drafts.upload([upload("games.csv", GAMES.replace("b,2,oops", "b,2,1"))], into=name)
    again = outcome(drafts, name)
    assert again.prepared is not None
    assert (again.prepared.report.interactions, again.prepared.report.rejected) == (4, 0)
    drafts.discard(name)
    assert not list((home / "scratch").glob("*/*"))


def test_the_oldest_draft_goes_with_its_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts_file, "MOST_DRAFTS", 2)
    drafts = Drafts()
    names = [drafts.upload([upload("games.csv", GAMES)]) for _ in range(3)]
    assert drafts.state(names[0]) is None
    assert all(outcome(drafts, name).prepared for name in names[1:])
    until(lambda: len(list((home / "scratch").glob("*/*"))) == 2)


def test_too_large_an_upload_leaves_nothing(home: Path) -> None:
    drafts = Drafts(most_bytes=len(GAMES))
    name = drafts.upload([upload("games.csv", GAMES)])
    with pytest.raises(DataError, match="upload: "):
        drafts.upload([upload("more.csv", "x")], into=name)
    with pytest.raises(DataError, match="upload: "):
        drafts.upload([upload("games.csv", GAMES + "x")])
    assert len(list((home / "scratch").glob("*/*"))) == 1
    assert outcome(drafts, name).prepared is not None

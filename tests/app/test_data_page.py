"""The page Data: files are shown as they are read, corrected, stored under a name, opened in Explore and removed."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from waiting import until

from app import cached
from core.data.intake.drafts import Drafts
from core.data.intake.limited_reading import ReadingLimits
from core.data.names import dataset_names, named_dataset

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
PAGE = "app/pages/data/page.py"
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"u{user},{item},{1 + (user * item) % 5},{1_500_000_000 + 1000 * user + item}\n"
    for user in range(1, 9)
    for item in range(1, 31)
    if (user + item) % 3
)
MOVIES = "movieId,title,genres\n" + "".join(f"{item},Film {item} (1999),Drama\n" for item in range(1, 31))
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def desk(example: Any, stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    preview, users = cached.preview, cached.users
    desk = example.FakeDesk()
    stand_in(desk, preview=lambda task: example.preview(task) if task.case.dataset == "sample" else preview(task))
    monkeypatch.setattr(
        "app.cached.users", lambda name, *rest: [("135", 51)] if name == "sample" else users(name, *rest)
    )
    return desk


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> Drafts:
    drafts = Drafts(most_bytes=2**20)
    monkeypatch.setattr("app.cached.drafts", lambda: drafts)
    return drafts


@pytest.fixture
def page(desk: Any, drafts: Drafts) -> AppTest:
    """The page of a person who has no data yet."""
    page = AppTest.from_file(SCRIPT, default_timeout=60).run()
    page.query_params.clear()  # As the navigation of a browser does.
    return page.switch_page(PAGE).run()


def sent(page: AppTest, files: Mapping[str, str | bytes]) -> AppTest:
    """The page after these files were dropped and read."""
    data = [(name, text if isinstance(text, bytes) else text.encode(), "text/csv") for name, text in files.items()]
    (field,) = page.get("file_uploader")
    return read(field.set_value(data).run())


def read(page: AppTest) -> AppTest:
    """The page once no reading goes on."""
    name = page.session_state["data-view"].draft
    until(lambda: not (state := cached.drafts().state(name)) or not state.busy, seconds=120)
    return page.run()


def words(page: AppTest) -> str:
    bodies = (str(element.proto.body) for element in page.main.get("html") if "<style>" not in element.proto.body)
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", " ".join(bodies))))


def test_before_the_first_file_the_page_says_what_to_do(page: AppTest) -> None:
    assert not page.exception
    assert "None yet. Drop a file above" in words(page)
    assert "DEMOLENS_DATA_FOLDERS" in words(page)
    assert not [box for box in page.text_input if box.key == "data-path"]


def test_a_file_is_reported_corrected_added_and_opened(page: AppTest, desk: Any) -> None:
    page = sent(page, {"ratings.csv": RATINGS, "movies.csv": MOVIES, "README.txt": "films of our users\n"})
    assert not page.exception
    said = words(page)
    assert "format movielens users 8 items 30 interactions 160" in said
    assert "liked from 4 on" in said
    assert "Left out: 'README.txt" in said
    assert dataset_names() == ()
    taken = {key: page.selectbox(key=f"say-{key}_column").value for key in ("user", "item", "rating", "time", "title")}
    assert taken == {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp", "title": "title"}
    page = read(page.number_input(key="say-like_from").set_value(5.0).run())
    assert "liked from 5 on" in words(page)
    page = read(page.multiselect(key="say-not_rated").set_value([1.0]).run())
    assert "Read as not rated: 1 (" in words(page)
    page = read(page.selectbox(key="say-time_column").set_value("none").run())
    assert "Times None or all equal" in words(page)
    page = read(page.button(key="recognise").click().run())
    assert "liked from 4 on" in words(page)
    page.text_input(key="data-name").set_value("films").run()
    page.button(key="add").click().run()
    assert not page.exception
    assert "films is added" in words(page)
    assert dataset_names() == ("films",)
    entry = named_dataset("films")
    assert entry is not None
    assert (entry.files, entry.report.interactions) == (("ratings.csv", "movies.csv"), 160)
    page.button(key="open-added").click().run()
    assert not page.exception
    task = desk.submissions[-1]
    assert (task.case.dataset, task.case.user) == ("films", "u1")
    data = page.selectbox(key="in-dataset")
    assert (data.value, data.options) == ("films", ["sample", "films"])
    assert page.selectbox(key="in-user").options[0].startswith("u1 · ")
    again = AppTest.from_file(SCRIPT, default_timeout=60)
    for name in page.query_params:
        again.query_params[name] = page.query_params[name]
    again.run()
    assert "names its own data" not in words(again)
    assert desk.submissions[-1] == task


def test_files_may_come_one_after_another(page: AppTest) -> None:
    page = sent(page, {"ratings.csv": RATINGS})
    assert "30 missing; 30 items that no file of items names" in words(page)
    page = sent(page, {"movies.csv": MOVIES})
    assert "Titles Nothing odd" in words(page)


def test_columns_that_are_not_clear_are_asked_for(page: AppTest) -> None:
    page = sent(page, {"odd.csv": RATINGS.replace("userId", "who").replace("movieId", "what")})
    said = words(page)
    assert "These files are no data set yet" in said
    assert "“Users” and “Items”" in said
    assert "--" not in said
    assert page.selectbox(key="say-user_column").options == ["who", "what", "rating", "timestamp"]
    page.selectbox(key="say-user_column").set_value("who").run()
    page = read(page)
    page.selectbox(key="say-item_column").set_value("what").run()
    page = read(page)
    assert "interactions 160" in words(page)


def test_hostile_names_are_text(page: AppTest) -> None:
    rows = RATINGS.replace("rating", HOSTILE.replace(",", ""), 1)
    page = sent(page, {f"../../{HOSTILE}.csv": rows, "b.csv": f"movieId,title\n1,{HOSTILE}\n2,{HOSTILE}\n"})
    assert not page.exception
    bodies = [str(element.proto.body) for element in page.get("html")]
    assert not any("<img" in body for body in bodies)
    assert any("&lt;img" in body for body in bodies)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("large.csv", b"a" * (2**20 + 1), "upload: 1 MB of files; expected at most 1 MB together"),
        ("line.csv.gz", gzip.compress(b"user_id,item_id\n" + b"a" * 2**26, 9), "line 2"),
        (
            "bomb.csv.gz",
            gzip.compress(b"user_id,item_id\n" + (b"a" * 900 + b",b\n") * 120_000, 9),
            "unpacks to more than",
        ),
        ("x.pkl", b"\x80\x05]q\x00.", "x.pkl: "),
    ],
)
def test_what_is_no_data_is_one_sentence(page: AppTest, name: str, data: bytes, sentence: str) -> None:
    page = sent(page, {name: data})
    assert not page.exception
    assert sentence in words(page)
    assert "None yet." in words(page)


def test_a_child_that_needs_too_much_memory_is_refused_and_the_page_lives(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Drafts(limits=ReadingLimits(memory_bytes=2**28))
    monkeypatch.setattr("app.cached.drafts", lambda: small)
    page = sent(page, {"ratings.csv": RATINGS})
    assert not page.exception
    assert "needs more than the 0.2 GB of memory" in words(page)
    page.button(key="discard").click().run()
    assert "None yet." in words(page)


def test_a_path_is_read_below_the_folders_of_the_owner_only(
    desk: Any, drafts: Drafts, page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "ratings.csv").write_text(RATINGS)
    (tmp_path / "secret.csv").write_text(RATINGS)
    (allowed / "way.csv").symlink_to(tmp_path / "secret.csv")
    monkeypatch.setenv("DEMOLENS_DATA_FOLDERS", str(allowed))
    page = page.run()
    for path in (tmp_path / "secret.csv", allowed / ".." / "secret.csv", allowed / "way.csv", Path("/etc/passwd")):
        page.text_input(key="data-path").set_value(str(path)).run()
        assert "this path may not be read" in words(page)
        assert page.session_state["data-view"].draft == ""
    page = read(page.text_input(key="data-path").set_value(str(allowed / "ratings.csv")).run())
    assert "interactions 160" in words(page)


def test_a_data_set_is_removed_after_a_second_press(page: AppTest) -> None:
    page = sent(page, {"ratings.csv": RATINGS})
    page.button(key="add").click().run()
    page.button(key="remove-ratings").click().run()
    assert "Remove ratings?" in words(page)
    page.button(key="keep-ratings").click().run()
    assert dataset_names() == ("ratings",)
    page.button(key="remove-ratings").click().run()
    page.button(key="removed-ratings").click().run()
    assert dataset_names() == ()
    assert "None yet." in words(page)


def test_a_name_that_is_taken_is_said(page: AppTest) -> None:
    page = sent(page, {"ratings.csv": RATINGS})
    page.button(key="add").click().run()
    page = sent(page, {"ratings.csv": RATINGS.replace("u1,", "u9,")})
    assert page.text_input(key="data-name").value == "ratings-2"
    page.text_input(key="data-name").set_value("ratings").run()
    page.button(key="add").click().run()
    assert "'ratings' already names other data" in words(page)
    assert dataset_names() == ("ratings",)

"""`demolens data`: a report first, then a name that every command takes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from core.cli import command
from core.cli.schemas import schema_text
from core.data.dataset import open_dataset

GAMES = "user,item,rating,time,note\na,1,5,1000000000,x\na,2,3,1000000005,\nb,1,4,1000000001,\nb,2,zero,1000000002,\n"


def called(*words: str) -> int:
    return command.status_of(lambda: command.app(["data", *words], standalone_mode=False))


@pytest.fixture
def games(tmp_path: Path) -> str:
    path = tmp_path / "games.csv"
    path.write_text(GAMES)
    return str(path)


def test_a_report_stores_nothing(games: str, own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("add", games, "--report") == 0
    out = capsys.readouterr().out
    assert "Format: table" in out
    assert "2 users, 2 items, 3 interactions" in out
    assert "games.csv, line 5: rating is 'zero'" in out
    assert "liked from 4 on, 67 % of the rated ones (--like-from)" in out
    assert called("list") == 0
    assert "No data set was added yet" in capsys.readouterr().out
    assert not list((own_home / "datasets").glob("*/facts.json"))


def test_add_list_show_remove(games: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("add", games, "--name", "games", "--like-from", "5", "--not-rated", "none") == 0
    assert "Added as games: demolens explain --dataset games" in capsys.readouterr().out
    assert open_dataset("games").like_threshold == 5
    assert called("list") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["games", "2", "2", "3", "table"]
    assert called("show", "games") == 0
    assert "from games.csv; licence: not stated." in capsys.readouterr().out
    assert called("show", "games", "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, json.loads(schema_text("data")))
    assert report["ratings"]["like_from"] == 5
    assert called("remove", "games") == 0
    assert called("show", "games") == 2
    assert "no data set is named 'games'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "data add: no name; expected --name NAME, or --report to store nothing"),
        (("--name", "../x"), "no name for a data set: '../x'"),
        (("--report", "--like-from", "much"), "like_from is 'much'"),
        (("--report", "--time-unit", "weeks"), "time_unit is 'weeks'"),
        (("--report", "--item-column", "thing"), "no column 'thing' for --item-column; expected one of 'user', 'item'"),
        (("--report", "--encoding", "hex"), "--encoding: no encoding 'hex'"),
        (("--report", "--delimiter", "\u00e9"), "--delimiter: no delimiter"),
        (("--report", "--format", "x"), "--format: no format 'x'"),
    ],
)
def test_wrong_choices_are_one_sentence(
    games: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert called("add", games, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_missing_path_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("add", str(tmp_path / "nothing.csv"), "--report") == 2
    assert "nothing.csv: does not exist; expected a file or a folder" in capsys.readouterr().err

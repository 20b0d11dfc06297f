"""The Netflix Prize, whose files no delimiter alone describes; LFM-1b, whose names are told by their files."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_data_imports import imported, rows_of, titles_of

from core.data.reading import blocks

RATINGS = "8:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n17:\n822109,4,2005-05-12\n822109\n30878,1,2005-12-26\n"
TITLES = "8,2004,What the #$*! Do We Know!?\n17,NULL,7 Seconds, Uncut\n99,1999,Caf\u00e9, The\n"


def test_ratings_stand_below_their_movie_and_titles_keep_their_commas(tmp_path: Path) -> None:
    files = {"combined_data_1.txt": RATINGS, "movie_titles.txt": TITLES.encode("latin-1")}
    with imported(tmp_path, files) as (dataset, report):
        assert report.format == "netflix"
        assert rows_of(dataset) == [
            ("1488844", "8", 3.0, 1125964800.0),
            ("30878", "17", 1.0, 1135555200.0),
            ("822109", "17", 4.0, 1115856000.0),
            ("822109", "8", 5.0, 1115942400.0),
        ]
        assert titles_of(dataset) == {
            "8": "What the #$*! Do We Know!?",
            "17": "7 Seconds, Uncut",
            "99": "Café, The",
        }
        (row,) = report.rejected_first
        assert (report.rejected, row.file, row.line, row.problem) == (
            1,
            "combined_data_1.txt",
            6,
            "fewer than three fields",
        )
        assert report.files[1].encoding == "cp1252"


def test_a_movie_goes_on_in_the_next_block_and_not_in_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_STEP", 30)
    users = range(100, 140)
    first = "1:\n" + "".join(f"{user},{user % 5 + 1},2005-01-01\n" for user in users)
    second = "2:\n" + "".join(f"{user},{user % 4 + 1},2005-01-02\n" for user in users)
    with imported(tmp_path, {"combined_data_1.txt": first, "combined_data_2.txt": second}) as (dataset, report):
        assert report.interactions == 80
        rows = rows_of(dataset)
        assert {row[1] for row in rows[::2]} == {"1"}
        assert {row[1] for row in rows[1::2]} == {"2"}
        assert all(row[2] == int(row[0]) % (5 if row[1] == "1" else 4) + 1 for row in rows)


def test_lfm_1b_plays_and_the_names_of_tracks(tmp_path: Path) -> None:
    plays = "31435300\t2\t4\t4\t1385212958\n31435300\t2\t4\t7\t1385212642\n15\t9\t1\t4\t1385212000\n"
    files = {"LFM-1b_LEs.txt": plays, "LFM-1b_tracks.txt": "4\tRock Bottom\t2\n7\tSea Song\t2\n"}
    with imported(tmp_path, files) as (dataset, report):
        assert report.format == "last-fm"
        assert rows_of(dataset) == [
            ("15", "4", None, 1385212000.0),
            ("31435300", "7", None, 1385212642.0),
            ("31435300", "4", None, 1385212958.0),
        ]
        assert titles_of(dataset) == {"4": "Rock Bottom", "7": "Sea Song"}

"""A short version of part `lrgd`, small data sets for it, and where the development data lie."""

from pathlib import Path

import pytest

from bench import case_list as cases
from bench import folder_cases
from bench.folder_cases import CANDIDATE_FILE
from bench.lrgd import costs, inference_rows, lrgd_of_folders, search_sets
from bench.lrgd import lrgd_part as lrgd
from bench.lrgd.inference_rows import SETTINGS

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ITEMS = 60


@pytest.fixture
def few_settings(monkeypatch):
    """The plain model, one setting that is not random and one that is."""
    some = (SETTINGS[0], SETTINGS[1], SETTINGS[-1])
    monkeypatch.setattr(inference_rows, "SETTINGS", some)
    monkeypatch.setattr(inference_rows, "CHOSEN", some[:2])
    return some


@pytest.fixture
def small(monkeypatch, tmp_path, few_settings):
    """Few users apart, five candidates, short search and sweep, a small pool; records below a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cases, "TUNED_USERS", 2)
    monkeypatch.setattr(search_sets, "CANDIDATES", 5)
    monkeypatch.setattr(search_sets, "SEARCH", 12.0)
    monkeypatch.setattr(search_sets, "POOL", 12)
    monkeypatch.setattr(costs, "POOL", 14)
    monkeypatch.setattr(costs, "SWEEP_DEMOS", 3)
    monkeypatch.setattr(costs, "STRENGTHS", (0.5,))
    for measured in (costs, inference_rows):
        monkeypatch.setattr(measured, "REPEATS", 1)
    monkeypatch.setattr(lrgd, "UTILITY_SHARE", 1.0)
    for part in (lrgd, lrgd_of_folders):
        monkeypatch.setattr(part, "SWEEPS", 1)
    monkeypatch.setattr(folder_cases, "DEMOS", 4)
    return tmp_path


@pytest.fixture(scope="session")
def store():
    """Writes a data set of rows `user item rating time`, and of so many items; returns its folder."""

    def stored(folder, rows, items=ITEMS):
        folder.mkdir()
        lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
        lines += ["\t".join(map(str, row)) for row in rows]
        (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n")
        titles = ["item_id:token\ttitle:token_seq", *(f"{n}\t{chr(65 + n % 26)}{n}" for n in range(items))]
        (folder / f"{folder.name}.item").write_text("\n".join(titles) + "\n")
        return str(folder)

    return stored


@pytest.fixture(scope="session")
def write(store):
    """Writes a data set of users u0, u1, …; the n-th has met `counts[n]` of 60 items.

    Ratings follow from the place of an interaction in the history; each user begins `apart` later than the one before.
    """

    def written(folder, counts, *, rating=lambda place: 1, apart=0, candidates=None):
        rows = (
            (f"u{user}", (7 * user + place) % ITEMS, rating(place), place + apart * user)
            for user, count in enumerate(counts)
            for place in range(count)
        )
        made = store(folder, rows)
        if candidates is not None:
            (folder / CANDIDATE_FILE).write_text(candidates)
        return made

    return written


@pytest.fixture(scope="session")
def shared():
    """The folder of a development data set; skips where those data are not beside the checkout."""

    def found(name):
        if not (SHARED / name).is_dir():
            pytest.skip("the development data are not beside the checkout")
        return str(SHARED / name)

    return found

import itertools
from types import SimpleNamespace

import pytest

from bench import record_store
from bench.case_list import Bench
from bench.record_store import LRGD_RECORDS, PRODUCT_RECORDS, RECICL_RECORDS, code_of, sources

STORES = [PRODUCT_RECORDS, LRGD_RECORDS, RECICL_RECORDS]


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.folder)
def test_a_record_is_measured_again_only_when_code_or_question_change(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = itertools.count(1)

    def value(question):
        return store.record(next(iter(store.code)), question, lambda: {"value": next(calls)})["value"]

    assert [value("a"), value("a"), value("b"), value("a")] == [1, 1, 2, 1]
    monkeypatch.setattr(record_store, "code_of", lambda _files: "newer")
    assert value("a") == 3
    next(tmp_path.rglob("*.json")).write_text("{")
    assert {value("a"), value("b")} <= {3, 4, 5}


def test_a_question_is_about_one_model_and_one_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = itertools.count(1)
    benches = [
        Bench(SimpleNamespace(model_id=model), SimpleNamespace(dataset_id=dataset), 0)
        for model, dataset in (("m", "d"), ("n", "d"), ("m", "e"), ("m", "d"))
    ]
    records = [bench.record(LRGD_RECORDS, "sets", "a", lambda: {"value": next(calls)}) for bench in benches]
    assert [record["value"] for record in records] == [1, 2, 3, 1]


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.folder)
def test_the_files_of_every_measurement_exist(store):
    for files in store.code.values():
        assert code_of(files)
        assert len(set(files)) == len(files)


def test_sources_leave_modules_out():
    assert sources("metrics/ranking.py") == ("metrics/ranking.py",)
    assert set(sources("metrics")) - set(sources("metrics", without=("ranking",))) == {"metrics/ranking.py"}

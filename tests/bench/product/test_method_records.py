from types import SimpleNamespace

import numpy as np
import pytest

from bench import record_store
from bench.product import method_records
from bench.product.method_records import record_of

ALL = ("race", "others")
TRUTH = np.arange(4.0)


class Fake:
    """Stands for the model work: counts how often each step is measured."""

    def __init__(self, monkeypatch):
        self.calls = []
        for name in ALL:
            monkeypatch.setattr(method_records, name, lambda *_, name=name: self.calls.append(name) or {"step": name})
        span = SimpleNamespace(token_ids=(1, 2))
        prompt = SimpleNamespace(length=600, prefix=(span,), candidates=(span,), answer_ids=None)
        self.bench = SimpleNamespace(model=SimpleNamespace(model_id="m"))
        self.subject = SimpleNamespace(user="1", family="yes_no", strategy="recent", prompt=prompt, target=0)

    def record(self, measurements=ALL):
        return record_of(self.bench, self.subject, TRUTH, measurements)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Fake(monkeypatch)


def test_what_is_stored_is_not_measured_again(fake):
    first = fake.record()
    assert fake.calls == ["race", "others"]
    assert first["truth"] == {"scores": TRUTH.tolist()}
    assert fake.record() == first
    assert fake.calls == ["race", "others"]


def test_changed_code_is_measured_again_alone(fake, monkeypatch):
    fake.record()
    race = method_records.PRODUCT_RECORDS.code["race"]
    code_of = record_store.code_of
    monkeypatch.setattr(record_store, "code_of", lambda files: "newer" if files == race else code_of(files))
    fake.record()
    assert fake.calls == ["race", "others", "race"]


def test_other_settings_are_another_question(fake, monkeypatch):
    fake.record()
    monkeypatch.setattr(method_records, "CAPTUM_BUDGET", 8.0)
    fake.record()
    assert fake.calls == ["race", "others", "others"]


def test_only_what_is_wanted_is_measured(fake):
    early = fake.record(ALL[:1])
    assert "others" not in early
    assert fake.calls == ["race"]
    late = fake.record()
    assert fake.calls == ["race", "others"]
    assert late == {**early, "others": late["others"]}

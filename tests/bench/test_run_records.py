import json

from bench import run_records as records
from bench.run_records import code_of, record_of

ALL = ("truth", "race", "others")


class Fake:
    """Stands for the model work: counts how often each step is measured."""

    def __init__(self, monkeypatch):
        self.calls = []
        for name in ("truth", "race", "others"):
            monkeypatch.setattr(records, name, lambda *_, name=name: self.calls.append(name) or {"step": name})
        monkeypatch.setattr(records, "key_of", lambda *_: "key")
        prompt = type("Prompt", (), {"length": 600})
        self.subject = type("Subject", (), {"user": "1", "family": "yes_no", "strategy": "recent", "prompt": prompt})


def test_what_is_stored_is_not_measured_again(monkeypatch, tmp_path):
    fake = Fake(monkeypatch)
    first = record_of(None, fake.subject, ALL, tmp_path)
    assert fake.calls == ["truth", "race", "others"]
    assert record_of(None, fake.subject, ALL, tmp_path) == first
    assert fake.calls == ["truth", "race", "others"]


def test_changed_code_is_measured_again_but_the_truth_is_kept(monkeypatch, tmp_path):
    fake = Fake(monkeypatch)
    record_of(None, fake.subject, ALL, tmp_path)
    path = tmp_path / "key.json"
    stored = json.loads(path.read_text())
    stored["race"]["code"] = "older"
    path.write_text(json.dumps(stored))
    record_of(None, fake.subject, ALL, tmp_path)
    assert fake.calls == ["truth", "race", "others", "race"]


def test_code_changes_with_its_settings():
    files = ("lm/forward/forward_pass.py",)
    assert code_of(files, 1.0) == code_of(files, 1.0)
    assert code_of(files, 1.0) != code_of(files, 2.0)


def test_only_what_is_wanted_is_measured(monkeypatch, tmp_path):
    fake = Fake(monkeypatch)
    early = record_of(None, fake.subject, ALL[:2], tmp_path)
    assert "others" not in early
    assert fake.calls == ["truth", "race"]
    late = record_of(None, fake.subject, ALL, tmp_path)
    assert fake.calls == ["truth", "race", "others"]
    assert late == {**early, "others": late["others"]}

"""The environment of rivals: what cannot be installed is remembered and told in one line, programs answer by files."""

import re
import sys
from pathlib import Path

import pytest

from bench.product import rival_environment as environments
from bench.product.rival_environment import NotInstallableError, RivalEnvironment


class HereEnvironment(RivalEnvironment):
    """The interpreter of the tests in place of one of its own."""

    @property
    def python(self):
        return Path(sys.executable)


@pytest.fixture
def here(tmp_path, monkeypatch):
    packages = {"nothing": (), "missing": ((str(tmp_path / "no-such-package.whl"),),)}
    monkeypatch.setattr(environments, "REQUIRED", packages)
    return HereEnvironment(tmp_path / "env")


def program(folder, text):
    path = folder / "program.py"
    path.write_text("import json, sys\nquestion = json.load(open(sys.argv[1]))\n" + text)
    return path


def test_a_program_answers_a_question(here, tmp_path):
    text = "json.dump({'twice': 2 * question['number']}, open(sys.argv[2], 'w'))"
    assert here.run("nothing", program(tmp_path, text), {"number": 21}, seconds=60) == {"twice": 42}


def test_a_program_that_fails_says_why_in_one_line(here, tmp_path):
    with pytest.raises(NotInstallableError, match=r"^ValueError: no such game$"):
        here.run("nothing", program(tmp_path, "raise ValueError('no such game')"), {}, seconds=60)
    with pytest.raises(NotInstallableError, match="gave no answer"):
        here.run("nothing", program(tmp_path, ""), {}, seconds=60)
    with pytest.raises(NotInstallableError, match="TimeoutExpired"):
        here.run("nothing", program(tmp_path, "import time; time.sleep(60)"), {}, seconds=1)


def test_a_package_that_cannot_be_installed_is_tried_once(here, monkeypatch):
    with pytest.raises(NotInstallableError) as first:
        here.install("missing")
    assert "\n" not in str(first.value)
    monkeypatch.setattr(environments, "_run", lambda *_: pytest.fail("tried again"))
    with pytest.raises(NotInstallableError, match=re.escape(str(first.value))):
        here.install("missing")


def test_other_versions_are_installed_anew(here, monkeypatch):
    here.install("nothing")
    monkeypatch.setattr(environments, "REQUIRED", {"nothing": (("newer",),)})
    commands = []
    monkeypatch.setattr(environments, "_run", lambda command, _seconds: commands.append(command) or "")
    here.install("nothing")
    assert [command[-1] for command in commands] == ["newer"]

"""The public face of `core`: its names, that they load nothing before they are used, and the texts that use them."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import core

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {
    *("CaseSpec", "Task", "Report", "DemoLensError"),
    *("Explain", "Explanation", "QualityTask", "UtilityTask", "RobustnessTask", "ImproveTask"),
    *("DualTask", "UpdatesTask", "PersonaliseTask"),
    *("command_line", "explain", "load", "open_dataset", "run"),
}


def test_what_is_public_is_written_down_and_there() -> None:
    assert set(core.__all__) == PUBLIC
    assert set(dir(core)) >= PUBLIC
    assert all(getattr(core, name).__name__ == name for name in PUBLIC)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        core.nothing  # noqa: B018


def test_the_face_loads_neither_torch_nor_pandas() -> None:
    code = "import sys; from core import CaseSpec, Explain; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


@pytest.mark.sample
@pytest.mark.slow
def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In Python\n")[2].partition("\n## ")[0]
    code = textwrap.dedent("\n".join(re.findall(r"(?m)^    .*$", text)))
    assert set(re.findall(r"(?m)^from (\S+) import", code)) == {"core"}
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(re.match(r"[+-]\d+\.\d\d nats \([+-]\d+\.\d\d to [+-]\d+\.\d\d\)  \S", line) for line in lines)


@pytest.mark.sample
@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [str(path), "7", "2"])
    runpy.run_path(str(path), run_name="__main__")
    text = capsys.readouterr().out
    assert text.count("nats (") == 2
    assert "demolens improve --user 7 --demos 2" in text


def test_the_readme_fits_on_130_lines_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

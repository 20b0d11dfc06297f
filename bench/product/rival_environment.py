"""An environment of their own for rivals that are published as packages, made once below `build`.

It sees the product's packages behind its own, so that torch and the like are not installed twice, and the product never
sees it. Its programs are files of this folder that import nothing of the benchmark; they are talked to by files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.constants import BUILD
from bench.results_table import write_json

SHAPIQ = "1.8.0"
FLASHTRACE = "0.1.1"
AT2 = "0.0.1"
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "shapiq": (("xgboost-cpu",), ("gpytorch", "botorch"), ("--ignore-requires-python", f"shapiq=={SHAPIQ}")),
    "flashtrace": ((f"flashtrace=={FLASHTRACE}",),),
}
"""By rival: the arguments of pip's runs. shapiq asks for Python 3.12, but what is used of it runs on 3.11."""
SET_UP_SECONDS = 1_800.0
FOLDER = "rivals-env"


class NotInstallableError(Exception):
    """A rival's package cannot be installed or does not work here; the text says why, in one line."""


@dataclass(frozen=True)
class RivalEnvironment:
    """A virtual environment below `build`."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def install(self, rival: str) -> None:
        """Install a rival's packages once; a failure is remembered too. Raises `NotInstallableError`."""
        stamp = self.folder / f"{rival}.json"
        wanted = [list(arguments) for arguments in REQUIRED[rival]]
        stored = _read(stamp)
        if stored.get("packages") != wanted:
            stored = {"packages": wanted, "problem": self._problem(wanted)}
            write_json(stamp, stored)
        if stored["problem"]:
            raise NotInstallableError(str(stored["problem"]))

    def run(self, rival: str, program: Path, question: Any, *, seconds: float) -> Any:
        """The JSON answer of a program to a JSON question. Raises `NotInstallableError` where it gives none."""
        self.install(rival)
        with tempfile.TemporaryDirectory() as folder:
            asked, answered = Path(folder) / "question.json", Path(folder) / "answer.json"
            asked.write_text(json.dumps(question), encoding="utf-8")
            problem = _run([str(self.python), str(program), str(asked), str(answered)], seconds)
            answer = _read(answered)
        if problem or not answer:
            raise NotInstallableError(problem or "the program gave no answer")
        return answer

    def _problem(self, wanted: Sequence[Sequence[str]]) -> str:
        """Why the packages are not there, in one line; empty where they are."""
        problem = "" if self.python.exists() else self._make()
        for arguments in wanted:
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
            problem = problem or _run(pip, SET_UP_SECONDS)
        return problem

    def _make(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        problem = _run([sys.executable, "-m", "venv", str(self.folder)], SET_UP_SECONDS)
        shared = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        for packages in self.folder.glob("[Ll]ib/**/site-packages"):
            (packages / "zz_product.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
        return problem


def rival_environment() -> RivalEnvironment:
    """The environment of this checkout."""
    return RivalEnvironment((BUILD / FOLDER).absolute())


def _run(command: Sequence[str], seconds: float) -> str:
    """Run a command; why it failed in one line, empty where it did not."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=variables, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{Path(command[0]).name}: {type(error).__name__}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("hint")]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or [f"exit status {done.returncode}"])[-1][:200]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

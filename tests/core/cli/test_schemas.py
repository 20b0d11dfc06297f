"""The schemas that are kept: one for every kind of work, in step with the code, printed without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from core.cli import command
from core.cli.schemas import SHAPES, schema_text, write_schemas
from core.errors import RequestError
from core.question.kinds import KINDS
from core.work.job import ROOT

FOLDER = ROOT / "assets" / "schemas"
REMEDY = "run: demolens schema --into assets/schemas"


def called(*words: str) -> int:
    """The status of the command in this process."""
    return command.status_of(lambda: command.app(["schema", *words], standalone_mode=False))


def test_there_is_one_file_for_every_kind() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{kind}.schema.json" for kind in SHAPES}, REMEDY


@pytest.mark.parametrize("kind", SHAPES)
def test_the_file_is_current(kind: str) -> None:
    assert (FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8") == schema_text(kind), REMEDY
    made = json.loads(schema_text(kind))
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["title"] == SHAPES[kind].__name__
    assert made["additionalProperties"] is False
    assert ({"provenance", "stage"} <= made["properties"].keys()) == (kind in KINDS)


def test_a_kind_is_printed_and_an_explanation_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("explain",)):
        assert called(*words) == 0
        assert capsys.readouterr().out == schema_text("explain")
    assert called("robustness") == 0
    assert capsys.readouterr().out == schema_text("robustness")


def test_what_is_no_kind_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("explode") == 2
    said = "demolens: no command 'explode' that writes JSON; expected one of explain, "
    assert capsys.readouterr().err.startswith(said)


def test_all_are_written_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("--into", str(tmp_path)) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(SHAPES)
    for kind in SHAPES:
        assert (tmp_path / f"{kind}.schema.json").read_text(encoding="utf-8") == schema_text(kind)


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RequestError, match="cannot be written"):
        write_schemas(tmp_path / "none")
    assert called("--into", str(tmp_path / "none")) == 2
    assert capsys.readouterr().err.startswith("demolens: --into: ")


def test_schemas_need_no_torch() -> None:
    probe = (
        "import sys; from core.cli.schemas import SHAPES, schema_text;"
        "[schema_text(kind) for kind in SHAPES]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT).returncode == 0

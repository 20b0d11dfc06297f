"""An explanation whose prompt is written with a template that a person brought."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from explained_planets import last, small

from core.analysis.robustness.sensitivity import reason_against_words
from core.analysis.setting import set_up
from core.cli.explanation_lines import explanation_lines
from core.cli.report_lines import heading
from core.cli.template_option import with_template
from core.data.dataset import Dataset
from core.errors import PromptError
from core.lm.loading.load import LanguageModel
from core.prompt.stored_templates import store_template
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line
from core.work.job import job_key

TEXT = (
    "[instruction]\nPick.\n[demo]\nAfter {history} came {item}.\n[query]\nAfter {history} came\n[candidate]\n{item}\n"
)


@pytest.fixture
def content_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return store_template(TEXT.encode(), "after.txt").content_hash


def test_the_report_names_the_template_and_its_prompt_is_written_with_it(
    planets: Dataset, model: LanguageModel, content_hash: str
) -> None:
    done = last(small(family="next_item", template=content_hash, method="leave_one_out"), planets, model)
    assert done.prompt.spans[0].text.endswith("Pick.\n")
    assert done.prompt.spans[-2].text == "After Jupiter; Uranus came"
    assert done.prompt.template == content_hash
    record = done.provenance.template
    assert record is not None
    assert (record.name, record.content_hash) == ("after.txt", content_hash)
    words = f"Template after.txt (content {content_hash})"
    assert words in list(explanation_lines(done))
    assert words in list(heading(done))
    assert f"--template {content_hash}" in done.provenance.command


def test_what_cannot_be_used_is_refused_before_a_model_is_needed(
    planets: Dataset, model: LanguageModel, content_hash: str
) -> None:
    with pytest.raises(PromptError, match=r"after\.txt: \[demo\] without \{answer\}"):
        set_up(small(family="yes_no", template=content_hash), planets, model)
    with pytest.raises(PromptError, match="template 0000000000000000 is not stored on this machine"):
        set_up(small(family="next_item", template="0" * 16), planets, model)


def test_no_other_words_are_tried_beside_it(planets: Dataset, model: LanguageModel, content_hash: str) -> None:
    setting = set_up(small(family="next_item", template=content_hash), planets, model)
    assert "a template of its own" in str(reason_against_words(setting))
    assert reason_against_words(set_up(small(family="next_item"), planets, model)) is None


def test_the_command_takes_a_file_and_writes_a_hash(tmp_path: Path, content_hash: str) -> None:
    file = tmp_path / "again.txt"
    file.write_text(TEXT)
    choices: dict[str, Any] = with_template({"template": str(file), "user": "u"})
    assert choices == {"template": content_hash, "user": "u", "family": "next_item"}
    assert with_template({"template": content_hash, "family": "yes_no"})["family"] == "yes_no"
    assert with_template({"user": "u"}) == {"user": "u"}
    assert f" --template {content_hash} " in command_line(small(template=content_hash))


def test_without_one_nothing_of_a_case_changes_and_with_one_its_wording_has_no_effect() -> None:
    assert "template" not in CaseSpec().effective()
    assert "template" not in CaseSpec(cases="cases.jsonl", case="a").effective()
    plain, worded = (CaseSpec(template="0" * 16, wording=wording) for wording in ("plain", "implicit"))
    assert plain.effective() == worded.effective() != CaseSpec().effective()
    keys = {job_key(small(template=template)) for template in (None, "0" * 16, "1" * 16)}
    assert len(keys) == 3

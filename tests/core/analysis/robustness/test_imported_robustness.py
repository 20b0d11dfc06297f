"""What can be changed of a finished prompt is changed exactly; what cannot is left out with the reason."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from logged_cases import TITLES, case_file, chat_case, text_case
from references import language_model

from core.analysis.quality.quality_run import NO_ANSWER, quality
from core.analysis.quality.quality_task import QualityTask
from core.analysis.robustness.perturb import prompt_of_variant, reason_against, variants
from core.analysis.robustness.perturbations import KINDS
from core.analysis.robustness.robustness_run import robustness
from core.analysis.robustness.robustness_task import RobustnessTask
from core.analysis.setting import Setting, setting_for
from core.lm.loading.load import LanguageModel
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import open_cases
from core.question.case_spec import CaseSpec
from core.question.command_line import task_of

APPLIES = {"history_drop", "demo_permute", "demo_drop", "demo_duplicate", "label_flip"}


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def setting_of(folder: Path, model: LanguageModel, imported: PromptCase) -> Setting:
    path = str(case_file(folder, imported))
    return setting_for(CaseSpec(cases=path, case=imported.case_id), open_cases(path), model)


def whole(prompt: Any) -> str:
    return "".join(span.text for span in prompt.prefix)


def test_the_kinds_that_apply(tmp_path: Path, model: LanguageModel) -> None:
    setting = setting_of(tmp_path, model, text_case())
    assert {kind for kind in KINDS if reason_against(setting, kind) is None} == APPLIES
    assert str(reason_against(setting, "typos")).startswith("A finished prompt is run in its own words")
    titles = setting_of(tmp_path, model, text_case(options=TITLES, options_from="titles", target="a"))
    assert str(reason_against(titles, "label_flip")).startswith("Not every demonstration ends with one of the labels")
    bare = setting_of(tmp_path, model, chat_case(demos=0))
    assert reason_against(bare, "demo_drop") == "The prompt holds no demonstration."


@pytest.mark.parametrize(
    ("imported", "end"), [(text_case(), "Output: {}\n\n"), (chat_case(), "assistant\n{}<|im_end|>")]
)
def test_all_answers_flipped_are_the_other_labels(
    tmp_path: Path, model: LanguageModel, imported: PromptCase, end: str
) -> None:
    setting = setting_of(tmp_path, model, imported)
    (variant,) = variants(setting, kinds=["label_flip"], strengths=[1.0], repeats=1)
    expected = whole(setting.prompt)
    for answer, other in (("Yes", "no label"), ("No", "Yes"), ("no label", "No")):
        expected = expected.replace(end.format(answer), end.format(other))
    assert whole(prompt_of_variant(setting, variant)) == expected != whole(setting.prompt)


def test_a_history_item_dropped_leaves_the_rest_as_it_was(tmp_path: Path, model: LanguageModel) -> None:
    setting = setting_of(tmp_path, model, text_case())
    dropped = variants(setting, kinds=["history_drop"], strengths=[0.5], repeats=2)
    expected = [whole(setting.prompt).replace(text, "") for text in ('"Blue Kettle", ', '"North Lamp"')]
    assert sorted(whole(prompt_of_variant(setting, variant)) for variant in dropped) == sorted(expected)


def test_a_report_of_a_finished_prompt(tmp_path: Path, model: LanguageModel) -> None:
    path = str(case_file(tmp_path, text_case()))
    task = task_of(RobustnessTask, {"cases": path, "case": "text", "repeats": 1, "strengths": (0.5,)})
    *_, report = robustness(task, dataset=open_cases(path), model=model)
    assert {row.kind for row in report.rows} == APPLIES
    assert {row.kind for row in report.left_out} == set(KINDS) - APPLIES
    assert report.rewritings == ()


def test_quality_needs_a_true_answer_and_no_proxy(tmp_path: Path, model: LanguageModel) -> None:
    path = str(case_file(tmp_path, text_case(), text_case("open", target=None)))
    source = open_cases(path)
    *_, known = quality(task_of(QualityTask, {"cases": path, "case": "text"}), dataset=source, model=model)
    assert all(row.gain is not None for row in known.rows)
    assert not known.proxy
    *_, unknown = quality(task_of(QualityTask, {"cases": path, "case": "open"}), dataset=source, model=model)
    assert unknown.notices[-1] == NO_ANSWER

"""An imported case is explained like a built one: its scores are those of plain passes over the logged text."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logged_cases import INSTRUCTION, TITLES, case_file, chat_case, messages, text_case, text_demo

from core.analysis.explain.explain_run import explain
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.cli.explanation_lines import explanation_lines
from core.errors import PromptError, RequestError
from core.lm.loading.load import LanguageModel
from core.prompt.imported.imported_cases import open_cases
from core.question.command_line import command_line, task_of

QUERY = 'Now:\nInput: Liked: "Blue Kettle", "North Lamp". Next: "Small Thunder"?\nOutput:'


def answered(folder: Path, model: LanguageModel, *cases: Any, **choices: object) -> Explanation:
    path = str(case_file(folder, *cases))
    task = task_of(Explain, {"cases": path, "case": cases[0].case_id, **choices})
    *_, report = explain(task, dataset=open_cases(path), model=model)
    return report


@pytest.fixture(scope="module")
def plain(tiny_llama: Any) -> Any:
    """The untouched network."""
    network = copy.deepcopy(tiny_llama)
    network.set_attn_implementation("eager")
    return network


def log_probability(network: Any, before: list[int], answer: list[int]) -> float:
    """The slow reference: of an answer's tokens behind a text, by one plain pass over both."""
    with torch.no_grad():
        logits = network(torch.tensor([before + answer]), use_cache=False).logits[0]
    steps = torch.log_softmax(logits, dim=-1)[len(before) - 1 : -1]
    return float(sum(steps[place, token] for place, token in enumerate(answer)))


def text_scores(network: Any, tokenizer: Any, text: str, options: list[str]) -> list[float]:
    def ids(words: str) -> list[int]:
        return list(tokenizer(words, add_special_tokens=False)["input_ids"])

    return [log_probability(network, ids(text), ids(option)) for option in options]


def scores(report: Explanation, field: str = "score") -> list[float]:
    return [getattr(row, field) for row in report.candidates]


@pytest.mark.parametrize(("options", "target"), [(None, "yes"), (TITLES, "a")])
def test_scores_are_those_of_plain_passes_over_the_text(
    tmp_path: Path, model: LanguageModel, plain: Any, tiny_transformers_tokenizer: Any, options: Any, target: str
) -> None:
    more = {} if options is None else {"options": options, "options_from": "titles", "target": target}
    report = answered(tmp_path, model, text_case(**more), method="leave_one_out")
    answers = [f" {row.title}" for row in report.candidates]

    def reference(demos: list[int]) -> list[float]:
        text = "\n\n".join([INSTRUCTION, *map(text_demo, demos), QUERY])
        return text_scores(plain, tiny_transformers_tokenizer, text, answers)

    assert scores(report) == pytest.approx(reference([1, 2, 3]), abs=1e-4)
    assert scores(report, "zero_shot_score") == pytest.approx(reference([]), abs=1e-4)

    def margin(row: list[float]) -> float:
        return row[0] - float(np.mean(row[1:]))

    without = [margin(reference([n for n in (1, 2, 3) if n != demo])) for demo in (1, 2, 3)]
    assert report.contributions is not None
    assert report.contributions.values == pytest.approx(margin(reference([1, 2, 3])) - np.array(without), abs=2e-4)


def test_a_chat_is_scored_as_its_template_writes_it(
    tmp_path: Path, model: LanguageModel, plain: Any, tiny_transformers_tokenizer: Any
) -> None:
    report = answered(tmp_path, model, chat_case())
    for demos, field in ((3, "score"), (0, "zero_shot_score")):
        before = tiny_transformers_tokenizer.apply_chat_template(
            messages(demos), add_generation_prompt=True, tokenize=True, return_dict=False
        )
        expected = [
            log_probability(plain, list(before), tiny_transformers_tokenizer(answer)["input_ids"])
            for answer in ("Yes", "No")
        ]
        assert scores(report, field) == pytest.approx(expected, abs=1e-4)
    assert report.notices == ()


def test_a_history_item_is_removed_exactly(
    tmp_path: Path, model: LanguageModel, plain: Any, tiny_transformers_tokenizer: Any
) -> None:
    report = answered(tmp_path, model, text_case(demos=0), history_removals=True)
    assert report.contributions is None
    assert report.history_removals is not None
    texts = [QUERY.replace('"Blue Kettle", ', ""), QUERY.replace('"North Lamp"', "")]
    for row, query in zip(report.history_removals, texts, strict=True):
        text = f"{INSTRUCTION}\n\n{query}"
        expected = text_scores(plain, tiny_transformers_tokenizer, text, [" Yes"])
        assert [row.score] == pytest.approx(expected, abs=1e-4)
        assert row.moves_in is None


def test_one_demonstration_and_many_and_others_by_hand(tmp_path: Path, model: LanguageModel) -> None:
    single = answered(tmp_path, model, text_case(demos=1))
    assert [row.demo_id for row in single.demos] == ["text:d1"]
    by_hand = answered(tmp_path, model, text_case(), text_case("next"), demo_ids=("next:d3", "text:d1"))
    assert [row.demo_id for row in by_hand.demos] == ["next:d3", "text:d1"]
    assert [row.text for row in by_hand.demos] == [text_demo(3) + "\n\n", text_demo(1) + "\n\n"]


def test_the_margin_of_yes_over_no(tmp_path: Path, model: LanguageModel) -> None:
    report = answered(tmp_path, model, text_case(), target="yes", against="no")
    assert report.contributions is not None
    yes, no = scores(report)
    assert report.contributions.few_shot == pytest.approx(yes - no, abs=1e-4)


@pytest.mark.parametrize("scoring", ["mean", "calibrated"])
def test_scorings_are_those_of_titles(tmp_path: Path, model: LanguageModel, scoring: str) -> None:
    options: dict[str, Any] = {"options": TITLES, "options_from": "titles", "target": "a"}
    sums, other = (
        np.array(scores(answered(tmp_path, model, text_case(demos=1, **options), scoring=name)))
        for name in ("sum", scoring)
    )
    if scoring == "mean":
        counts = [len(model.tokenizer.behind(QUERY, f" {title}").token_ids) for _, title in TITLES]
        expected = sums / counts
    else:
        bare = text_case(demos=0, **options)
        parts = tuple(piece for piece in bare.parts if piece.kind != "history")
        expected = sums - scores(answered(tmp_path, model, bare.model_copy(update={"parts": parts})))
    assert other == pytest.approx(expected, abs=1e-4)


def test_the_command_and_the_lines_name_file_and_case(tmp_path: Path, model: LanguageModel) -> None:
    report = answered(tmp_path, model, text_case("call 7"))
    assert command_line(report.task) == f"demolens explain --cases {tmp_path}/cases.jsonl --case 'call 7'"
    lines = explanation_lines(report)
    assert lines[0] == "Case call 7 of cases.jsonl, 3 demonstrations, as it was logged"
    assert report.provenance.dataset_id == open_cases(str(tmp_path / "cases.jsonl")).dataset_id


def test_a_prompt_beyond_the_context_is_refused(tmp_path: Path, model: LanguageModel) -> None:
    with pytest.raises(PromptError, match=r"expected at most 64, the context of the model; a logged prompt is never"):
        answered(tmp_path, replace(model, context=64), text_case())


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"strategy": "similar"}, "strategy has no meaning for a case from a file"),
        ({"family": "yes_no"}, "family has no meaning"),
        ({"candidate_ids": ("a", "b")}, "candidate_ids has no meaning"),
        ({"case": None}, "needs case"),
    ],
)
def test_choices_of_built_cases_are_refused(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        task_of(Explain, {"cases": "x.jsonl", "case": "1", **choices})

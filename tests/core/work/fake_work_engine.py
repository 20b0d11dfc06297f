"""An engine without a model for the tests of the desk; the user of the task says how it behaves."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import (
    CandidateRow,
    Contributions,
    Explanation,
    HistoryRow,
    PromptRecord,
    SpanRow,
    Timings,
)
from core.errors import MaterialError, ModelError
from core.lm.loading.facts import FactRow, ModelFacts
from core.question.case_spec import CaseSpec
from core.question.task import DemoRow, Progress, Provenance, Target

STEPS = 40


def explanation(task: Explain, stage: str = "complete", *, title: str = "Heat (1995)") -> Explanation:
    """The smallest explanation that has every part a page reads first."""
    values = tuple(0.25 * (index + 1) for index in range(task.case.demos))
    contributions = Contributions(
        method=task.method,
        target=Target(item_id="1", title=title),
        values=values,
        zero_shot=-1.0,
        few_shot=-0.5 + sum(values),
        residual=0.5,
        forwards=9,
        passes=9.0,
        seconds=0.1,
        seed=task.case.seed,
    )
    return Explanation(
        key="0" * 64,
        stage=stage,
        task=task,
        tokens=700,
        seconds=0.2,
        moment=None,
        history=(HistoryRow(item_id="9", title="Alien", categories=(), rating=5.0, timestamp=None, in_query=True),),
        demos=tuple(_demo(index) for index in range(task.case.demos)),
        candidates=tuple(_candidate(index, title) for index in range(2)),
        target_index=0,
        prompt=PromptRecord(
            family=task.case.family,
            chat=False,
            template="t",
            length=700,
            context=2048,
            spans=(SpanRow(kind="query", index=0, text="x", tokens=("x",), token_ids=(1,)),),
            cut=(),
            notices=(),
        ),
        contributions=contributions if stage != "scores" else None,
        timings=Timings(total=0.2),
        provenance=Provenance(
            dataset_id="d" * 64,
            dataset_name="fake",
            model_id="m" * 64,
            model_name="fake",
            adapter=None,
            device="cpu",
            dtype="float32",
            layers=2,
            heads=2,
            case_seed=1,
            versions={"demolens": "0"},
            created="2026-01-01T00:00:00+00:00",
            command="demolens explain",
        ),
    )


def _demo(index: int) -> DemoRow:
    return DemoRow(
        demo_id=f"12:{index}",
        label=f"D{index + 1}",
        user_id="12",
        item_id=str(index),
        title=f"Film {index}",
        answer="Yes",
        history=(),
        source="recent",
        text="x",
        tokens=10,
    )


def _candidate(index: int, title: str) -> CandidateRow:
    return CandidateRow(
        item_id=str(index + 1),
        title=title if index == 0 else "Fargo (1996)",
        categories=(),
        popularity=3,
        is_target=index == 0,
        zero_shot_score=0.5 - index,
        zero_shot_rank=index + 1,
        score=1.5 - index,
        rank=index + 1,
    )


class FakeEngine:
    """Yields the scores, takes its steps, and yields the complete explanation."""

    def __init__(self) -> None:
        if os.environ.get("FAKE_START") == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def warm_up(self) -> float | None:
        if os.environ.get("FAKE_WARM_UP") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("FAKE_WARM_UP") == "raise":
            raise ModelError("no model here")
        return 1e-4

    def run(self, task: Explain, report: Progress) -> Iterator[Explanation]:
        _count(task)
        report("scoring", 0.0)
        yield explanation(task, "scores")
        _misbehave(task.case.user)
        for step in range(STEPS if task.case.user.startswith("slow") else 2):
            time.sleep(0.05)
            report("contributions", (step + 1) / STEPS)
        yield explanation(task)

    def look(self, case: CaseSpec) -> tuple[ModelFacts, bool]:
        """The model `bad` is refused, any other has one row."""
        if case.model == "bug":
            raise ValueError("secret hf_abcdefghijklmnop")
        if case.model == "nowhere":
            raise MaterialError("the home cannot be written")
        refusal = "bad: no config.json" if case.model == "bad" else None
        return ModelFacts((FactRow("Source", case.model),), refusal), False

    def examine(self, case: CaseSpec, progress: Progress) -> tuple[ModelFacts, bool]:
        """As a look, with a second row; `die` ends the worker, `slow` takes its steps."""
        if case.model == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(STEPS if case.model == "slow" else 1):
            progress("loading and checking the model", 0.0)
            time.sleep(0.05)
        facts, _ = self.look(case)
        return ModelFacts((*facts.rows, FactRow("Self-check", "passed")), facts.refusal), facts.refusal is None


class EmptyEngine:
    """Ends without an explanation."""

    def warm_up(self) -> float | None:
        return None

    def run(self, task: Explain, report: Progress) -> Iterator[Explanation]:
        yield from ()


def _misbehave(user: str) -> None:
    if user == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if user == "stubborn":
        time.sleep(60)
    if user == "error":
        raise ModelError("the model 'x' is not one that can be loaded")
    if user == "bug":
        raise ValueError("secret hf_abcdefghijklmnop\n2026-01-01 INFO forged line")
    if user == "memory":
        raise MemoryError
    if user == "cuda":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if user == "noise":
        os.write(1, b'{"event":"done"}\nnot json \xff\n')
        print("printed by a library", flush=True)
        print("warned by a library", file=sys.stderr, flush=True)


def _count(task: Explain) -> None:
    """Leave one line per run where the test can count them."""
    path = os.environ.get("FAKE_RUNS")
    if path:
        with open(path, "a") as file:
            file.write(f"{task.case.user} {os.getpid()}\n")

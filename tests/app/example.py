"""A hand-made explanation with plausible values, and a desk that hands it out: for tests only."""

from __future__ import annotations

import importlib.util
import random
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import (
    CandidateGradient,
    CandidateRow,
    Contributions,
    Explanation,
    Faithfulness,
    FlipSet,
    HistoryRemoval,
    HistoryRow,
    ListEffects,
    MeasuredPrompt,
    PairRow,
    PlaceRange,
    PlaceTable,
    PromptRecord,
    SpanRow,
    Timings,
    VerifiedSet,
)
from core.analysis.explain.list_removals import place_curves, posterior_of
from core.analysis.subject import Subject
from core.data.records import Case, Demonstration, Interaction, Item
from core.lm.loading.facts import FactRow, ModelFacts
from core.metrics.ranking import ranks
from core.question.case_spec import CaseSpec
from core.question.kinds import kind_of
from core.question.targets import EXPLAINED
from core.question.task import DemoRow, ModelProof, Provenance, Report, Target, Task
from core.work.examination import CANCELLED, Examination

TITLES = [
    "Heat (1995)",
    "Braveheart (1995)",
    "Fargo (1996)",
    "Twelve Monkeys (1995)",
    "Usual Suspects, The (1995)",
    "Babe (1995)",
    "Dead Man Walking (1995)",
    "Richard III (1995)",
    "Seven (Se7en) (1995)",
    "Postman, The (1994)",
    "Mr. Holland's Opus (1995)",
    "From Dusk Till Dawn (1996)",
    "White Balloon, The (1995)",
    "Antonia's Line (1995)",
    "Angels and Insects (1995)",
    "Muppet Treasure Island (1996)",
    "Rumble in the Bronx (1995)",
    "Birdcage, The (1996)",
    "Brothers McMullen, The (1995)",
    "Bad Boys (1995)",
    "Apollo 13 (1995)",
    "Batman Forever (1995)",
    "Belle de jour (1967)",
    "Crimson Tide (1995)",
    "Crumb (1994)",
    "Desperado (1995)",
    "Doom Generation, The (1995)",
    "Free Willy 2: The Adventure Home (1995)",
]


def explanation(
    task: Explain | None = None,
    *,
    stage: str = "complete",
    titles: list[str] | None = None,
    lds: float | None = 0.62,
    layers: int = 30,
) -> Explanation:
    """A complete record whose numbers add up; equal tasks give equal records."""
    task = task or Explain()
    case = task.case
    draw = random.Random(f"{case.user}{case.demos}{case.demo_ids}")
    names = [*(titles or []), *TITLES]
    count = len(case.demo_ids) if case.demo_ids is not None else case.demos
    target = 6 % case.candidates
    demos = tuple(_demo(index, names, case) for index in range(count))
    order = sorted(range(case.candidates), key=lambda i: (i * 7) % case.candidates)
    candidates = tuple(
        CandidateRow(
            item_id=str(100 + i),
            title=names[i % len(names)],
            categories=("Drama",),
            popularity=400 - 13 * i,
            is_target=i == target,
            zero_shot_score=-1.0 - 0.1 * order.index(i),
            zero_shot_rank=order.index(i) + 1,
            score=None if stage == "none" else -0.5 - 0.08 * i,
            rank=i + 1,
        )
        for i in range(case.candidates)
    )
    listed = list_effects(candidates, count, draw, target)
    at = target_of(candidates, task)
    weights = EXPLAINED[at.explain].weights(len(candidates), *_indices(candidates, at))
    made = None if listed is None else _contributions(task, at, listed, weights, demos, draw, layers, lds)
    has = stage not in ("scores", "none") and count > 0
    return Explanation(
        key="k" * 64,
        stage="scores" if stage == "none" else stage,
        task=task,
        tokens=600,
        moment=891_350_000.0,  # type: ignore[arg-type]
        history=tuple(
            HistoryRow(
                item_id=str(300 + i),
                title=names[(i + 5) % len(names)],
                categories=("Drama",),
                rating=float(1 + (i * 3) % 5),
                timestamp=891_000_000.0 + 86_400 * i,
                in_query=i >= 7,
            )
            for i in range(12)
        ),
        demos=demos,
        candidates=candidates,
        target=at,
        target_index=target,
        prompt=_prompt(demos, candidates[target].title),
        contributions=made if has else None,
        list_effects=listed if has and task.method == "default" else None,
        flip_set=flip_set(task, candidates[target], at) if has and stage == "complete" and task.flips else None,
        history_removals=_history_removals(candidates, target, names) if task.history_removals else None,
        faithfulness=Faithfulness(
            lds=lds,
            low=None if lds is None else lds - 0.1,
            high=None if lds is None else lds + 0.1,
            ablations=task.faithfulness,
            keep_probability=0.5,
            top_demo=0,
            top_drop=0.3,
            top_rank_after=9,
            forwards=32,
            seconds=9.0,
        )
        if task.faithfulness and has
        else None,
        timings=Timings(prompt=0.1, scores=1.2, contributions=6.2, total=8.9),
        provenance=Provenance(
            dataset_id="ml-100k-1f",
            dataset_name="MovieLens-100K",
            model_id="a41bce9d",
            model_name="SmolLM2-135M-Instruct",
            adapter=None,
            device="cpu",
            dtype="float32",
            layers=layers,
            heads=9,
            proof=ModelProof(packed=3e-6, remembered=1e-6, gate_one=2e-6, gate_zero=1e-6, limit=1e-3),
            case_seed=77,
            versions={"demolens": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
            created="2026-11-21T10:00:00Z",
            command=f"demolens explain --user {case.user} --demos {case.demos}",
        ),
        notices=(),
    )


def target_of(candidates: tuple[CandidateRow, ...], task: Explain) -> Target:
    """What the task explains, by id and title."""
    titles = {row.item_id: row.title for row in candidates}
    item = task.target if task.target in titles else next(row.item_id for row in candidates if row.is_target)
    against = task.against if task.explained == "pair" else None
    return Target(
        item_id=item,
        title=titles[item],
        explain=task.explained if against in titles or task.explained != "pair" else "field",
        against_id=against if against in titles else None,
        against_title=titles.get(against or ""),
    )


def _indices(candidates: tuple[CandidateRow, ...], target: Target) -> tuple[int, int | None]:
    at = [row.item_id for row in candidates]
    return at.index(target.item_id), None if target.against_id is None else at.index(target.against_id)


def list_effects(
    candidates: tuple[CandidateRow, ...], count: int, draw: random.Random, target: int
) -> ListEffects | None:
    """Effects that a seeded game of own scores has; the first two demonstrations are taken out alone."""
    if not count:
        return None
    effects = [[round(draw.gauss(0.3, 0.25), 3) for _ in candidates] for _ in range(count)]
    zero = [row.zero_shot_score or 0.0 for row in candidates]
    full = [-0.5 - 0.08 * place for place in range(len(candidates))]
    left = [[full[c] - effects[d][c] for c in range(len(candidates))] for d in range(count)]
    places = tuple(tuple(ranks(np.array(scores))) for scores in left)
    wide = PlaceTable(
        value=places,
        low=tuple(tuple(max(1.0, place - 2) for place in row) for row in places),
        high=tuple(tuple(min(float(len(candidates)), place + 2) for place in row) for row in places),
    )
    prompts = [((), full), (tuple(range(count)), zero)]
    prompts += [((demo,), left[demo]) for demo in range(min(2, count)) if count > 1]
    listed = ListEffects(
        effects=tuple(map(tuple, effects)),
        mean_variance=tuple(0.0064 for _ in range(count)),
        deviation_variance=tuple(tuple(0.0036 for _ in candidates) for _ in range(count)),
        quantile=1.9,
        without=wide,
        curves=(),
        mean_gradient=tuple(sum(row) / len(row) for row in effects),
        deviation_gradients=(
            CandidateGradient(candidate=target, values=tuple(row[target] - sum(row) / len(row) for row in effects)),
        ),
        pairs=(PairRow(first=0, second=2, value=-0.31, low=-0.5, high=-0.12),) if count > 2 else (),
        measured=tuple(
            MeasuredPrompt(left_out=out, scores=tuple(scores), ranks=ranks(np.array(scores))) for out, scores in prompts
        ),
    )
    return listed.model_copy(update={"curves": place_curves(posterior_of(listed), target)})


def flip_set(task: Explain, row: CandidateRow, target: Target) -> FlipSet | None:
    """Two sets that were verified, of which the larger one reaches the goal; none for fewer than four demonstrations
    or where another candidate is explained."""
    if task.method != "default" or task.case.demo_count < 4 or target.item_id != row.item_id:
        return None
    tried = VerifiedSet(
        left_out=(1,), place=5, reached=False, foretold=0.4, predicted=PlaceRange(value=4.2, low=3, high=7)
    )
    best = VerifiedSet(
        left_out=(1, 3), place=2, reached=True, foretold=0.6, predicted=PlaceRange(value=3.1, low=2, high=5)
    )
    early = VerifiedSet(left_out=(0, 1, 2), place=1, reached=True, foretold=None)
    return FlipSet(
        goal=task.flip,
        rival_id=task.rival,
        rival_title=task.rival and f"Title {task.rival}",
        ahead_of_rival=True if task.rival else None,
        status="verified",
        left_out=best.left_out,
        place=best.place,
        smallest=False,
        place_full=row.rank or 0,
        place_empty=row.zero_shot_rank or 0,
        passes=2,
        sets=(tried, best, early),
    )


def _history_removals(
    candidates: tuple[CandidateRow, ...], target: int, names: list[str]
) -> tuple[HistoryRemoval, ...]:
    """Without each of the five titles of the query the list turns by one place more."""
    count = len(candidates)
    turned = [tuple((place + step) % count + 1 for place in range(count)) for step in range(5)]
    return tuple(
        HistoryRemoval(
            position=7 + step,
            item_id=str(307 + step),
            title=names[(12 + step) % len(names)],
            moves_in=names[0] if step else None,
            score=-1.0,
            place=order[target],
            ranks=order,
        )
        for step, order in enumerate(turned)
    )


def _contributions(
    task: Explain,
    target: Target,
    listed: ListEffects,
    weights: Any,
    demos: tuple[DemoRow, ...],
    draw: random.Random,
    layers: int,
    lds: float | None,
) -> Contributions:
    """The bars of the game: effects on what is explained, and what the list itself says of both ends."""
    estimates = listed.belief.on(weights)
    values = tuple(estimates.value.tolist())
    few, zero = (float(np.array(prompt.scores) @ weights) for prompt in listed.measured[:2])
    return Contributions(
        method=task.method,
        target=target,
        values=values,
        low=tuple(estimates.low.tolist()),
        high=tuple(estimates.high.tolist()),
        zero_shot=zero,
        few_shot=few,
        residual=few - zero - sum(values),
        completeness_gap=0.012,
        by_layer=tuple(tuple(value / layers + draw.gauss(0, 0.01) for _ in range(layers)) for value in values),
        by_token=tuple(tuple(draw.gauss(0, 0.02) for _ in row.text.split(" ")) for row in demos),
        split_of="gradient",
        lds=lds,
        lds_low=None if lds is None else lds - 0.2,
        lds_high=None if lds is None else min(1.0, lds + 0.15),
        rank_agreement=None if lds is None else lds - 0.1,
        forwards=17,
        backwards=2,
        passes=9.4,
        seconds=6.2,
        seed=0,
    )


def _demo(index: int, names: list[str], case: CaseSpec) -> DemoRow:
    title, answer = names[(index * 3 + 1) % len(names)], "Yes" if index % 3 else "No"
    demo_id = case.demo_ids[index] if case.demo_ids is not None else f"{case.user}:{20 - index}"
    if demo_id.endswith((":yes", ":no")):
        answer = demo_id.rsplit(":", 1)[1].capitalize()
    text = f"User liked: {names[index % len(names)]}. Would they like {title}? {answer}"
    return DemoRow(
        demo_id=demo_id,
        label=f"D{index + 1}",
        user_id=case.user,
        item_id=str(500 + index),
        title=title,
        answer=answer,
        history=(names[index % len(names)],),
        source=case.strategy,
        text=text,
        tokens=len(text.split(" ")),
    )


def _prompt(demos: tuple[DemoRow, ...], title: str) -> PromptRecord:
    def span(kind: Any, index: int, text: str) -> SpanRow:
        tokens = [part if n == 0 else f" {part}" for n, part in enumerate(text.split(" "))]
        return SpanRow(kind=kind, index=index, text=text, tokens=tuple(tokens), token_ids=tuple(range(len(tokens))))

    spans = (
        span("instruction", 0, "Say whether the user would like the film. Answer Yes or No.\n\n"),
        *(span("demo", index, row.text) for index, row in enumerate(demos)),
        span("query", 0, "User liked: Fargo (1996), Seven (1995). Would they like"),
        span("candidate", 6, f" {title}?"),
    )
    return PromptRecord(
        family="yes_no",
        chat=False,
        template="t1",
        length=sum(len(s.tokens) for s in spans),
        context=8192,
        spans=spans,
        cut=(),
        notices=(),
    )


@dataclass(frozen=True)
class FakeJob:
    """What `core.work.job.Job` looks like."""

    key: str
    state: str
    task: Task
    report: Report | None = None
    ahead: int = 0
    label: str = ""
    fraction: float = 0.0
    elapsed: float | None = None
    remaining: float | None = None
    sentence: str = ""
    error_id: str | None = None
    created: str = "2026-11-21T10:00:00Z"
    origin: Any = None

    @property
    def ended(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}


@dataclass(frozen=True)
class FakeForecast:
    seconds: float = 14.0
    low: float = 9.0
    high: float = 20.0
    memory_bytes: int = 1_100_000_000
    observations: int = 12


def task_job(key: str, state: str, task: Task) -> FakeJob:
    """The job of a task, with the report that the tests of its charts make."""
    report = None
    if state in ("done", "cancelled"):
        report = reports()[kind_of(task).name].model_copy(update={"task": task})
    sentence = {"failed": "layer 99 does not exist; expected 0 to 29", "cancelled": "cancelled"}.get(state, "")
    error_id = "E-3F9A" if state == "failed" else None
    return FakeJob(key, state, task, report, 0, "sweeping", 0.4, 5.0, 8.0, sentence, error_id)


@lru_cache(maxsize=1)
def reports() -> dict[str, Any]:
    """Kind of work -> a finished report."""
    this = sys.modules[__name__]
    return {
        "dual": _tests_of("dual_model").made(this),
        "updates": _tests_of("update_similarity").made(this),
        "improve": _tests_of("search_path").made(this),
        "utility": _tests_of("score_utility").made(),
        "quality": _tests_of("demonstration_quality").report(this),
        "robustness": _tests_of("sensitivity").report(demos=explanation().demos),
        "personalise": _tests_of("personalise").made(this),
    }


def _tests_of(name: str) -> Any:
    """The module with the tests of a chart, which knows how to make a report."""
    place = Path(__file__).with_name("charts") / f"test_{name}.py"
    spec = importlib.util.spec_from_file_location(f"reports_{name}", place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def preview(task: Task) -> Subject:
    """What a task is about before it is run, as `app.cached.preview` finds it."""
    spec = task.case
    items = {str(100 + place): TITLES[place % len(TITLES)] for place in range(spec.candidates)}
    items |= {"1": "Title 1", "2": "Title 2"}
    history = (Interaction("1", 0, 4.0, 891_000_000.0), Interaction("2", 1, 2.0, 891_100_000.0))
    demos = (
        Demonstration("7:1", "7", 1, ("1",), "2", False, "recent"),
        Demonstration("7:0", "7", 0, (), "1", True, "recent"),
    )
    candidates = tuple(items)[: spec.candidates]
    case = Case("d", spec.user, "last", history, candidates, candidates[0], None, 1)
    short = spec.model_copy(update={"demos": len(demos)})
    named = {item: Item(item, title) for item, title in items.items()}
    if spec.picked_by_model:
        return Subject(spec, case, (), named, awaits_model=True)
    return Subject(short, case, demos, named)


def replacements(case: CaseSpec) -> list[tuple[Demonstration, Item]]:
    """What could stand among the demonstrations, as `app.cached.replacements` finds it: liked and disliked in turn."""
    return [
        (
            Demonstration(f"9:{place}", "9", place, (), str(600 + place), place % 2 == 0, "similar"),
            Item(str(600 + place), title),
        )
        for place, title in enumerate(TITLES[8:20])
    ]


FILE_ROWS = (
    FactRow("Source", "the sample model"),
    FactRow("Family", "llama (LlamaForCausalLM)"),
    FactRow("Layers", "30"),
    FactRow("Heads", "9 in each layer, and 3 of keys and values"),
    FactRow("Context", "8192 tokens"),
    FactRow("Vocabulary", "49152 tokens"),
    FactRow("Weights", "134,515,008 numbers"),
    FactRow("Chat template", "yes"),
    FactRow("Runs on", "cpu in float32"),
    FactRow("Memory", "about 0.6 GB needed, 21.5 GB free"),
)
LOADED_ROWS = (
    FactRow("Self-check", "passed: apart from plain passes by at most 1.0 · 10⁻³ of the logits' spread"),
    FactRow("Two packed branches", "4.7 · 10⁻⁷ apart"),
    FactRow("A remembered prefix", "4.1 · 10⁻⁷ apart"),
    FactRow("Demonstration at rate 1", "5.1 · 10⁻⁷ apart"),
    FactRow("Demonstration at rate 0", "4.6 · 10⁻⁷ apart"),
    FactRow("Prompts for an answer", "Yes and No are one token each, and two different ones"),
    FactRow("Prompts for a title", "a title such as 'The Matrix (1999)' is read whole, as 8 tokens"),
    FactRow("Content", "19f1f354560efab4"),
)


class FakeDesk:
    """Answers like the desk; the usual explanation is done, others take `seconds` or stay in `state`."""

    def __init__(self, seconds: float = 0.0, state: str | None = None, **options: Any) -> None:
        self.seconds, self.state, self.options = seconds, state, options
        self.of_tasks = "done"
        self.started: dict[str, float] = {}
        self.tasks: dict[str, Task] = {}
        self.submissions: list[Task] = []
        self.cancelled: set[str] = set()
        self.loads: dict[str, float] = {}
        self.lock = threading.Lock()

    def warm(self) -> None:
        """Nothing to prepare."""

    def key(self, task: Task) -> str:
        return f"{abs(hash((type(task).__name__, task.model_dump_json()))):064x}"

    def submit(self, task: Task, *, insist: bool = False) -> str:
        with self.lock:
            self.submissions.append(task)
            key = self.key(task)
            if key not in self.started or key in self.cancelled:
                self.cancelled.discard(key)
                self.started[key] = time.monotonic()
            self.tasks[key] = task
            return key

    def job(self, key: str) -> FakeJob | None:
        task = self.tasks.get(key)
        if task is None:
            return None
        if not isinstance(task, Explain):
            return task_job(key, self.of_tasks, task)
        age = time.monotonic() - self.started[key]
        if key in self.cancelled:
            return FakeJob(key, "cancelled", task, explanation(task, stage="first"), sentence="The job was cancelled.")
        if self.state is not None:
            return self.stuck(key, task)
        if task == Explain() or age >= self.seconds:
            return FakeJob(key, "done", task, explanation(task, **self.options), fraction=1.0, elapsed=age)
        stages = ["none", "scores", "first", "refined"]
        stage = stages[min(3, int(4 * age / self.seconds))]
        report = None if stage == "none" else explanation(task, stage=stage)
        return FakeJob(key, "running", task, report, 0, f"stage {stage}", age / self.seconds, age, self.seconds - age)

    def stuck(self, key: str, task: Explain) -> FakeJob:
        """A job that stays in the state of the desk."""
        if self.state == "queued":
            return FakeJob(key, "queued", task, ahead=2, label="waiting")
        if self.state == "starting":
            return FakeJob(key, "running", task, label="the model is being loaded", elapsed=2.0)
        if self.state == "failed":
            sentence = "The model folder holds no weights; expected model.safetensors"
            return FakeJob(key, "failed", task, sentence=sentence, error_id="E-3F9A")
        scores = explanation(task, stage="scores")
        return FakeJob(key, "running", task, scores, 0, "refining", fraction=0.4, elapsed=5.0, remaining=8.0)

    def cancel(self, key: str) -> None:
        self.cancelled.add(key)

    def examine(self, case: CaseSpec, *, load: bool = False, again: bool = False) -> Examination:
        """Files at once; a model after two seconds (at once where a desk takes none), unless its name is `refused`."""
        key = f"model-{case.model}"
        if load:
            self.loads[key] = time.monotonic()
            self.cancelled.discard(key)
        if key in self.cancelled:
            return Examination(key, "done", facts=ModelFacts(FILE_ROWS, None), sentence=CANCELLED)
        if case.model == "refused":
            return Examination(key, "done", facts=ModelFacts(FILE_ROWS[:1], "refused: no config.json"))
        if key not in self.loads:
            return Examination(key, "done", facts=ModelFacts(FILE_ROWS, None))
        if time.monotonic() - self.loads[key] < min(2.0, self.seconds):
            return Examination(key, "running", "loading and checking the model", ModelFacts(FILE_ROWS, None))
        return Examination(key, "done", facts=ModelFacts((*FILE_ROWS, *LOADED_ROWS), None), loaded=True)

    def forecast(self, task: Task, tokens: int | None = None) -> FakeForecast:
        return FakeForecast(seconds=14.0 + task.case.demos)

    def close(self) -> None:
        pass


def with_titles(record: Explanation, titles: list[str]) -> Explanation:
    """The same record with other titles on its first candidates."""
    rows = tuple(row.model_copy(update={"title": titles[i % len(titles)]}) for i, row in enumerate(record.candidates))
    return record.model_copy(update={"candidates": rows})


__all__ = ["FakeDesk", "FakeForecast", "FakeJob", "explanation", "preview", "replace", "with_titles"]

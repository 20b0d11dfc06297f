"""The cost of scoring, a gradient and leave-one-out, in plain forward passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from bench import plain_forward
from bench.case_list import Bench, PromptSubject, packed_ids
from bench.results_table import ResultRow, as_row
from bench.spread import extremes, quartiles
from bench.timing import Clock, timed
from core.analysis.dual.parts import dual_parts
from core.analysis.explain.ablation import leave_one_out, shapley
from core.analysis.explain.gradient import slopes_at
from core.analysis.values import leave_one_out_masks
from core.lm.scoring.score import Scorer

ROUNDS = 2
"""How often the short competitors take turns on one prompt; each counts with its fastest time."""
FEW = 4
"""Prompts that suffice for what does not depend on the clock."""
SHAPLEY_DEMOS = 6

Works = dict[str, Callable[[], object]]

RATIOS = (
    ("scoring 20 candidates / one forward over the same tokens", "packed", "plain packed", "<= 1.5"),
    ("one gradient of all gates / one forward", "gradient", "plain", "<= 3.5"),
    ("LOO by prefix reuse / LOO by naive prompts", "loo", "naive loo", "<= 0.6"),
    ("LOO by prefix reuse / by naive prompts, whole prompt not scored", "loo only", "naive loo only", None),
    ("scoring in two passes on our own cache / one packed pass", "two passes", "packed", None),
    ("scoring with the library's cache copied per candidate / one packed pass", "copied cache", "packed", None),
    ("scoring 20 candidates one by one, estimated from one / one packed pass", "one by one", "packed", None),
)


def speed(bench: Bench, count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every prompt."""
    subjects = bench.subjects(count)
    clock = Clock("speed", len(subjects) + len(subjects[:FEW]) + 1)
    seconds: dict[str, list[float]] = defaultdict(list)
    rows: list[ResultRow] = []
    _in_turns(_short(bench, subjects[0]), 1)  # The first pass also pays for allocations.
    for done, subject in enumerate(subjects, start=1):
        for name, value in time_competitors(bench, subject).items():
            seconds[name].append(value)
        rows = _rows(seconds, subjects[:done])
        clock.tick(f"{subject.family} {subject.prompt.length} tokens")
        yield rows
    rows = [*rows, _exact(bench)]
    clock.tick("exact Shapley values")
    yield rows
    yield [*rows, _residual(bench, subjects[:FEW], clock), _agreement(bench, subjects[:FEW])]


def time_competitors(bench: Bench, subject: PromptSubject) -> dict[str, float]:
    """Seconds of every competitor on one prompt; they take turns, so that a busy machine slows all of them."""
    seconds = _in_turns(_short(bench, subject), ROUNDS) | _in_turns(_long(bench, subject), 1)
    seconds["one by one"] = seconds["plain"] * len(subject.prompt.candidates)
    seconds["naive loo"] = seconds["naive loo only"] + seconds["plain"]
    return seconds


def _in_turns(works: Works, rounds: int) -> dict[str, float]:
    table = [{name: timed(work)[0] for name, work in works.items()} for _ in range(rounds)]
    return {name: min(turn[name] for turn in table) for name in works}


def _short(bench: Bench, subject: PromptSubject) -> Works:
    model, network = bench.model, bench.untouched
    return {
        "packed": lambda: Scorer(model, subject.prompt).full(),
        "plain packed": lambda: plain_forward.forward(network, packed_ids(subject.prompt)),
        "two passes": lambda: plain_forward.by_second_pass(model.network, subject),
        "copied cache": lambda: plain_forward.by_copied_cache(network, subject),
        "gradient": lambda: slopes_at(subject.score(model), 0.5),
        "plain": lambda: plain_forward.target_score(network, subject),
    }


def _long(bench: Bench, subject: PromptSubject) -> Works:
    masks = leave_one_out_masks(len(subject.prompt.demos))
    return {
        "loo": lambda: leave_one_out(subject.score(bench.model)),
        "naive loo only": lambda: [plain_forward.target_score(bench.untouched, subject, mask) for mask in masks],
        "loo only": lambda: subject.score(bench.model).at(masks),
    }


def _rows(seconds: dict[str, list[float]], subjects: list[PromptSubject]) -> list[ResultRow]:
    lengths = np.array([subject.prompt.length for subject in subjects], dtype=np.float64)
    rows = [as_row("tokens of the prompts of part speed", quartiles(lengths))]
    rows += [as_row("seconds of one plain forward over the prompt", quartiles(np.array(seconds["plain"])))]
    for measure, above, below, target in RATIOS:
        rows.append(as_row(measure, quartiles(np.array(seconds[above]) / np.array(seconds[below])), target))
    return rows


def _exact(bench: Bench) -> ResultRow:
    (subject,) = bench.subjects(1, demos=SHAPLEY_DEMOS)
    score = subject.score(bench.model)
    shapley(score)
    return as_row("exact Shapley of 6 demonstrations, forwards", [score.scorer.cost.forwards], "<= 64")


def _residual(bench: Bench, subjects: list[PromptSubject], clock: Clock) -> ResultRow:
    worst = []
    for subject in subjects:
        worst.append(float(dual_parts(bench.model, subject.prompt, subject.target).residual.max()))
        clock.tick("dual form")
    label = f"dual-form residual, worst head of {len(worst)} prompts, fp32, relative"
    return as_row(label, extremes(max(worst), np.array(worst)), "<= 1e-5")


def _agreement(bench: Bench, subjects: list[PromptSubject]) -> ResultRow:
    """Largest difference in nats between the packed pass and the three other ways of scoring."""
    worst = []
    for subject in subjects:
        packed = Scorer(bench.model, subject.prompt).full()
        others = (
            plain_forward.by_second_pass(bench.model.network, subject),
            plain_forward.by_copied_cache(bench.untouched, subject),
        )
        apart = [float(np.abs(packed - np.array(other)).max()) for other in others]
        alone = abs(packed[subject.target] - plain_forward.target_score(bench.untouched, subject))
        worst.append(max(*apart, float(alone)))
    return as_row(
        "largest difference of a score between the packed pass and the other ways, nats", quartiles(np.array(worst))
    )

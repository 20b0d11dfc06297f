"""The command that measures tuned models on later interactions, and its figures as a few lines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from core.cli.comparison_lines import blends_table, comparison_lines
from core.cli.output import aligned, check_target, write, write_or_print, write_out
from core.cli.progress import progress
from core.errors import RequestError
from core.question.checked import checked
from core.question.task import Record
from core.tuning.evaluation.evaluation_settings import EvaluationSettings
from core.tuning.evaluation.record import Evaluation, MetricEstimate
from core.words import duration
from core.work.job import package_version
from core.work.log import escaped, log_to_file

if TYPE_CHECKING:
    from core.comparison.comparison import StrategyComparison
    from core.tuning.evaluation.evaluation_plan import EvaluationPlan


def evaluate(
    choices: dict[str, object],
    json_to: Annotated[
        str,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write JSON, anew after every round, so that Ctrl-C leaves what is known; - means stdout.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Measure tuned models on the latest interactions: AUC, UAUC and NDCG@10, beside the base model and references."""
    settings = checked(EvaluationSettings, "evaluate", choices)
    check_target(json_to)
    log_to_file("command")
    if settings.strategies:
        comparison = _last(_comparisons(settings), json_to)
        lines = comparison_lines(comparison)
    else:
        evaluation = _last(_evaluations(settings, every_round=json_to not in ("", "-")), json_to)
        lines = evaluation_lines(evaluation)
    if not json_to:
        write_out("\n".join(lines) + "\n")


R = TypeVar("R", bound=Record)


def _last(records: Iterator[R], json_to: str) -> R:
    """The last of the records; each is written to the file that is named, the last also where that is stdout."""
    record = None
    for record in records:
        if json_to not in ("", "-"):
            with contextlib.suppress(RequestError):  # Hours of work go on; an error of the last write is raised.
                write(json_to, _text(record))
    if record is None:
        raise RequestError("no interaction to ask about", expected="later ones of users with earlier ones")
    if json_to:
        write_or_print(json_to, _text(record))
    return record


def _text(record: Record) -> str:
    return record.model_dump_json(indent=1) + "\n"


def _comparisons(settings: EvaluationSettings) -> Iterator[StrategyComparison]:
    """The figures of the strategies after every round."""
    from core.comparison.comparing import compare
    from core.comparison.default_choices import weights_for
    from core.data.dataset import open_dataset
    from core.lm.loading.load import load
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        done = 0
        report("opening the data", 0.0)
        dataset = open_dataset(settings.dataset)
        report("loading the model", 0.0)
        model = load(settings.model, device=settings.device, dtype=settings.dtype).with_adapter(settings.adapter)

        def between(arm: str) -> None:
            report(f"list {done + 1} and the next, {arm}", done / settings.ranked)

        made_by = f"demolens {package_version()}"
        for comparison in compare(
            settings,
            dataset,
            model,
            adapter=settings.adapter,
            made_by=made_by,
            between=between,
            weight_of=weights_for(dataset.dataset_id, settings.model),
        ):
            done = comparison.lists
            yield comparison


def _evaluations(settings: EvaluationSettings, *, every_round: bool) -> Iterator[Evaluation]:
    """The figures after every round, or only the last ones."""
    from core.comparison.default_choices import weights_for
    from core.data.dataset import open_dataset
    from core.lm.loading.load import load
    from core.tuning.evaluation.evaluation_plan import plan_evaluation
    from core.tuning.evaluation.rounds import evaluation_of, score_rounds
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        done, work, start = 0, None, time.monotonic()

        def between(what: str) -> None:
            report(_label(what, done, work, time.monotonic() - start), done / work.rounds if work else 0.0)

        report("opening the data", 0.0)
        dataset = open_dataset(settings.dataset)
        report("loading the model", 0.0)
        model = load(settings.model, device=settings.device, dtype=settings.dtype)
        weight_of = weights_for(dataset.dataset_id, settings.model)
        work = plan_evaluation(settings, dataset, model, between=between, weight_of=weight_of)
        for records in score_rounds(work):
            done += 1
            if every_round or done == work.rounds:
                yield evaluation_of(work, records, made_by=f"demolens {package_version()}")


def _label(what: str, done: int, work: EvaluationPlan | None, spent: float) -> str:
    if work is None or done == 0:
        return what
    left = spent / done * (work.rounds - done)
    return f"round {done + 1} of {work.rounds}, about {duration(left)} left: {what}"


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    """What it was measured on, tables of single answers, of lists and of differences, and the notices."""
    yield (
        f"{escaped(evaluation.dataset_name)}: {evaluation.interactions} test interactions and {evaluation.ranked} lists"
        f" of {evaluation.candidates} of {evaluation.users} users, {evaluation.both_answers} of them with both answers"
        f" (for UAUC); intervals of {100 * evaluation.level:.0f} % over users"
    )
    for table in (_answers(evaluation), _lists(evaluation), _differences(evaluation), blends_table(evaluation.blends)):
        if len(table) > 1:
            yield ""
            yield aligned(table)
    yield ""
    yield from (escaped(notice) for notice in evaluation.notices)


def _answers(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One line a way that is measured: AUC and UAUC with their intervals, and AUC in each later period."""
    numbers = sorted({row.period for row in evaluation.periods})
    by_period = {(row.way, row.period): row.auc for row in evaluation.periods}
    lines = [("way", "AUC", "interval", "UAUC", "interval", *(f"period {number}" for number in numbers))]
    for row in evaluation.ways:
        later = (by_period.get((row.way, number)) or MetricEstimate(value=None) for number in numbers)
        if row.auc.value is not None or row.uauc.value is not None:
            estimates = (*_estimate(row.auc), *_estimate(row.uauc))
            lines.append((row.way, *estimates, *(_number(auc.value) for auc in later)))
    return lines


def _lists(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One line a way and family: NDCG@10 with its interval."""
    lines: list[tuple[str, ...]] = [("way", "family", "NDCG@10", "interval")]
    return lines + [(row.way, row.family or "", *_estimate(row.ndcg)) for row in evaluation.ranking]


def _differences(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One line for each measured paired difference over the whole test."""
    lines: list[tuple[str, ...]] = [("difference", "of", "value", "interval")]
    return lines + [
        (row.name, row.measure.upper(), *_estimate(row.apart))
        for row in evaluation.differences
        if row.period is None and row.apart.value is not None
    ]


def _estimate(estimate: MetricEstimate) -> tuple[str, str]:
    """The value and its interval."""
    low, high = estimate.low, estimate.high
    return _number(estimate.value), "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

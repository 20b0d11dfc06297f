"""The command that measures tuned models on later interactions, and its figures as a few lines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import aligned, check_target, write, write_or_print, write_out
from core.cli.progress import progress
from core.errors import RequestError
from core.question.checked import checked
from core.tuning.evaluation.evaluation_settings import EvaluationSettings
from core.tuning.evaluation.record import Evaluation, MetricEstimate
from core.words import seconds
from core.work.job import package_version
from core.work.log import escaped, log_to_file

if TYPE_CHECKING:
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
    found, to_file = None, json_to not in ("", "-")
    for found in _evaluations(settings, every_round=to_file):
        if to_file:
            with contextlib.suppress(RequestError):  # Hours of work go on; the last one tells.
                write(json_to, _text(found))
    if found is None:
        raise RequestError("no interaction to ask about", expected="later ones of users with earlier ones")
    if json_to:
        write_or_print(json_to, _text(found))
    else:
        write_out("\n".join(evaluation_lines(found)) + "\n")


def _text(found: Evaluation) -> str:
    return found.model_dump_json(indent=1) + "\n"


def _evaluations(settings: EvaluationSettings, *, every_round: bool) -> Iterator[Evaluation]:
    """The figures after every round, or only the last ones."""
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
        work = plan_evaluation(settings, dataset, model, between=between)
        for found in score_rounds(work):
            done += 1
            if every_round or done == work.rounds:
                yield evaluation_of(work, found, made_by=f"demolens {package_version()}")


def _label(what: str, done: int, work: EvaluationPlan | None, spent: float) -> str:
    if work is None or done == 0:
        return what
    left = spent / done * (work.rounds - done)
    return f"round {done + 1} of {work.rounds}, about {seconds(left)} left: {what}"


def evaluation_lines(found: Evaluation) -> Iterator[str]:
    """On what it was measured, tables of single answers, of lists and of differences, and what a reader must know."""
    yield (
        f"{escaped(found.dataset_name)}: {found.interactions} test interactions and {found.ranked} lists of"
        f" {found.candidates} of {found.users} users, {found.both_answers} of them with both answers (for UAUC);"
        f" intervals of {100 * found.level:.0f} % over users"
    )
    for table in (_answers(found), _lists(found), _differences(found)):
        if len(table) > 1:
            yield ""
            yield aligned(table)
    yield ""
    yield from (escaped(notice) for notice in found.notices)


def _answers(found: Evaluation) -> list[tuple[str, ...]]:
    """One line a way that is measured: AUC and UAUC with their intervals, and AUC in each later period."""
    numbers = sorted({one.period for one in found.periods})
    at = {(one.way, one.period): one.auc for one in found.periods}
    lines = [("way", "AUC", "interval", "UAUC", "interval", *(f"period {number}" for number in numbers))]
    for one in found.ways:
        later = (_number((at.get((one.way, number)) or MetricEstimate(value=None)).value) for number in numbers)
        auc, uauc = one.auc, one.uauc
        if auc.value is None and uauc.value is None:
            continue
        lines.append((one.way, _number(auc.value), _between(auc), _number(uauc.value), _between(uauc), *later))
    return lines


def _lists(found: Evaluation) -> list[tuple[str, ...]]:
    """One line a way and family: NDCG@10 with its interval."""
    lines: list[tuple[str, ...]] = [("way", "family", "NDCG@10", "interval")]
    lines += [(one.way, one.family or "", _number(one.ndcg.value), _between(one.ndcg)) for one in found.ranking]
    return lines


def _differences(found: Evaluation) -> list[tuple[str, ...]]:
    """One line for each measured paired difference over the whole test."""
    lines: list[tuple[str, ...]] = [("difference", "of", "value", "interval")]
    lines += [
        (one.name, one.measure.upper(), _number(one.apart.value), _between(one.apart))
        for one in found.differences
        if one.period is None and one.apart.value is not None
    ]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(one: MetricEstimate) -> str:
    return "-" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"

"""The command that tunes a model: every choice of a run as an option, and the progress of hours on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import write_out
from core.cli.progress import is_first, progress
from core.errors import RequestError
from core.question.checked import checked
from core.tuning.training.training_settings import TuningSettings
from core.words import duration
from core.work.log import escaped, log_to_file

if TYPE_CHECKING:
    from core.tuning.training.card import Card


def tune(
    choices: dict[str, object],
    out: Annotated[
        str, typer.Option("--out", metavar="FOLDER", help="Where the result goes; a run broken off there goes on.")
    ] = "",
) -> None:
    """Tune a model to read demonstrations (RecICL), or without any; Ctrl-C stops it, the same command goes on."""
    settings = checked(TuningSettings, "tune", choices)
    if not out.strip() or "\0" in out:
        raise RequestError("no folder for the result", expected="--out FOLDER", where="tune")
    log_to_file("command")
    from core.tuning.training.train import tune as tuned
    from core.work.engine import use_all_cores

    use_all_cores()
    with progress(width=90, logged=True) as report:
        card = tuned(settings, out, progress=report)
    if is_first():
        write_out("\n".join(_lines(card, out)) + "\n")


def _lines(card: Card, out: str) -> Iterator[str]:
    """The result in a few lines."""
    yield f"Stored in {escaped(out)} after {card.steps} of {card.planned_steps} steps, {duration(card.seconds)}"
    measured = [point for point in card.curve if point.validation_loss is not None]
    for point in measured:
        auc = "" if point.validation_auc is None else f", AUC {point.validation_auc:.3f}"
        if point.validation_ndcg is not None and point.validation_gain is not None:
            auc = f", NDCG@10 {point.validation_ndcg:.3f}, {point.validation_gain:+.3f} by demonstrations"
        mark = "  <- kept" if point.step == card.best_step and card.best != "last" else ""
        yield f"  step {point.step:>5}: validation loss {point.validation_loss:.3f}{auc}{mark}"
    for notice in card.notices:
        yield f"Note: {escaped(notice)}"

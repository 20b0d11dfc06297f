"""Personalise (RecICL): a user's newest interactions change the demonstrations and the list; no weight changes."""

from __future__ import annotations

from app.pages.personalise import play_controls as play
from app.pages.personalise import played
from app.pages.personalise import stream_words as words
from app.pages.personalise.adapter_evaluation import evaluation
from app.widgets import task_page
from app.widgets.report_head import head
from core.personal.personalise_task import PersonaliseReport


def result(report: PersonaliseReport) -> None:
    """Words, the stream, what joined the prompt, the list before and after, its flow, what moved it, the cost."""
    head(report, words.sentence(report), words.leads(report), words.readouts(report))
    words.weights(report)
    if not report.stream:
        return
    step, item = played.bar(report)
    played.stream(report, step)
    played.changes(report, step)
    played.before_and_after(report, step, item)
    played.flow(report, step, item)
    played.cause(report, item)
    played.times(report)
    evaluation(report.provenance.adapter, report.provenance.model_id)


task_page.show(
    task_page.Page(
        "personalise",
        play.controls,
        result,
        "What do a user's newest interactions do to the list?",
        "Plays the user's latest interactions one by one. After each, the demonstrations are those of what is known by "
        "then, and the list is made again. The weights do not change; their hash is shown. Add an interaction by hand "
        "to see what it does.",
        selection=played.PlaySelection,
    )
)

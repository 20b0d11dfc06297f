"""Personalise (RecICL): a user's newest interactions enter as demonstrations, and the list changes; no weight does."""

from __future__ import annotations

from app.pages.personalise import play_controls as play
from app.pages.personalise import played
from app.pages.personalise import stream_words as words
from app.pages.personalise.adapter_evaluation import evaluation
from app.session import View
from app.widgets import task_page as task
from app.widgets.report_head import head
from core.question.task import Report
from core.personal.personalise_task import PersonaliseReport, PersonaliseTask


def result(view: View, report: Report) -> None:
    """Words, the stream, the list before and after, its flow, what moved it, what a step costs."""
    assert isinstance(report, PersonaliseReport)
    asked = view.tasks[play.KIND].answered
    assert isinstance(asked, PersonaliseTask)
    head(report, asked.case.user, words.sentence(report), words.leads(report, asked), words.readouts(report))
    words.weights(report)
    if not report.stream:
        return
    step, item = played.bar(view, report)
    played.stream(report, asked, step)
    played.before_and_after(view, report, step)
    played.flow(report, step, item)
    played.cause(report, item)
    played.times(report)
    evaluation(report.provenance.adapter, report.provenance.model_id)


task.show(
    task.Page(
        play.KIND,
        "What do a user's newest interactions do to the list?",
        "Plays the user's latest interactions one by one: each enters the prompt as a demonstration and changes the "
        "list. The weights do not change; their hash is shown. Add an interaction by hand to see what it does.",
        play.controls,
        result,
        strategy=False,
        selection=played.selection,
    )
)

"""Quality of a prompt's demonstrations: scores without a target first, then those with one."""

from __future__ import annotations

from collections.abc import Iterator

from core.analysis.ledger import Ledger, silent
from core.analysis.quality.quality_task import QualityReport, QualityRow, QualityTask
from core.analysis.quality.quality_work import QualityWork
from core.analysis.quality.score_rows import QUALITY_SCORES, QualityScoreRow
from core.analysis.subject import Subject
from core.lm.loading.load import LanguageModel
from core.prompt.case_source import CaseSource
from core.question.task import Progress

NO_DEMONSTRATIONS = "There are no demonstrations in the prompt, so there is no quality to measure."
GAIN_ALONE = (
    "A server gives scores only, so gain is measured by deletion or ablations; effect, alignment, redundancy and"
    " stability need the model's weights and are left out."
)
NO_PROXY = (
    "No earlier choice that this user liked stands outside the demonstrations, so there is no proxy for the target:"
    " gain, alignment and stability are not measured."
)
NO_ANSWER = (
    "The case file names no true answer of this case, and nobody named a target: gain, alignment and stability are not"
    " measured."
)


def quality(
    task: QualityTask,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[QualityReport]:
    """Reports on one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    setting = ledger.set_up(dataset, subject)
    rows = tuple(QualityRow(label=row.label, tokens=row.tokens) for row in setting.demo_rows())
    report = QualityReport.model_validate({**setting.head(task), "rows": rows})
    if not rows:
        yield ledger.complete(report, NO_DEMONSTRATIONS)
        return
    work = QualityWork(task, ledger, setting)
    measured = [row for row in QUALITY_SCORES if row.function is not None and row.applies(task)]
    if model.server is not None:
        measured = [row for row in measured if not row.needs_weights]
        report = report.model_copy(update={"notices": (*report.notices, GAIN_ALONE)})
    stages = sorted(measured, key=lambda row: row.needs_target)
    for score in stages:
        if score.needs_target and work.target_setting is None:
            yield ledger.complete(report, NO_PROXY if setting.case.logged is None else NO_ANSWER)
            return
        ledger.label = score.label
        report = _joined(report, score, work)
        yield ledger.complete(report) if score is stages[-1] else ledger.now(report)


def _joined(report: QualityReport, score: QualityScoreRow, work: QualityWork) -> QualityReport:
    """The report with one more score, or two that share a pass."""
    assert score.function is not None
    measured = score.function(work)
    rows = list(report.rows)
    for at, place in enumerate(work.places if score.needs_target else range(len(rows))):
        values = {name: column[at] for name, column in measured.columns.items()}
        rows[place] = rows[place].model_copy(update=values)
    update: dict[str, object] = {"passes": measured.passes, "seconds": measured.seconds}
    costs = [
        cost.model_copy(update=update) if score.name in (cost.score, cost.shared_with) else cost
        for cost in report.costs
    ]
    target = {"scored": work.scored.target_record(), "proxy": work.proxy} if score.needs_target else {}
    lists = {"rows": tuple(rows), "costs": tuple(costs), "notices": (*report.notices, *measured.notices)}
    return report.model_copy(update={**lists, **target, **measured.fields})

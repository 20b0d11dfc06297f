"""The run that answers `Explain`: an explanation of one case, ever more complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import metadata

import numpy as np

from core.analysis.blend import blend_notices, model_ranks
from core.analysis.explain.contributions import MethodAnswer, contributions
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import (
    CandidateRow,
    Explanation,
    HistoryRow,
    PromptRecord,
    SpanRow,
    Timings,
)
from core.analysis.explain.faithfulness import faithfulness
from core.analysis.explain.flip_record import flip_record
from core.analysis.explain.flip_set import WIDE
from core.analysis.explain.history_removals import history_removals, in_query
from core.analysis.explain.list_record import list_effects
from core.analysis.explain.methods import METHODS, row_for
from core.analysis.explain.refine import ABLATING
from core.analysis.ledger import Ledger, silent
from core.analysis.noise import PASSES, Repeats, drift, repeated
from core.analysis.noise_floor import drift_sentence, noise_sentence
from core.analysis.setting import Setting, tie_notices
from core.analysis.subject import Subject, rival_place
from core.analysis.values import Array, TargetScore
from core.lm.loading.load import LanguageModel
from core.metrics.ranking import ranks
from core.prompt.case_source import CaseSource
from core.prompt.spans import Span
from core.question.task import Progress

NO_DEMONSTRATIONS = "There are no demonstrations in the prompt, so there is nothing to explain."


def explain(
    task: Explain,
    *,
    dataset: CaseSource,
    model: LanguageModel,
    progress: Progress = silent,
    subject: Subject | None = None,
) -> Iterator[Explanation]:
    """Explanations of one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    ledger = Ledger(task, model, progress)
    method = row_for(task.method, scores_only=model.server is not None)
    setting = ledger.set_up(dataset, subject)
    prompt_seconds = ledger.seconds
    ledger.label = "scoring the candidates"
    rival = _rival(task, setting)
    scorer = ledger.scorer(setting.prompt)
    few_shot, zero_shot = scorer.full(), scorer.subsets(np.zeros((1, scorer.demos), dtype=bool))[0]
    free = ledger.content_free(setting)
    timings = Timings(prompt=prompt_seconds, scores=ledger.seconds - prompt_seconds)
    report = _scored(task, setting, few_shot - free, zero_shot - free)
    yield ledger.now(report, timings=timings)
    if task.history_removals:
        ledger.label = "measuring the list without parts of the history"
        before = ledger.seconds
        rows = history_removals(setting, ledger.sweep(), free)
        timings = timings.model_copy(update={"history": ledger.seconds - before})
        report = ledger.now(report, history_removals=rows, timings=timings)
    if scorer.demos == 0:
        yield _complete(ledger, report, timings, NO_DEMONSTRATIONS)
        return

    score = TargetScore(scorer, *setting.targets, explain=setting.explain)
    score.remember(np.ones(scorer.demos, dtype=bool), few_shot)
    score.remember(np.zeros(scorer.demos, dtype=bool), zero_shot)
    repeats = None
    if model.server is not None:
        repeats, report = _with_noise(ledger, score, report, setting)
    ledger.label = ABLATING
    target, seed = setting.target_record(), setting.case.seed
    for number, answer in enumerate(contributions(score, task, target, seed, free, rival)):
        timings = timings.model_copy(update={"contributions": answer.contributions.seconds})
        stage = "first" if number == 0 and answer.contributions.method == "default" else "refined"
        records = _list_records(answer, setting, score, free)
        report = ledger.now(report, contributions=answer.contributions, **records, stage=stage, timings=timings)
        yield report
        ledger.label = answer.ahead or ledger.label
    if task.faithfulness and report.contributions is not None:
        ledger.label = "measuring faithfulness"
        values = np.array(report.contributions.values)
        measured = faithfulness(score, values, ablations=task.faithfulness, seed=setting.case.seed, free=free)
        timings = timings.model_copy(update={"faithfulness": measured.seconds})
        report = ledger.now(report, faithfulness=measured)
    if repeats is not None and report.noise is not None:
        ledger.label = "looking for drift"
        report = ledger.now(report, noise=report.noise.model_copy(update={"drift": drift(score, repeats)}))
    notices = [*_noise_notices(report, method.name != task.method), *_many_notices(report)]
    yield _complete(ledger, report, timings, *notices)


def _with_noise(
    ledger: Ledger, score: TargetScore, report: Explanation, setting: Setting
) -> tuple[Repeats, Explanation]:
    """Repeats of the prompt by a server, and the report with the noise that they show; `score` then knows it too."""
    ledger.label = "measuring the server's noise"
    ledger.planned += PASSES
    repeats = repeated(score.scorer, seed=setting.case.seed)
    noise = repeats.floor(score.weights)
    score.noise = noise.floor
    return repeats, ledger.now(report, noise=noise)


def _noise_notices(report: Explanation, another_method: bool) -> Iterator[str]:
    """What a reader must know where a server gave the scores."""
    noise, answer = report.noise, report.contributions
    if noise is None or answer is None or answer.within_noise is None:
        return
    if another_method:
        yield f"A server gives scores only, so effects come from {METHODS[answer.method].words}, without a gradient."
    yield noise_sentence(noise, [demo.label for demo in report.demos], answer.within_noise)
    yield from filter(None, [drift_sentence(noise)])


def _many_notices(report: Explanation) -> Iterator[str]:
    """That of many demonstrations not every set is looked at."""
    if report.flip_set is not None and len(report.demos) > WIDE:
        yield (
            f"Of {len(report.demos)} demonstrations not every set is looked at: sets to take out begin with those that"
            " move the target most, so a smaller one may exist."
        )


def _rival(task: Explain, setting: Setting) -> int | None:
    """Candidate index of the rival that the flip set is about; raises `RequestError` where it is no other one."""
    if task.rival is None:
        return None
    return rival_place(setting.case, task.rival, setting.targets[0])


def _list_records(answer: MethodAnswer, setting: Setting, score: TargetScore, free: Array | float) -> dict[str, object]:
    """What a method that models the whole list knows besides contributions."""
    effects = answer.belief and list_effects(
        answer.belief, score.target, score.weights, free=free, seed=setting.case.seed
    )
    return {"list_effects": effects, "flip_set": answer.flips and flip_record(answer.flips, setting)}


def content_key(task: Explain, *, dataset_id: str, model_id: str) -> str:
    """Hex key of what an explanation depends on: the task, the data, the model and this package's version."""
    parts = [task.effective(), dataset_id, model_id, metadata.version("demolens")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _complete(ledger: Ledger, report: Explanation, timings: Timings, *notices: str) -> Explanation:
    return ledger.complete(report, *notices, timings=timings.model_copy(update={"total": ledger.seconds}))


# ---- the rows of an explanation


def _scored(task: Explain, setting: Setting, few_shot: Array, zero_shot: Array) -> Explanation:
    """The explanation as far as scores [candidate] with and without demonstrations tell."""
    case = setting.case
    head = setting.head(task)
    notices = (
        *setting.dataset.notices,
        *setting.model.notices,
        *setting.shortages,
        *blend_notices(setting.spec),
        *tie_notices(few_shot),
        *_without_notice(task, len(setting.prompt.kept_demos)),
    )
    return Explanation.model_validate(
        head
        | {
            "key": content_key(task, dataset_id=setting.dataset.dataset_id, model_id=setting.model.model_id),
            "stage": "scores",
            "moment": case.moment,
            "history": _history(setting),
            "candidates": _candidates(setting, few_shot, zero_shot),
            "target_index": case.candidates.index(str(case.target)) if case.target in case.candidates else None,
            "prompt": _prompt(setting),
            "notices": notices,
        }
    )


def _without_notice(task: Explain, demos: int) -> tuple[str, ...]:
    """Which demonstrations to take out are not there."""
    missing = [label for label, demo in zip(task.without, task.without_demos, strict=True) if demo >= demos]
    return (f"The prompt has no {' and no '.join(missing)} to take out.",) if missing else ()


def _history(setting: Setting) -> tuple[HistoryRow, ...]:
    latest = set(in_query(setting))
    return tuple(
        HistoryRow(
            item_id=row.item_id,
            title=setting.items[row.item_id].title,
            categories=setting.items[row.item_id].categories,
            rating=row.rating,
            timestamp=row.timestamp,
            in_query=index in latest,
        )
        for index, row in enumerate(setting.case.history)
    )


def _candidates(setting: Setting, few_shot: Array, zero_shot: Array) -> tuple[CandidateRow, ...]:
    before, after = ranks(zero_shot), ranks(few_shot)
    prior, alone = setting.prompt.prior, model_ranks(few_shot, setting.prompt.prior)
    return tuple(
        CandidateRow(
            item_id=item,
            title=setting.items[item].title,
            categories=setting.items[item].categories,
            popularity=setting.items[item].popularity,
            is_target=item == setting.case.target,
            zero_shot_score=float(zero_shot[place]),
            zero_shot_rank=before[place],
            score=float(few_shot[place]),
            rank=after[place],
            prior=prior[place] if prior else 0.0,
            model_rank=None if alone is None else alone[place],
        )
        for place, item in enumerate(setting.case.candidates)
    )


def _prompt(setting: Setting) -> PromptRecord:
    target, _ = setting.targets
    spans = (*setting.prompt.prefix, setting.prompt.candidates[target])
    return PromptRecord(
        family=setting.prompt.family,
        chat=setting.spec.chat,
        template=setting.prompt.template,
        length=setting.prompt.length,
        context=setting.model.context,
        spans=tuple(_span_row(span) for span in spans),
        cut=setting.prompt.cut,
        notices=setting.prompt.notices,
    )


def _span_row(span: Span) -> SpanRow:
    """Token texts that joined give the span's text: a character of several tokens stands at the first of them."""
    texts, done = [], 0
    for start, end in span.offsets:
        texts.append(span.text[max(start, done) : end])
        done = max(done, end)
    return SpanRow(kind=span.kind, index=span.index, text=span.text, tokens=tuple(texts), token_ids=span.token_ids)

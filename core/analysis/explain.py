"""The one unit of work: a request becomes an explanation, ever more complete."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from core.analysis.cost import predicted_passes
from core.analysis.explanation import (
    CandidateRow,
    DemoRow,
    Explanation,
    HistoryRow,
    Matrix,
    PromptRecord,
    Provenance,
    SpanRow,
    Target,
    Timings,
)
from core.analysis.faithfulness import faithfulness
from core.analysis.methods import contributions
from core.analysis.request import Request
from core.analysis.values import Array, Meter, TargetScore, leave_one_out_masks
from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.demonstrations import by_ids, pick
from core.data.records import Case, Demonstration, Item
from core.errors import RequestError
from core.lm.load import LanguageModel
from core.lm.score import Aggregate, Scorer
from core.metrics.ranking import ranks
from core.prompt.build import build
from core.prompt.spans import Prompt, Span

Progress = Callable[[str, float], None]
"""Told what is being done and which share is behind, between forward passes; may raise `Cancelled`."""

LIBRARIES = ("demolens", "torch", "transformers", "captum", "numpy", "scipy", "scikit-learn", "duckdb", "bm25s")


def content_key(request: Request, *, dataset_id: str, model_id: str) -> str:
    """Hex key of what an explanation depends on: the request, the data, the model and this package's version."""
    parts = [request.model_dump(mode="json"), dataset_id, model_id, metadata.version("demolens")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def explain(
    request: Request,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = lambda _label, _fraction: None,
) -> Iterator[Explanation]:
    """Explanations of one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    start = time.monotonic()
    setting = _set_up(request, dataset, model)
    prompt_seconds = time.monotonic() - start
    steps = _Steps(progress, predicted_passes(request))
    aggregate: Aggregate = "mean" if request.scoring == "mean" else "sum"
    scorer = Scorer(model, setting.prompt, aggregate=aggregate, between=lambda: steps.tell(scorer.passes))
    steps.label = "scoring the candidates"
    few_shot, zero_shot = scorer.full(), scorer.subsets(np.zeros((1, scorer.demos), dtype=bool))[0]
    free = _content_free(request, setting, model)
    record = setting.record(few_shot - free, zero_shot - free)
    timings = Timings(prompt=prompt_seconds, scores=time.monotonic() - start - prompt_seconds)
    yield record.model_copy(update={"timings": timings})
    if scorer.demos == 0:
        notice = "There are no demonstrations in the prompt, so there is nothing to explain."
        yield _complete(record, timings, start, {"notices": (*record.notices, notice)})
        return

    target, against = setting.explained()
    score = TargetScore(scorer, target, against)
    score.remember(np.ones(scorer.demos, dtype=bool), few_shot)
    score.remember(np.zeros(scorer.demos, dtype=bool), zero_shot)
    steps.label = "computing contributions"
    for number, answer in enumerate(contributions(score, request, setting.target_record(), setting.case.seed)):
        timings = timings.model_copy(update={"contributions": answer.seconds})
        stage = "first" if number == 0 and request.method == "default" else "refined"
        record = record.model_copy(update={"contributions": answer, "stage": stage, "timings": timings})
        yield record
    if request.matrix:
        steps.label = "removing each demonstration for every candidate"
        matrix = removal_matrix(scorer, score, few_shot)
        timings = timings.model_copy(update={"matrix": matrix.seconds})
        record = record.model_copy(update={"matrix": matrix, "timings": timings})
        yield record
    if request.faithfulness and record.contributions is not None:
        steps.label = "measuring faithfulness"
        values = np.array(record.contributions.values)
        measured = faithfulness(score, values, ablations=request.faithfulness, seed=setting.case.seed)
        timings = timings.model_copy(update={"faithfulness": measured.seconds})
        record = record.model_copy(update={"faithfulness": measured})
    yield _complete(record, timings, start, {})


def removal_matrix(scorer: Scorer, score: TargetScore, few_shot: Array) -> Matrix:
    """How far each candidate's score falls when each demonstration is deleted from the text, [demo][candidate]."""
    meter = Meter(scorer)
    masks = leave_one_out_masks(scorer.demos)
    without = scorer.subsets(masks)
    for mask, row in zip(masks, without, strict=True):
        score.remember(mask, row)
    spent = meter.read()
    return Matrix(
        method="text_removal",
        values=tuple(map(tuple, (few_shot[None] - without).tolist())),
        ranks_without=tuple(tuple(ranks(row).tolist()) for row in without),
        forwards=spent.forwards,
        seconds=spent.seconds,
    )


@dataclass
class _Steps:
    """Turns passes into a fraction of the planned ones; a plan that was too small never shows more than all."""

    progress: Progress
    planned: float
    label: str = ""

    def tell(self, passes: float) -> None:
        self.progress(self.label, min(passes / self.planned, 0.99))


@dataclass(frozen=True)
class _Setting:
    """A request with its case, demonstrations and prompt in hand."""

    request: Request
    dataset: Dataset
    model: LanguageModel
    case: Case
    demos: tuple[Demonstration, ...]
    items: dict[str, Item]
    prompt: Prompt

    def explained(self) -> tuple[int, int | None]:
        """Candidate indices of the target and of what it is held against."""
        wanted = self.request.target or self.case.target
        target = 0 if wanted is None or wanted not in self.case.candidates else self.case.candidates.index(wanted)
        if self.request.target is not None and self.request.target not in self.case.candidates:
            raise self._not_a_candidate("target", self.request.target)
        if self.request.against is None:
            return target, None
        if self.request.against not in self.case.candidates:
            raise self._not_a_candidate("against", self.request.against)
        against = self.case.candidates.index(self.request.against)
        if against == target:
            raise RequestError("the margin of a candidate over itself", expected="two candidates", where="against")
        return target, against

    def _not_a_candidate(self, option: str, item: str) -> RequestError:
        some = ", ".join(self.case.candidates[:5])
        return RequestError(f"item {item[:80]!r}", expected=f"one of this case's candidates ({some}, …)", where=option)

    def target_record(self) -> Target:
        target, against = self.explained()
        item = self.items[self.case.candidates[target]]
        other = None if against is None else self.items[self.case.candidates[against]]
        return Target(
            item_id=item.item_id,
            title=item.title,
            against_id=other.item_id if other else None,
            against_title=other.title if other else None,
        )

    def record(self, few_shot: Array, zero_shot: Array) -> Explanation:
        key = content_key(self.request, dataset_id=self.dataset.dataset_id, model_id=self.model.model_id)
        in_case = self.case.target in self.case.candidates
        return Explanation(
            key=key,
            stage="scores",
            request=self.request,
            user_id=self.case.user_id,
            moment=self.case.moment,
            history=self._history(),
            demos=tuple(self._demo(place, index) for place, index in enumerate(self.prompt.kept_demos)),
            candidates=self._candidates(few_shot, zero_shot),
            target_index=self.case.candidates.index(str(self.case.target)) if in_case else None,
            prompt=self._prompt(),
            provenance=_provenance(self),
            notices=(*self.dataset.notices, *self.model.notices),
        )

    def _history(self) -> tuple[HistoryRow, ...]:
        liked = [one.position for one in self.case.history if self.dataset.liked(one)]
        latest = set(liked[max(0, len(liked) - self.request.history) :])
        return tuple(
            HistoryRow(
                item_id=one.item_id,
                title=self.items[one.item_id].title,
                categories=self.items[one.item_id].categories,
                rating=one.rating,
                timestamp=one.timestamp,
                in_query=one.position in latest,
            )
            for one in self.case.history
        )

    def _demo(self, place: int, index: int) -> DemoRow:
        demo, span = self.demos[index], self.prompt.demos[place]
        return DemoRow(
            demo_id=demo.demo_id,
            label=f"D{place + 1}",
            user_id=demo.user_id,
            item_id=demo.item_id,
            title=self.items[demo.item_id].title,
            answer=("Yes" if demo.liked else "No") if self.request.family == "yes_no" else None,
            history=tuple(self.items[item].title for item in demo.history),
            source=demo.source,
            text=span.text,
            tokens=len(span.token_ids),
        )

    def _candidates(self, few_shot: Array, zero_shot: Array) -> tuple[CandidateRow, ...]:
        before, after = ranks(zero_shot), ranks(few_shot)
        return tuple(
            CandidateRow(
                item_id=item,
                title=self.items[item].title,
                categories=self.items[item].categories,
                popularity=self.items[item].popularity,
                is_target=item == self.case.target,
                zero_shot_score=float(zero_shot[place]),
                zero_shot_rank=int(before[place]),
                score=float(few_shot[place]),
                rank=int(after[place]),
            )
            for place, item in enumerate(self.case.candidates)
        )

    def _prompt(self) -> PromptRecord:
        target, _ = self.explained()
        spans = (*self.prompt.prefix, self.prompt.candidates[target])
        return PromptRecord(
            family=self.prompt.family,
            chat=self.request.chat,
            template=self.prompt.template,
            length=self.prompt.length,
            context=self.model.context,
            spans=tuple(_span_row(span) for span in spans),
            cut=self.prompt.cut,
            notices=self.prompt.notices,
        )


def _set_up(request: Request, dataset: Dataset, model: LanguageModel) -> _Setting:
    case = case_of(
        dataset,
        request.user,
        split=request.split,
        candidates=request.candidates,
        sampling=request.sampling,
        given=request.candidate_ids,
        seed=request.seed,
    )
    demos = demonstrations_of(request, dataset, case)
    shown = {one.item_id for one in case.history} | set(case.candidates)
    for demo in demos:
        shown |= {demo.item_id, *demo.history}
    items = dataset.items(shown)
    setting = _Setting(
        request, dataset, model, case, demos, items, _prompt(request, dataset, model, case, demos, items)
    )
    setting.explained()
    return setting


def demonstrations_of(request: Request, dataset: Dataset, case: Case) -> tuple[Demonstration, ...]:
    """The demonstrations a request asks for: named by hand, or picked by its strategy."""
    if request.demo_ids is not None:
        return by_ids(dataset, case, request.demo_ids, history=request.history)
    return pick(dataset, case, k=request.demos, strategy=request.strategy, history=request.history)


def _prompt(
    request: Request,
    dataset: Dataset,
    model: LanguageModel,
    case: Case,
    demos: tuple[Demonstration, ...],
    items: dict[str, Item],
) -> Prompt:
    return build(
        case,
        demos,
        items,
        model.tokenizer,
        family=request.family,
        noun=dataset.noun,
        history=request.history,
        chat=request.chat,
        context=model.context,
        liked=dataset.liked,
    )


def _content_free(request: Request, setting: _Setting, model: LanguageModel) -> NDArray[np.float64] | float:
    """Scores [candidate] under a prompt that knows nothing of the user, for calibrated scoring; else 0."""
    if request.scoring != "calibrated" or request.family != "next_item":
        return 0.0
    empty = request.model_copy(update={"history": 0})
    prompt = _prompt(empty, setting.dataset, model, setting.case, (), setting.items)
    return Scorer(model, prompt).full()


def _span_row(span: Span) -> SpanRow:
    """Token texts that joined give the span's text: a character of several tokens stands at the first of them."""
    texts, done = [], 0
    for start, end in span.offsets:
        texts.append(span.text[max(start, done) : end])
        done = max(done, end)
    return SpanRow(kind=span.kind, index=span.index, text=span.text, tokens=tuple(texts), token_ids=span.token_ids)


def _provenance(setting: _Setting) -> Provenance:
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return Provenance(
        dataset_id=setting.dataset.dataset_id,
        dataset_name=setting.dataset.name,
        model_id=setting.model.model_id,
        model_name=setting.model.name,
        adapter=setting.model.adapter,
        device=setting.model.device,
        dtype=setting.model.dtype,
        layers=setting.model.layers,
        heads=setting.model.heads,
        case_seed=setting.case.seed,
        versions={**versions, "python": platform.python_version()},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line(setting.request),
    )


def command_line(request: Request) -> str:
    """The command that repeats a request; choices left at their defaults are not written."""
    parts = ["demolens", "explain"]
    for name, value in request.model_dump(mode="json", exclude_defaults=True).items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            parts.append(option if value else f"--no-{option[2:]}")
        else:
            parts += [part for one in _as_list(value) for part in (option, one)]
    return shlex.join(parts)


def _as_list(value: object) -> list[str]:
    """A list's members, each for an option of its own: an id may contain the comma that would join them."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _complete(record: Explanation, timings: Timings, start: float, update: dict[str, object]) -> Explanation:
    done = timings.model_copy(update={"total": time.monotonic() - start})
    return record.model_copy(update={"stage": "complete", "timings": done, **update})

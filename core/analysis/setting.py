"""A request with everything it needs in hand, and the rows of an explanation that follow from it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata

from pydantic import BaseModel

from core.analysis.explain.explanation import (
    CandidateRow,
    DataReading,
    DemoRow,
    Explanation,
    HistoryRow,
    ModelProof,
    PromptRecord,
    Provenance,
    SpanRow,
    Target,
)
from core.analysis.request import Request
from core.analysis.subject import item_ids, shortages, subject_of, targets_for
from core.analysis.values import Array
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction, Item
from core.lm.loading.load import LanguageModel
from core.metrics.ranking import ranks, sharing
from core.prompt.build import build
from core.prompt.spans import Prompt, Span

LIBRARIES = ("demolens", "torch", "transformers", "captum", "numpy", "scipy", "scikit-learn", "duckdb", "bm25s")


def content_key(request: Request, *, dataset_id: str, model_id: str) -> str:
    """Hex key of what an explanation depends on: the request, the data, the model and this package's version."""
    parts = [request.model_dump(mode="json"), dataset_id, model_id, metadata.version("demolens")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def tie_notices(scores: Array) -> tuple[str, ...]:
    """What a reader must know about candidates with equal scores [candidate]; nothing where there are none."""
    shared = sharing(scores)
    if not shared:
        return ()
    return (
        f"{shared} of {len(scores)} candidates have exactly the score of another one: "
        "they share the middle of their places and are listed by title.",
    )


@dataclass(frozen=True)
class Setting:
    """A request with its case, demonstrations and prompt in hand."""

    request: Request
    dataset: Dataset
    model: LanguageModel
    case: Case
    demos: tuple[Demonstration, ...]
    items: dict[str, Item]
    prompt: Prompt

    def target_record(self) -> Target:
        """What is explained, by id and title."""
        target, against = targets_for(self.request, self.case)
        item = self.items[self.case.candidates[target]]
        other = None if against is None else self.items[self.case.candidates[against]]
        return Target(
            item_id=item.item_id,
            title=item.title,
            against_id=other.item_id if other else None,
            against_title=other.title if other else None,
        )

    def record(self, few_shot: Array, zero_shot: Array) -> Explanation:
        """The explanation as far as scores [candidate] with and without demonstrations tell."""
        key = content_key(self.request, dataset_id=self.dataset.dataset_id, model_id=self.model.model_id)
        in_case = self.case.target in self.case.candidates
        return Explanation(
            key=key,
            stage="scores",
            request=self.request,
            user_id=self.case.user_id,
            moment=self.case.moment,
            history=self._history(),
            demos=self.demo_rows(),
            candidates=self._candidates(few_shot, zero_shot),
            target_index=self.case.candidates.index(str(self.case.target)) if in_case else None,
            prompt=self._prompt(),
            provenance=_provenance(self, command_line(self.request)),
            notices=(*self._notices(), *tie_notices(few_shot)),
        )

    def head(self, command: str) -> dict[str, object]:
        """What every `Report` says first; `command` is the command line that repeats it."""
        return {
            "demos": self.demo_rows(),
            "target": self.target_record(),
            "provenance": _provenance(self, command),
            "tokens": self.prompt.length,
            "notices": (*self._notices(), *self.prompt.notices),
        }

    def _notices(self) -> tuple[str, ...]:
        short = shortages(self.request, self.case, self.demos)
        return (*self.dataset.notices, *self.model.notices, *short)

    def demo_rows(self) -> tuple[DemoRow, ...]:
        """The demonstrations as they stand in the prompt."""
        return tuple(self._demo(place, index) for place, index in enumerate(self.prompt.kept_demos))

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
                zero_shot_rank=before[place],
                score=float(few_shot[place]),
                rank=after[place],
            )
            for place, item in enumerate(self.case.candidates)
        )

    def _prompt(self) -> PromptRecord:
        target, _ = targets_for(self.request, self.case)
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


def set_up(request: Request, dataset: Dataset, model: LanguageModel) -> Setting:
    """Case, demonstrations and prompt of a request; raises `DemoLensError`s for choices that cannot be run."""
    case, demos = subject_of(request, dataset)
    items = dataset.items(item_ids(case, demos))
    prompt = prompt_of(request, dataset, model, case, demos, items)
    return Setting(request, dataset, model, case, demos, items, prompt)


def prompt_of(
    request: Request,
    dataset: Dataset,
    model: LanguageModel,
    case: Case,
    demos: tuple[Demonstration, ...],
    items: dict[str, Item],
    *,
    liked: Callable[[Interaction], bool] | None = None,
) -> Prompt:
    """The prompt of a case and its demonstrations under the request's choices; `liked` in place of the data's word."""
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
        liked=liked or dataset.liked,
        codes=model.codes_for(dataset.dataset_id),
    )


def _span_row(span: Span) -> SpanRow:
    """Token texts that joined give the span's text: a character of several tokens stands at the first of them."""
    texts, done = [], 0
    for start, end in span.offsets:
        texts.append(span.text[max(start, done) : end])
        done = max(done, end)
    return SpanRow(kind=span.kind, index=span.index, text=span.text, tokens=tuple(texts), token_ids=span.token_ids)


def _provenance(setting: Setting, command: str) -> Provenance:
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return Provenance(
        dataset_id=setting.dataset.dataset_id,
        dataset_name=setting.dataset.name,
        data=_reading(setting.dataset),
        model_id=setting.model.model_id,
        model_name=setting.model.name,
        adapter=setting.model.adapter,
        device=setting.model.device,
        dtype=setting.model.dtype,
        layers=setting.model.layers,
        heads=setting.model.heads,
        proof=None if setting.model.proof is None else ModelProof(**asdict(setting.model.proof)),
        case_seed=setting.case.seed,
        versions={**versions, "python": platform.python_version()},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
    )


def _reading(dataset: Dataset) -> DataReading:
    threshold = dataset.like_threshold if dataset.has_ratings else None
    return DataReading(noun=dataset.noun, like_threshold=threshold, **dataset.meaning)


def command_line(request: BaseModel, command: str = "explain") -> str:
    """The command that repeats a request or a task; choices left at their defaults are not written."""
    parts = ["demolens", command]
    choices = request.model_dump(mode="json", exclude_defaults=True)
    for name, value in (choices.pop("case", {}) | choices).items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            parts.append(option if value else f"--no-{option[2:]}")
        else:
            parts += [part for one in _as_list(value) for part in (option, one)]
    return shlex.join(parts)


def _as_list(value: object) -> list[str]:
    """A list's members, each for an option of its own, and as the command reads one: quoted if it holds a comma."""
    return [_field(str(one)) for one in value] if isinstance(value, list) else [str(value)]


def _field(text: str) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow([text])
    return written.getvalue()

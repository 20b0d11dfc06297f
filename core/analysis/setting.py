"""A question with everything it needs in hand, and what every report of it begins with."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from core.analysis.blend import blend_notices
from core.analysis.prompt_reader import PromptReader
from core.analysis.subject import Subject, own_data, subject_for, subject_of, with_demonstrations
from core.analysis.values import Array
from core.data.dataset import Dataset
from core.data.item_prior import log_popularity
from core.data.records import Case, Demonstration, Interaction, Item
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.sweep import Cost
from core.metrics.ranking import sharing
from core.prompt.build import build
from core.prompt.case_source import CaseSource
from core.prompt.families import FAMILIES
from core.prompt.imported.imported_cases import ImportedCases
from core.prompt.logged import logged_prompt, options_shown
from core.prompt.spans import Prompt
from core.prompt.stored_templates import stored_template, template_of
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line
from core.question.task import DataReading, DemoRow, ModelProof, Provenance, ServerRecord, Target, Task, TemplateRecord

LIBRARIES = ("demolens", "torch", "transformers", "captum", "numpy", "scipy", "scikit-learn", "duckdb", "bm25s")


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
class Setting(Subject):
    """A subject with its data, model and prompt in hand."""

    _: KW_ONLY
    dataset: CaseSource
    model: LanguageModel
    prompt: Prompt

    @property
    def data(self) -> Dataset:
        """The data set; raises `RequestError` for a case from a file, which has none."""
        return own_data(self.dataset, "other demonstrations and items")

    def target_record(self) -> Target:
        """What is explained, by id and title."""
        target, against = self.targets
        item = self.items[self.case.candidates[target]]
        other = None if against is None else self.items[self.case.candidates[against]]
        return Target(
            item_id=item.item_id,
            title=item.title,
            explain=self.explain,
            against_id=other.item_id if other else None,
            against_title=other.title if other else None,
        )

    def head(self, task: Task) -> dict[str, object]:
        """What every report begins with."""
        return {
            "task": task,
            "demos": self.demo_rows(),
            "target": self.target_record(),
            "provenance": _provenance(self, command_line(task)),
            "tokens": self.prompt.length,
            "notices": (
                *self.dataset.notices,
                *self.model.notices,
                *self.notices,
                *self.shortages,
                *self.prompt.notices,
            ),
        }

    def demo_rows(self) -> tuple[DemoRow, ...]:
        """The demonstrations as they stand in the prompt."""
        return tuple(self._demo_row(place, index) for place, index in enumerate(self.prompt.kept_demos))

    def _demo_row(self, place: int, index: int) -> DemoRow:
        demo, span = self.demos[index], self.prompt.demos[place]
        return DemoRow(
            demo_id=demo.demo_id,
            label=f"D{place + 1}",
            user_id=demo.user_id,
            item_id=demo.item_id,
            title=self.items[demo.item_id].title,
            answer=FAMILIES[self.spec.family].answer(demo.liked),
            history=tuple(self.items[item].title for item in demo.history),
            source=demo.source,
            shows=self._shown_by(demo),
            text=span.text,
            tokens=len(span.token_ids),
        )

    def _shown_by(self, demo: Demonstration) -> tuple[str, ...]:
        """Item ids of the candidates that a demonstration shows."""
        if self.case.logged is not None:
            return options_shown(demo, self.case.logged)
        return tuple(item for item in self.case.candidates if item in (demo.item_id, *demo.history))

    @property
    def most_history(self) -> int:
        """Most titles that a history shows; a finished prompt shows all it has."""
        return len(self.case.history) if self.case.logged else self.spec.history

    def write(
        self,
        case: Case,
        demos: tuple[Demonstration, ...],
        *,
        liked: Callable[[Interaction], bool] | None = None,
        history: int | None = None,
        items: dict[str, Item] | None = None,
    ) -> Prompt:
        """The prompt of another case or other demonstrations under the same choices."""
        return prompt_of(
            self.spec if history is None else self.spec.model_copy(update={"history": history}),
            self.dataset,
            self.model,
            case,
            demos,
            self.items if items is None else items,
            liked=liked,
            positions=len(self.case.history) if case.target == self.case.target else None,
        )

    def content_free(self, case: Case | None = None, *, items: dict[str, Item] | None = None) -> Prompt:
        """The prompt without any history and demonstrations, for calibrated scoring; a blend adds nothing to it."""
        return replace(self.write(case or self.case, (), history=0, items=items), prior=())


def set_up(
    task: Task, dataset: CaseSource, model: LanguageModel, subject: Subject | None = None, **reading: Any
) -> Setting:
    """Case, demonstrations and prompt of a task; raises `DemoLensError`s for choices that cannot be run.

    Where a model picks the demonstrations, `cost` counts and `between` watches what it reads for that; see
    `PromptReader`.
    """
    return setting_of(subject_of(task, dataset) if subject is None else subject, dataset, model, **reading)


def setting_for(spec: CaseSpec, dataset: CaseSource, model: LanguageModel, **reading: Any) -> Setting:
    """The same for a case without a task."""
    return setting_of(subject_for(spec, dataset), dataset, model, **reading)


def setting_of(
    subject: Subject,
    dataset: CaseSource,
    model: LanguageModel,
    *,
    cost: Cost | None = None,
    between: Callable[[], None] = lambda: None,
) -> Setting:
    """The setting of a subject, whose demonstrations the model picks where no one else could."""
    if subject.awaits_model and model.server is not None:
        problem = f"strategy {subject.spec.strategy} reads the model's hidden states, and a server gives scores only"
        raise RequestError(problem, expected="another strategy", where="strategy")
    if subject.awaits_model:
        data = own_data(dataset, "demonstrations that the model picks")
        reader = reader_for(subject.spec, data, model, cost=cost, between=between)
        subject = with_demonstrations(subject, dataset, reader)
        subject = replace(subject, notices=(*subject.notices, *reader.notices))
    prompt = prompt_of(subject.spec, dataset, model, subject.case, subject.demos, subject.items)
    parts = {field.name: getattr(subject, field.name) for field in fields(Subject)}
    return Setting(**parts, dataset=dataset, model=model, prompt=prompt)


def reader_for(
    spec: CaseSpec,
    dataset: Dataset,
    model: LanguageModel,
    *,
    cost: Cost | None = None,
    between: Callable[[], None] = lambda: None,
) -> PromptReader:
    """The model as what picks demonstrations, with prompts under the spec's choices."""

    def write(case: Case, items: dict[str, Item]) -> Prompt:
        return prompt_of(spec, dataset, model, case, (), items, liked=lambda _met: True)

    return PromptReader(dataset, model, write, cost=cost, between=between)


def prompt_of(
    spec: CaseSpec,
    dataset: CaseSource,
    model: LanguageModel,
    case: Case,
    demos: tuple[Demonstration, ...],
    items: dict[str, Item],
    *,
    liked: Callable[[Interaction], bool] | None = None,
    positions: int | None = None,
) -> Prompt:
    """The prompt of a case and its demonstrations under the spec's choices; `liked` in place of the data's word.

    `positions` are the interactions before the moment where there are no timestamps, if not those of the history.
    """
    if isinstance(dataset, ImportedCases):
        logged = case if spec.history else replace(case, history=())
        return logged_prompt(logged, demos, model.tokenizer, context=model.context)
    prompt = build(
        case,
        demos,
        items,
        model.tokenizer,
        family=spec.family,
        noun=dataset.noun,
        history=spec.history,
        chat=spec.chat,
        context=model.context,
        liked=liked or dataset.liked,
        wording=spec.wording,
        template=template_of(spec.template, spec.family),
        codes=model.codes_for(dataset.dataset_id),
    )
    if not spec.prior:
        return prompt
    prior = spec.prior * log_popularity(dataset, case, positions)
    return replace(prompt, prior=tuple(prior.tolist()), notices=(*blend_notices(spec), *prompt.notices))


def _provenance(setting: Setting, command: str) -> Provenance:
    versions = {name: metadata.version(name) for name in LIBRARIES}
    tokenizer = setting.model.tokenizer_name
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
        server=_server_record(setting.model),
        template=_template_record(setting.spec),
        case_seed=setting.case.seed,
        versions={**versions, "python": platform.python_version()},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command if tokenizer is None else f"{command} --tokenizer {shlex.quote(tokenizer)}",
    )


def _server_record(model: LanguageModel) -> ServerRecord | None:
    if model.server is None:
        return None
    facts = asdict(model.server.facts)
    del facts["context_assumed"]
    names = {"tokenizer": model.tokenizer_name, "tokenizer_hash": model.tokenizer.hash}
    return ServerRecord.model_validate(facts | names)


def _template_record(spec: CaseSpec) -> TemplateRecord | None:
    if spec.template is None:
        return None
    stored = stored_template(spec.template)
    return TemplateRecord(name=stored.name, content_hash=stored.content_hash)


def _reading(dataset: CaseSource) -> DataReading | None:
    if isinstance(dataset, ImportedCases):
        return None
    threshold = dataset.like_threshold if dataset.has_ratings else None
    return DataReading(noun=dataset.noun, like_threshold=threshold, **dataset.meaning)

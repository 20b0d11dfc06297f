"""A task becomes a link, and an untrusted link becomes the same task again: one way for every kind."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from core.analysis.explain.explain_task import Explain
from core.analysis.robustness.inference_settings import InferenceSettings
from core.data.names import is_added
from core.errors import RequestError
from core.lm.loading.adapter import SHIPPED, is_there
from core.lm.server.address import is_address
from core.personal.personalise_task import PersonaliseTask
from core.prompt.imported.imported_cases import is_stored
from core.question.case_spec import NO_ADAPTER, OF_LOGGED_CASES, CaseSpec
from core.question.command_line import own_fields, task_of
from core.question.task import Task

Query = Mapping[str, Sequence[str]]
LONGEST = 500
"""Characters of one value in a link."""
LONGEST_NUMBER = 25
MOST = {"candidate_ids": 200}
MOST_VALUES = 32
"""Values of one parameter; an empty one stands for "none of them"."""
NAMES = {"demo_ids": "with", "candidate_ids": "among"}
"""Parameters whose name in a link differs from the field."""
FIRST = ("cases", "demo_ids")
TOGETHER = {"cases": ("case",)}
"""Choices that are nothing without others."""
ORDER = (*FIRST, *(name for name in CaseSpec.model_fields if name not in FIRST))
"""The case file and demonstrations first: without them `case` and `strategy=manual` are refused."""
PASSED_OVER = (*own_fields(Explain), *InferenceSettings.model_fields, "demo", "item", "after", "matrix")
"""Parameters that links of every page once held; a page that has no use for them says nothing."""
DEFAULTS = CaseSpec()
VERSION, CURRENT = "v", "3"
"""The parameter that says by which defaults a link leaves choices out, and its value in every link written now."""
SECOND = "2"
WRITTEN_ALWAYS = ("user",)
"""Choices that every link holds: another default changes no link."""
SECOND_DEFAULTS: Mapping[str, Any] = {"user": "12"}
"""The choices that a link of the second version leaves out at values that are no longer the usual ones. Frozen."""
FIRST_DEFAULTS: Mapping[str, Any] = {
    "user": "12",
    "family": "yes_no",
    "wording": "plain",
    "strategy": "recent",
    "demos": 8,
    "order": "nearest_last",
    "each": 1,
    "history": 5,
    "scoring": "sum",
}
"""The choices of a case that a link of the first version, which has no `v`, leaves out at these values. Frozen."""
FIRST_PLAY: Mapping[str, Any] = {"demos": 4, "history": 3, "adapter": "recicl"}
"""The same of a link to the page Personalise, where they differ. Frozen."""
FIRST_EXPLAINED: Mapping[str, Any] = {"explain": "score"}
"""The same of a link to the page Explore that names no second candidate. Frozen."""
T = TypeVar("T", bound=Task)
S = TypeVar("S", bound=BaseModel)
NO_ADDRESS = "A link cannot name a server: only the owner of this DemoLens can."


def read(query: Query, kind: type[T], selection: type[S]) -> tuple[T, S, str]:
    """A task and what is selected, and one calm sentence when a part of the untrusted link could not be used.

    A link without a version keeps what it meant: the choices it leaves out have the values of the first version.
    """
    fields = {name: CaseSpec.model_fields[name] for name in ORDER}
    fields |= {name: kind.model_fields[name] for name in own_fields(kind)}
    left_out, unknown_version = _left_out(query, kind)
    choices, refused = _usable(query, fields, lambda choices: task_of(kind, left_out | choices))
    selected, also_refused = _usable(query, selection.model_fields, selection.model_validate)
    expected = {VERSION, *map(parameter, (*fields, *selection.model_fields)), *PASSED_OVER}
    unknown = [name for name in query if name not in expected]
    notice = _notice([*unknown_version, *refused, *also_refused, *unknown])
    if any(map(is_address, query.get("model", ()))):
        notice = f"{notice} {NO_ADDRESS}"
    task = task_of(kind, left_out | choices)
    task = task.model_copy(update={"case": _with_fitting_adapter(task.case, choices)})
    return task, selection.model_validate(selected), notice


def written(task: Task, selection: BaseModel | None = None) -> dict[str, list[str]]:
    """The link of a task and what is selected, with its version.

    Choices at the defaults of this version vanish from it, but for the user and those that are this page's alone, which
    a case from a file does not have.
    """
    kind = type(task)
    link = {VERSION: [CURRENT]}
    always = () if task.case.imported else (*WRITTEN_ALWAYS, *page_fields(kind))
    link |= _parameters(task.case, CaseSpec.model_fields, always=always)
    link |= _parameters(task, own_fields(kind))
    return link if selection is None else link | dict(_parameters(selection, type(selection).model_fields))


def parameter(name: str) -> str:
    """The name of a field in a link."""
    return NAMES.get(name, name)


def page_fields(kind: type[Task]) -> tuple[str, ...]:
    """The choices of a case whose usual value on this kind's page is not that of the other pages."""
    usual = kind.model_fields["case"].default
    return tuple(name for name in CaseSpec.model_fields if getattr(usual, name) != getattr(DEFAULTS, name))


def with_usual(kind: type[Task], case: CaseSpec, chosen: Container[str]) -> CaseSpec:
    """The case with the page's own usual values, but for fields that were `chosen`."""
    usual = kind.model_fields["case"].default
    update = {name: getattr(usual, name) for name in page_fields(kind) if name not in chosen}
    return _with_fitting_adapter(case.model_copy(update=update), chosen)


def foreign(case: CaseSpec) -> tuple[str, ...]:
    """The data or case file, the model and the adapter of a case that are not shipped: a person must agree before they
    are looked at. Data that were added under a name, and a case file that a page has taken in, are no strangers."""
    source = case.dataset if case.cases is None or is_stored(case.cases) else case.cases
    source = "sample" if source == case.dataset and is_added(source) else source
    names = (source, case.model, case.adapter)
    return tuple(name for name in names if name is not None and name not in ("sample", *SHIPPED))


def _left_out(query: Query, kind: type[Task]) -> tuple[dict[str, Any], list[str]]:
    """The values of choices that a link may leave out where they are not the usual ones of now, and an unknown version.

    An empty query is no link: it leaves nothing out. Nor does one to a case from a file: the earlier versions had none.
    """
    version = query.get(VERSION)
    if all(query.get(name) for name in OF_LOGGED_CASES):
        return {}, [] if version is None or list(version) == [CURRENT] else [VERSION]
    if version is None and query:
        return {**FIRST_DEFAULTS, **_first_of(kind, query)}, []
    if version is not None and list(version) == [SECOND]:
        return dict(SECOND_DEFAULTS), []
    return {}, [] if version is None or list(version) == [CURRENT] else [VERSION]


def _first_of(kind: type[Task], query: Query) -> Mapping[str, Any]:
    """What a link of the first version to the page of this kind left out, beside the choices of the case."""
    if kind is PersonaliseTask:
        return FIRST_PLAY
    return FIRST_EXPLAINED if kind is Explain and "against" not in query else {}


def _with_fitting_adapter(case: CaseSpec, chosen: Container[str]) -> CaseSpec:
    """The case without a shipped adapter that nobody chose, where it is not there or the model is not the sample's."""
    if "adapter" in chosen or case.adapter not in SHIPPED:
        return case
    fits = case.model == DEFAULTS.model and is_there(case.adapter)
    return case if fits else case.model_copy(update={"adapter": None})


def _parameters(
    choices: BaseModel, names: Iterable[str], always: Container[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    for name in names:
        value = getattr(choices, name)
        if name in always or value != type(choices).model_fields[name].default:
            yield parameter(name), _texts(value)


def _texts(value: object) -> list[str]:
    if isinstance(value, tuple):
        return [text for member in value for text in _texts(member)] or [""]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, float):
        return [repr(value).removesuffix(".0")]
    return [NO_ADAPTER if value is None else str(value)]


def _usable(
    query: Query, fields: Mapping[str, FieldInfo], validate: Callable[[dict[str, Any]], object]
) -> tuple[dict[str, Any], list[str]]:
    """The values of fields in a link that `validate` takes together, and the parameters that it refuses."""
    choices: dict[str, Any] = {}
    refused = []
    for name in fields:
        if parameter(name) not in query or name in choices:
            continue
        names = [each for each in (name, *TOGETHER.get(name, ())) if each in query or each == name]
        try:
            candidate = choices | {each: _value(each, fields[each], query[parameter(each)]) for each in names}
            validate(candidate)
        except (RequestError, ValidationError, ValueError):
            refused.append(parameter(name))
        else:
            choices = candidate
    return choices, refused


def _value(name: str, field: FieldInfo, texts: Sequence[str]) -> str | tuple[str, ...]:
    """The text of a parameter, or its texts where the field holds several; `ValueError` for what no field can be."""
    types = _types(field.annotation)
    longest = LONGEST_NUMBER if types & {int, float} else LONGEST
    if not 0 < len(texts) <= MOST.get(name, MOST_VALUES) or max(map(len, texts)) > longest:
        raise ValueError(name)
    if tuple in types:
        return () if list(texts) == [""] else tuple(texts)
    if len(texts) != 1 or not texts[0] or (name == "model" and is_address(texts[0])):
        raise ValueError(name)
    return texts[0]


def _types(annotation: Any) -> set[Any]:
    """The plain types that an annotation is made of."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return {get_origin(annotation) or annotation}.union(*map(_types, get_args(annotation)))


def _notice(refused: list[str]) -> str:
    if not refused:
        return ""
    names = [name[:30] for name in refused[:4]]
    more = f" and {len(refused) - 4} more" if len(refused) > 4 else ""
    return f"Part of this link could not be used ({', '.join(names)}{more}); the usual values stand in its place."

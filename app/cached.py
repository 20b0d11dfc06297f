"""What all sessions share: the desk, opened data, previews. The only place with Streamlit's caches."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import links
from core.analysis.subject import Subject, case_for, subject_for
from core.comparison import default_choices
from core.comparison.kept_choice import Choice, kept_choice
from core.data.cases import eligible_users
from core.data.dataset import Dataset, open_dataset
from core.data.intake.drafts import Drafts
from core.data.names import dataset_names, names_state
from core.data.records import Demonstration, Item, Split
from core.data.replacements import replacements as replacements_of
from core.errors import DataError, DemoLensError, MaterialError, ModelError, RequestError
from core.lm.loading import hub
from core.lm.loading.adapter import adapter_folder
from core.lm.loading.places import place_of
from core.prompt.case_source import CaseSource
from core.prompt.imported.imported_cases import ImportedCases, open_cases
from core.prompt.stored_templates import template_of
from core.prompt.template import Template
from core.prompt.text_preview import TextSection, prompt_sections
from core.question.case_spec import CaseSpec
from core.question.kinds import kind_of
from core.question.task import Task
from core.store.home import home_path
from core.work.contents import data_fingerprint
from core.work.desk import Desk
from core.work.forecast import Forecast
from core.work.job import Job, Origin, job_key
from core.work.packaged import Examples

__all__ = ["Forecast", "Job", "Origin", "Subject", "dataset", "desk", "job_key", "preview", "users"]
# `content` below is part of a cache's key, and a name with an underscore is not.
DOUBTED, AGREED = "doubted", "agreed"
"""Where a tab keeps the names that a link brought, and those that a person agreed to."""
MOST_OFFERED = 200
"""Demonstrations of other cases of a file that are offered for a case."""
PAUSE_SECONDS = 30.0
_missing: dict[tuple[Path, str], tuple[float, MaterialError]] = {}
"""Home and name of data that could not be fetched or stored: when that was, and why."""
NOT_AGREED = "This link names its own data; they are opened only when you agree: press Run"


@st.cache_resource(show_spinner=False, on_release=lambda desk: desk.close())
def desk() -> Desk:
    """The one job queue of this server; a single worker process holds the model."""
    return Desk(examples=Examples())


@st.cache_resource(show_spinner=False)
def drafts() -> Drafts:
    """The files of all tabs that are on their way to become data sets."""
    return Drafts(most_bytes=upload_megabytes() * 2**20)


def upload_megabytes() -> int:
    """Most MB that may be sent at once."""
    return int(st.get_option("server.maxUploadSize"))


def doubt(case: CaseSpec) -> None:
    """A link brought this case: what it names is not looked at before a person agrees, in this tab."""
    st.session_state[DOUBTED] = _names(DOUBTED) | set(links.foreign(case))


def agree(*names: str) -> None:
    """A person typed these names, or pressed Run where they stood."""
    st.session_state[AGREED] = _names(AGREED) | set(names)


def agreed(case: CaseSpec) -> bool:
    """Whether everything that `case` names may be looked at."""
    return not any(map(_in_doubt, links.foreign(case)))


def _in_doubt(name: str) -> bool:
    return name in _names(DOUBTED) and name not in _names(AGREED)


def _names(place: str) -> frozenset[str]:
    if get_script_run_ctx(suppress_warning=True) is None:  # Not in a tab: no link brought anything.
        return frozenset()
    names: frozenset[str] = st.session_state.get(place, frozenset())
    return names


def key_of(task: Task) -> str | None:
    """The key of a task's job; None before a person agreed, for the files count in it."""
    return job_key(task) if agreed(task.case) else None


def job_of(task: Task) -> Job | None:
    """The job of a task, where it was handed in or its result is stored; None before a person agreed."""
    key = key_of(task)
    return None if key is None else desk().job(key)


def dataset(name: str) -> Dataset:
    """An opened data set, as its files are now; raises `DataError`, `MaterialError`, or `RequestError` before a person
    agreed to open it. What cannot be fetched is not asked for again for half a minute: a page opens data many times.
    """
    if _in_doubt(name):
        raise RequestError(NOT_AGREED)
    place = home_path(), name
    since, fault = _missing.get(place, (-math.inf, None))
    if fault is not None and time.monotonic() - since < PAUSE_SECONDS:
        raise fault.with_traceback(None)
    try:
        return _opened(name, data_fingerprint(name))
    except MaterialError as error:
        _missing[place] = time.monotonic(), error
        raise


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(name: str, content: str) -> Dataset:  # noqa: ARG001
    return open_dataset(name)


def added_names() -> tuple[str, ...]:
    """The names of the data sets that were added, as the home has them now."""
    return _added_names(str(home_path()), names_state())


@st.cache_data(show_spinner=False, max_entries=4)
def _added_names(place: str, state: int) -> tuple[str, ...]:  # noqa: ARG001
    return dataset_names()


def source(case: CaseSpec) -> CaseSource:
    """The data or the case file of a case, as its files are now; raises what `dataset` and `open_cases` raise."""
    if case.cases is None:
        return dataset(case.dataset)
    if _in_doubt(case.cases):
        raise RequestError(NOT_AGREED)
    return open_cases(case.cases)


def case_ids(case: CaseSpec, limit: int) -> tuple[str, ...]:
    """The ids of the first cases of a case file; raises what `source` raises."""
    opened = source(case)
    return opened.case_ids[:limit] if isinstance(opened, ImportedCases) else ()


def users(name: str, search: str, limit: int) -> list[tuple[str, int]]:
    """User ids that start with `search`, with their number of interactions; raises what `dataset` raises."""
    opened = dataset(name)
    return _users(opened.dataset_id, search, limit, opened)


@st.cache_data(show_spinner=False, max_entries=256)
def _users(content: str, search: str, limit: int, _opened: Dataset) -> list[tuple[str, int]]:  # noqa: ARG001
    return _opened.users(search, limit)


def titles(name: str, search: str, limit: int) -> list[tuple[str, str]]:
    """Ids and titles of the items whose title contains `search`, the popular first; raises what `dataset` raises."""
    opened = dataset(name)
    return _titles(opened.dataset_id, search, limit, opened)


@st.cache_data(show_spinner=False, max_entries=256)
def _titles(content: str, search: str, limit: int, _opened: Dataset) -> list[tuple[str, str]]:  # noqa: ARG001
    return [(item.item_id, item.title) for item in _opened.find_items(search, limit)]


def title_of(name: str, item_id: str) -> str:
    """The title of an item; its id where the data set has no such item or cannot be opened."""
    try:
        return dataset(name).item(item_id).title
    except DemoLensError:
        return item_id


def forecast(task: Task) -> Forecast:
    """What a task will need; a case from a file is looked at for its sizes, once a person agreed."""
    subject = preview(task) if task.case.imported and agreed(task.case) else ""
    if not isinstance(subject, str):
        task = task.sized(len(subject.demos), len(subject.case.candidates))
    return desk().forecast(task)


def preview(task: Task) -> Subject | str:
    """What a task is about before it is run, or one sentence saying why it cannot be."""
    target, against = task.named_targets
    try:
        if type(task) is not Task:  # A bare task asks nothing yet.
            kind_of(task).check(task)
        opened = source(task.case)
        template_of(task.case.template, task.case.family)
    except DemoLensError as fault:
        return str(fault)
    return _previewed(task.case.model_dump_json(), target, against, opened.dataset_id, opened)


@st.cache_data(show_spinner=False, max_entries=128)
def _previewed(
    case_json: str,
    target: str | None,
    against: str | None,
    content: str,  # noqa: ARG001
    _opened: CaseSource,
) -> Subject | str:
    try:
        return subject_for(CaseSpec.model_validate_json(case_json), _opened, target=target, against=against)
    except DemoLensError as fault:
        return str(fault)


def prompt_preview(task: Task, template: Template) -> tuple[TextSection, ...]:
    """The prompt of a task's case as text; raises `RequestError` where there is none, `PromptError` as `build` does."""
    subject = preview(task)
    if isinstance(subject, str):
        raise RequestError(subject)
    spec, opened = subject.spec, dataset(subject.spec.dataset)
    return prompt_sections(
        subject.case,
        subject.demos,
        subject.items,
        family=spec.family,
        template=template,
        noun=opened.noun,
        history=spec.history,
        liked=opened.liked,
    )


def replacements(case: CaseSpec) -> list[tuple[Demonstration, Item]]:
    """What could stand among the demonstrations of a case, the nearest first; nothing where it cannot be opened."""
    try:
        opened = source(case)
        if isinstance(opened, ImportedCases):
            return _of_other_cases(case.case or "", opened.dataset_id, opened)
        of_case = case.model_copy(update={"demo_ids": (), "strategy": "manual"})  # One pool, whatever is chosen.
        return _replacements(of_case.model_dump_json(), opened.dataset_id, opened)
    except DemoLensError:
        return []


@st.cache_data(show_spinner=False, max_entries=32)
def _of_other_cases(case_id: str, content: str, _opened: ImportedCases) -> list[tuple[Demonstration, Item]]:  # noqa: ARG001
    case = _opened.case(case_id)
    demos = _opened.pool(case, MOST_OFFERED)
    items = _opened.items(case, demos)
    return [(demo, items[demo.item_id]) for demo in demos]


@st.cache_data(show_spinner=False, max_entries=32)
def _replacements(case_json: str, content: str, _opened: Dataset) -> list[tuple[Demonstration, Item]]:  # noqa: ARG001
    spec = CaseSpec.model_validate_json(case_json)
    demos = replacements_of(_opened, case_for(spec, _opened), history=spec.history)
    return [(demo, _opened.item(demo.item_id)) for demo in demos]


def items(name: str, item_ids: tuple[str, ...]) -> dict[str, Item]:
    """These items of a data set by id; nothing where it cannot be opened or has not all of them."""
    try:
        return dataset(name).items(item_ids)
    except DemoLensError:
        return {}


def first_user(name: str, split: Split) -> str | None:
    """The first user who makes a case; None where the data cannot be opened or hold none."""
    try:
        return next(iter(eligible_users(dataset(name), split, 1)), None)
    except DemoLensError:
        return None


def case_users(name: str, split: Split, limit: int) -> list[str]:
    """The first users who make a case; raises what `dataset` raises, and `DataError` where there is none."""
    users = eligible_users(dataset(name), split, limit)
    if not users:
        raise DataError(f"no user of {name} met anything before", expected="users with two interactions or more")
    return users


def material_fault(case: CaseSpec) -> str:
    """Why the model or the adapter of a case cannot be loaded, as far as a look at the disk tells; or nothing.

    Nothing is looked at before a person agreed.
    """
    if not agreed(case):
        return ""
    try:
        place = place_of(case.model)
        if place.kind == "folder" and not (place.path / "config.json").is_file():
            raise ModelError("no config.json", expected="a model folder", where=case.model)
        if place.kind == "hub" and os.environ.get(hub.ALLOWED) != "1":
            hub.hub_folder(place.repo, place.revision)
        if case.adapter is not None:
            adapter_folder(case.adapter)
    except DemoLensError as fault:
        return str(fault)
    return ""


def choice_of(dataset_id: str, case: CaseSpec) -> Choice | None:
    """The demonstrations chosen on validation lists of these data for the model and adapter of a case, if any are."""
    place = home_path() / "choices"
    return _choice(dataset_id, case.model, case.adapter, place.stat().st_mtime_ns if place.is_dir() else 0)


def choice_for(case: CaseSpec) -> Choice | None:
    """The same by the name of the data; None where they cannot be opened, and for a case from a file."""
    if case.imported:
        return None
    try:
        return choice_of(dataset(case.dataset).dataset_id, case)
    except DemoLensError:
        return None


def stated_prior(case: CaseSpec) -> float:
    """The weight of popularity that the card of a case's adapter states; 0 before a person agreed to look at it."""
    return default_choices.stated_prior(case.adapter) if agreed(case) else 0.0


@st.cache_resource(show_spinner=False, max_entries=32)
def _choice(dataset_id: str, model: str, adapter: str | None, content: int) -> Choice | None:  # noqa: ARG001
    return kept_choice(dataset_id, model, adapter)


def licence(case: CaseSpec) -> str:
    """The licence of a data set's files; empty when it cannot be opened any more, and for a case from a file."""
    try:
        return "" if case.imported else dataset(case.dataset).licence
    except DemoLensError:
        return ""


def like_threshold(case: CaseSpec) -> float | None:
    """Least rating that counts as liked; None when the data have no ratings or cannot be opened any more."""
    if case.imported:
        return None
    try:
        opened = dataset(case.dataset)
    except DemoLensError:
        return None
    return opened.like_threshold if opened.has_ratings else None

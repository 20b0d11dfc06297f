"""What do all sessions share? The only place with Streamlit's caches."""

from __future__ import annotations

import os
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import links
from core.question.case_spec import CaseSpec
from core.analysis.subject import item_ids, shortages, subject_of
from core.data.cases import eligible_users
from core.data.dataset import Dataset, open_dataset
from core.data.records import Case, Demonstration, Item, Split
from core.errors import DemoLensError, ModelError, RequestError
from core.lm.loading import hub
from core.lm.loading.adapter import adapter_folder
from core.lm.loading.places import place_of
from core.work.contents import data_fingerprint
from core.work.desk import Desk
from core.work.forecast import Forecast
from core.work.job import Job, job_key
from core.work.kinds import Asked, case_of

__all__ = ["Forecast", "Job", "Preview", "dataset", "desk", "job_key", "preview", "users"]
# `content` below is part of a cache's key, and a name with an underscore is not.
DOUBTED, AGREED = "doubted", "agreed"
"""Where a tab keeps the names that a link brought, and those that a person agreed to."""
NOT_AGREED = "This link names its own data; they are opened only when you agree: press Run"


@st.cache_resource(show_spinner=False, on_release=lambda desk: desk.close())
def desk() -> Desk:
    """The one job queue of this server; a single worker process holds the model."""
    return Desk()


def doubt(asked: Asked) -> None:
    """A link brought these choices: what they name is not looked at before a person agrees, in this tab."""
    st.session_state[DOUBTED] = _names(DOUBTED) | set(links.foreign(case_of(asked)))


def agree(*names: str) -> None:
    """A person typed these names, or pressed Run where they stood."""
    st.session_state[AGREED] = _names(AGREED) | set(names)


def agreed(asked: Asked) -> bool:
    """Whether everything that `asked` names may be looked at."""
    return not any(map(_in_doubt, links.foreign(case_of(asked))))


def _in_doubt(name: str) -> bool:
    return name in _names(DOUBTED) and name not in _names(AGREED)


def _names(kept: str) -> frozenset[str]:
    if get_script_run_ctx(suppress_warning=True) is None:  # Not in a tab: no link brought anything.
        return frozenset()
    names: frozenset[str] = st.session_state.get(kept, frozenset())
    return names


def known_key(asked: Asked) -> str | None:
    """The key of the job of `asked`; None before a person agreed, for the files count in it."""
    return job_key(asked) if agreed(asked) else None


def dataset(name: str) -> Dataset:
    """An opened data set, as its files are now; raises `DataError`, `MaterialError`, or `RequestError` before a person
    agreed to open it.
    """
    if _in_doubt(name):
        raise RequestError(NOT_AGREED)
    return _opened(name, data_fingerprint(name))


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(name: str, content: str) -> Dataset:  # noqa: ARG001
    return open_dataset(name)


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


@dataclass(frozen=True)
class Preview:
    """A case and its demonstrations as they would enter the prompt, found without any model."""

    case: Case
    demos: tuple[Demonstration, ...]
    items: dict[str, Item]
    """Every item named by the history, the candidates or the demonstrations."""
    shortages: tuple[str, ...] = ()
    """What the data could not fill, one sentence each."""


def preview(request: Request) -> Preview | str:
    """The case of a request before it is run, or one sentence saying why there is none."""
    try:
        opened = dataset(request.dataset)
    except DemoLensError as fault:
        return str(fault)
    return _previewed(request.model_dump_json(), opened.dataset_id, opened)


@st.cache_data(show_spinner=False, max_entries=128)
def _previewed(request_json: str, content: str, _opened: Dataset) -> Preview | str:  # noqa: ARG001
    request = Request.model_validate_json(request_json)
    try:
        case, demos = subject_of(request, _opened)
        return Preview(case, demos, _opened.items(item_ids(case, demos)), shortages(request, case, demos))
    except DemoLensError as fault:
        return str(fault)


def first_user(name: str, split: Split) -> str | None:
    """The first user who makes a case; None where the data cannot be opened or hold none."""
    try:
        return next(iter(eligible_users(dataset(name), split, 1)), None)
    except DemoLensError:
        return None


def material_fault(request: Request) -> str:
    """Why the model or the adapter of a request cannot be loaded, as far as a look at the disk tells; or nothing.

    Nothing is looked at before a person agreed.
    """
    if not agreed(request):
        return ""
    try:
        place = place_of(request.model)
        if place.kind == "folder" and not (place.path / "config.json").is_file():
            raise ModelError("no config.json", expected="a model folder", where=request.model)
        if place.kind == "hub" and os.environ.get(hub.ALLOWED) != "1":
            hub.hub_folder(place.repo, place.revision)
        if request.adapter is not None:
            adapter_folder(request.adapter)
    except DemoLensError as fault:
        return str(fault)
    return ""


def licence(name: str) -> str:
    """The licence of a data set's files; empty when it cannot be opened any more."""
    try:
        return dataset(name).licence
    except DemoLensError:
        return ""


def like_threshold(name: str) -> float | None:
    """Least rating that counts as liked; None when the data set has no ratings or cannot be opened any more."""
    try:
        opened = dataset(name)
    except DemoLensError:
        return None
    return opened.like_threshold if opened.has_ratings else None

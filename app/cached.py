"""What do all sessions share? The only place with Streamlit's caches."""

from __future__ import annotations

import os
from dataclasses import dataclass

import streamlit as st

from core.analysis.request import Request
from core.analysis.subject import item_ids, shortages, subject_of
from core.data.cases import eligible_users
from core.data.dataset import Dataset, open_dataset
from core.data.records import Case, Demonstration, Item, Split
from core.errors import DemoLensError, ModelError
from core.lm import hub
from core.lm.adapter import adapter_folder
from core.lm.places import place_of
from core.work.desk import Desk
from core.work.forecast import Forecast
from core.work.job import Job, job_key

__all__ = ["Forecast", "Job", "Preview", "dataset", "desk", "job_key", "preview", "users"]


@st.cache_resource(show_spinner=False, on_release=lambda desk: desk.close())
def desk() -> Desk:
    """The one job queue of this server; a single worker process holds the model."""
    return Desk()


@st.cache_resource(show_spinner=False, max_entries=4)
def dataset(name: str) -> Dataset:
    """An opened data set; raises `DataError` or `MaterialError`."""
    return open_dataset(name)


@st.cache_data(show_spinner=False, max_entries=256)
def users(name: str, search: str, limit: int) -> list[tuple[str, int]]:
    """User ids that start with `search`, with their number of interactions."""
    return dataset(name).users(search, limit)


@st.cache_data(show_spinner=False, max_entries=256)
def titles(name: str, search: str, limit: int) -> list[tuple[str, str]]:
    """Ids and titles of the items whose title contains `search`, the most popular first; raises `DataError`."""
    return [(item.item_id, item.title) for item in dataset(name).find_items(search, limit)]


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


@st.cache_data(show_spinner=False, max_entries=128)
def _previewed(request_json: str) -> Preview | str:
    request = Request.model_validate_json(request_json)
    try:
        return _preview(request)
    except DemoLensError as fault:
        return str(fault)


def preview(request: Request) -> Preview | str:
    """The case of a request before it is run, or one sentence saying why there is none."""
    return _previewed(request.model_dump_json())


def _preview(request: Request) -> Preview:
    opened = dataset(request.dataset)
    case, demos = subject_of(request, opened)
    return Preview(case, demos, opened.items(item_ids(case, demos)), shortages(request, case, demos))


def first_user(name: str, split: Split) -> str | None:
    """The first user who makes a case; None where the data cannot be opened or hold none."""
    try:
        return next(iter(eligible_users(dataset(name), split, 1)), None)
    except DemoLensError:
        return None


def material_fault(request: Request) -> str:
    """Why the model or the adapter of a request cannot be loaded, as far as a look at the disk tells; or nothing."""
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

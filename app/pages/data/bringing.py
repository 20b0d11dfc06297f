"""Where files come in: dropped into the browser, or by a path where the owner allows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import cached
from app.pages.data.state import DataView, view
from app.settings import DATA_FOLDERS, data_folders
from app.widgets import failures
from core.data.intake.uploads import Upload, allowed_path
from core.errors import DemoLensError


def bring(*, more: bool) -> None:
    """The field for files, and the one for a path; `more`: there are files already."""
    page, megabytes = view(), cached.upload_megabytes()
    st.file_uploader(
        "Add files to these, such as the titles of the items" if more else "Drop files of interactions and of items",
        accept_multiple_files=True,
        key=f"files-{page.uploads}",
        on_change=_files_sent,
        max_upload_size=megabytes,
        help="CSV, TSV, JSON lines, Parquet, RecBole files or an archive of them; plain, gzip, bzip2 or xz.",
    )
    if more:
        return
    folders = data_folders()
    if folders:
        hint = f"A file or folder of this machine below {', '.join(map(str, folders))}."
        st.text_input("Or a path", key="data-path", max_chars=4096, on_change=_path_typed, help=hint)
    else:
        failures.note(
            f"At most {megabytes} MB at a time. Larger files: demolens data add, or a folder that the owner of this"
            f" DemoLens names in {DATA_FOLDERS}."
        )


def _files_sent() -> None:
    page = view()
    sent = st.session_state.get(f"files-{page.uploads}") or []
    page.uploads += 1
    if not sent:
        return
    uploads = [Upload(file.name, file, file.size) for file in sent]
    _begin(page, lambda: cached.drafts().upload(uploads, into=page.draft))
    _release(sent)


def _path_typed() -> None:
    text = st.session_state["data-path"].strip()
    if text:
        _begin(view(), lambda: cached.drafts().at(allowed_path(text, data_folders())))


def _begin(page: DataView, start: Callable[[], str]) -> None:
    page.notice = page.added = ""
    try:
        page.draft = start()
    except DemoLensError as fault:
        page.notice = str(fault)


def _release(files: Sequence[object]) -> None:
    """Give back the memory in which the server held the files: they lie on the disk now."""
    context = get_script_run_ctx()
    remove = getattr(getattr(context, "uploaded_file_mgr", None), "remove_file", None)
    if context is not None and remove is not None:
        for file in files:
            remove(session_id=context.session_id, file_id=getattr(file, "file_id", ""))

"""What shall be explained, how, and what will it cost?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import cached
from app.sentences import FAMILIES, METHODS
from app.session import View
from app.settings import SETTINGS
from app.text import counted, option, safe_html, unique_labels
from app.theme import memory
from app.widgets import failures, preview, tab
from core.errors import DemoLensError
from core.lm.loading.adapter import SHIPPED, is_there
from core.tuning.evaluation.ways import VARIANT_LABELS
from core.words import seconds
from core.work.kinds import Asked

STRATEGIES = {
    "recent": "the user's most recent",
    "similar": "most similar histories",
    "random": "random",
    "diverse": "similar, but diverse",
    "manual": "chosen by hand",
}
SPLITS = {"last": "the user's last choice", "time": "first choice after a cut in time"}
SAMPLINGS = {"uniform": "all alike", "popularity": "by popularity"}
SCORINGS = {"sum": "sum over tokens", "mean": "mean over tokens", "calibrated": "minus no history"}
DTYPES = ("auto", "float32", "bfloat16", "float16")
ADAPTER, FOLDER, TYPED = "in-adapter-kind", "folder", "adapter-typed"
"""The widget of the adapter choice, its option for a folder, and whether that option waits for a name."""


def sidebar(view: View, job: cached.Job | None) -> None:
    """All choices, the forecast, Run."""
    changed = view.draft != view.shown.request
    with st.sidebar:
        brand()
        case(view)
        _explanation(view)
        with st.expander("Advanced"):
            _toggle(
                view, "matrix", "Demonstrations x candidates", "Also measures each removal effect on each candidate."
            )
            _budget(view)
            material(view)
        with st.container(key="runbox", gap="xsmall"):
            blocked = preview.obstacle(view)
            run_button(changed, job, blocked, on_click=tab.run_draft)
            st.html(f'<p class="dl-note">{forecast(view.draft, changed, job, blocked)}</p>')


def brand() -> None:
    """The name of the product."""
    st.html('<p class="dl-brand">DemoLens<small>What each in-context demonstration teaches a recommender</small></p>')


def case(view: View, *, strategy: bool = True) -> None:
    """Which user, which demonstrations, how many of what, and how the model is asked.

    Without `strategy` nobody chooses demonstrations: the page takes them from the user's stream. What may grow by a
    line stands in a container of its own, so that what follows keeps its place: an expander that moves is closed.
    """
    with st.container(key="pick-user"):
        _user(view)
    if strategy:
        with st.container(key="pick-demos"):
            _demonstrations(view)
    _sizes(view)
    _choice(
        view, "family", "Question to the model", FAMILIES, "What the prompt asks, and how an answer becomes a score."
    )


def _keep(field: str, key: str) -> None:
    tab.change(**{field: st.session_state[key]})


def _choice(view: View, field: str, label: str, options: dict[str, str], hint: str | None = None) -> None:
    key = f"in-{field}"
    st.session_state[key] = getattr(view.draft, field)
    st.selectbox(
        label,
        list(options),
        format_func=lambda one: options.get(one, one),
        key=key,
        on_change=_keep,
        args=(field, key),
        help=hint,
        filter_mode=None,
    )


def _number(view: View, field: str, label: str, low: int, high: int, hint: str, *, disabled: bool = False) -> None:
    key = f"in-{field}"
    st.session_state[key] = getattr(view.draft, field)
    st.number_input(label, low, high, step=1, key=key, on_change=_keep, args=(field, key), help=hint, disabled=disabled)


def _text(view: View, field: str, label: str, hint: str) -> None:
    key = f"in-{field}"
    st.session_state[key] = getattr(view.draft, field) or ""
    st.text_input(label, key=key, max_chars=500, on_change=_material_typed, args=(field, key), help=hint)


def _keep_text(field: str, key: str) -> None:
    text = st.session_state[key].strip()
    tab.change(**{field: text or tab.unset(field)})


def _material_typed(field: str, key: str) -> None:
    """Other data have other users and items: with them go the user and everything named by an id."""
    view: View = st.session_state[tab.VIEW]
    was = view.draft.dataset
    _keep_text(field, key)
    if view.draft.dataset != was:
        first = cached.first_user(view.draft.dataset, view.draft.split)
        tab.change(**(_without_ids(view) | ({} if first is None else {"user": first})))


def _without_ids(view: View) -> dict[str, Any]:
    """The draft's choices that name items or demonstrations of one user, emptied."""
    strategy = "recent" if view.draft.strategy == "manual" else view.draft.strategy
    return {"demo_ids": None, "candidate_ids": None, "target": None, "against": None, "strategy": strategy}


def _user(view: View) -> None:
    try:
        found = dict(cached.users(view.draft.dataset, "", SETTINGS.users_listed))
    except DemoLensError as fault:
        failures.note(str(fault))
        found = {}
    ids = list(found) if view.draft.user in found else [view.draft.user, *found]
    st.session_state["in-user"] = view.draft.user
    st.selectbox(
        "User",
        ids,
        format_func=lambda one: _user_label(one, found),
        key="in-user",
        on_change=_user_picked,
        accept_new_options=True,
        help="Type to search; with more users than are listed, type the whole id.",
        filter_mode="prefix",
    )
    _choice(view, "split", "Moment", SPLITS, "Which choice of the user is hidden and to be predicted.")


def _user_label(user: str, found: dict[str, int]) -> str:
    return f"{option(user)} · {counted(found[user], 'interaction')}" if user in found else option(user)


def _user_picked() -> None:
    """Another user has other demonstrations and candidates: those named by hand go."""
    view: View = st.session_state[tab.VIEW]
    tab.change(**_without_ids(view), user=st.session_state["in-user"])


def _demonstrations(view: View) -> None:
    if view.draft.demo_ids is not None:
        failures.note(f"{counted(len(view.draft.demo_ids), 'demonstration')} chosen by hand.")
        st.button(
            "Back to a strategy",
            key="back-to-strategy",
            on_click=tab.change,
            kwargs={"demo_ids": None, "strategy": "recent"},
        )
        return
    options = {name: words for name, words in STRATEGIES.items() if name != "manual"}
    _choice(
        view,
        "strategy",
        "Demonstrations",
        options,
        "How the in-context examples are picked. Edit them one by one in the table.",
    )


def _sizes(view: View) -> None:
    left, right = st.columns(2, gap="small", wrap=False)
    with left:
        _number(
            view,
            "demos",
            "How many",
            0,
            32,
            "Demonstrations that are picked.",
            disabled=view.draft.demo_ids is not None,
        )
        _number(view, "history", "History", 0, 50, "Most titles in each history.")
    with right:
        _number(
            view, "candidates", "Candidates", 2, 200, "Items that are ranked, the one really chosen next among them."
        )
        _number(view, "seed", "Seed", -(2**31), 2**31, "Equal seeds give equal candidates and equal numbers.")


def _explanation(view: View) -> None:
    _choice(view, "method", "Method", METHODS, "How the score is divided among the demonstrations.")
    names = _candidates(view)
    hint = "The candidate whose score is divided among the demonstrations."
    _item(view, "target", "Explain the score of", {"": "item really chosen next"} | names, hint)
    others = {item: name for item, name in names.items() if item != view.draft.target}
    hint = "With a second candidate, the first one's lead over it is divided instead of its score."
    _item(view, "against", "Against", {"": "nothing: the score itself"} | others, hint)


def _candidates(view: View) -> dict[str, str]:
    """Id -> label of the candidates that the draft would rank, by title."""
    found = cached.preview(view.draft.model_copy(update={"target": None, "against": None}))
    if isinstance(found, str):
        return {}
    pairs = [(item, found.items[item].title) for item in found.case.candidates if item in found.items]
    return unique_labels(sorted(pairs, key=lambda pair: pair[1].casefold()))


def _item(view: View, field: str, label: str, options: dict[str, str], hint: str) -> None:
    key, value = f"in-{field}", getattr(view.draft, field) or ""
    shown = options if value in options else options | {value: option(value)}
    st.session_state[key] = value
    st.selectbox(
        label,
        list(shown),
        format_func=lambda one: shown.get(one, one),
        key=key,
        on_change=_keep_text,
        args=(field, key),
        help=hint,
    )


def _budget(view: View) -> None:
    key = "in-budget"
    st.session_state[key] = view.draft.budget
    st.number_input(
        "Budget (full passes)",
        0.5,
        1000.0,
        step=1.0,
        format="%g",
        key=key,
        on_change=_keep,
        args=("budget", key),
        help="Most that a refined or sampled method may use; one full pass scores the whole prompt once.",
    )


def material(view: View) -> None:
    """Details of the prompt, and which data and model."""
    _choice(
        view,
        "sampling",
        "Other candidates drawn",
        SAMPLINGS,
        "How the items beside the one really chosen next are drawn.",
    )
    _choice(
        view,
        "scoring",
        "Score of a title",
        SCORINGS,
        "How token scores make a title's score; only for the likelihood of the next title.",
    )
    _toggle(
        view, "chat", "Chat template of the model", "Writes the prompt as a message in the model's own chat format."
    )
    _text(view, "dataset", "Data", "sample, or the folder of a data set in RecBole's atomic format")
    _text(view, "model", "Model", "sample, a model folder, a .gguf file, or a hub name")
    _adapter(view)
    devices = {"auto": "best there is", "cpu": "processor", "cuda": "CUDA", "mps": "Apple GPU"}
    _choice(view, "device", "Device", devices, "Where the model runs.")
    _choice(
        view, "dtype", "Number type", {name: name for name in DTYPES}, "Precision of the weights; auto fits the device."
    )


def _adapter(view: View) -> None:
    """No adapter, a shipped one where it lies here and fits the model, or a folder to be typed."""
    chosen, fits = view.draft.adapter or "", view.draft.model == "sample"
    shown = [name for name in SHIPPED if (fits and is_there(name)) or chosen == name]
    named = {"": "none"} | {name: f"{VARIANT_LABELS[name]} (shipped)" for name in shown}
    typed = chosen not in named or (not chosen and st.session_state.get(TYPED, False))
    st.session_state[ADAPTER] = FOLDER if typed else chosen
    options = named | {FOLDER: "a folder …"}
    st.selectbox(
        "Adapter",
        list(options),
        format_func=lambda one: options.get(one, one),
        key=ADAPTER,
        on_change=_adapter_picked,
        help="Layers added beside the weights by LoRA tuning; the weights themselves stay as they are.",
        filter_mode=None,
    )
    if typed:
        _text(view, "adapter", "Adapter folder", "folder of a LoRA adapter, as PEFT writes it")


def _adapter_picked() -> None:
    picked = st.session_state[ADAPTER]
    st.session_state[TYPED] = picked == FOLDER
    tab.change(adapter=picked if picked not in ("", FOLDER) else None)


def _toggle(view: View, field: str, label: str, hint: str) -> None:
    key = f"in-{field}"
    st.session_state[key] = getattr(view.draft, field)
    st.toggle(label, key=key, on_change=_keep, args=(field, key), help=hint)


def run_button(
    changed: bool, job: cached.Job | None, blocked: str, *, on_click: Callable[..., None], args: tuple[str, ...] = ()
) -> None:
    """Run; `changed`: the settings are not those of `job`; `blocked`: why they cannot be run."""
    busy = job is not None and not job.ended and not changed
    ready = not changed and job is not None and job.state == "done"
    st.button(
        "Running" if busy else "Run",
        on_click=on_click,
        args=args,
        disabled=busy or ready or bool(blocked),
        width="stretch",
        key="run",
        type="primary",
        shortcut="Ctrl+Enter",
    )


def forecast(asked: Asked, changed: bool, job: cached.Job | None, blocked: str) -> str:
    """What a run would cost, why there can be none, or that what is shown is already its result; HTML."""
    if blocked:
        return f"This cannot be run: {safe_html(blocked)}."
    if not changed and job is not None and job.state == "done":
        return "What you see is the result of these settings."
    told = cached.desk().forecast(asked)
    learned = (
        f"learned from {told.observations} {'run' if told.observations == 1 else 'runs'} here"
        if told.observations
        else "a first guess: nothing was run here yet"
    )
    spread = f"{seconds(told.low)} to {seconds(told.high)}"
    text = f"About {seconds(told.seconds)} ({spread}), {memory(told.memory_bytes)}; {learned}."
    return f"Settings changed; the result below is of the old ones. {text}" if changed and job is not None else text


def fault(view: View) -> None:
    """One calm sentence about a link or a choice that could not be used."""
    if view.notice:
        st.html(f'<div class="dl-box" role="status"><p>{safe_html(view.notice)}</p></div>')

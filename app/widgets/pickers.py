"""The side bar of every page: which case, which prompt, which model, and what a run costs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import cached
from app.links import DEFAULTS, page_fields
from app.sentences import FAMILIES
from app.session import TaskView
from app.settings import SETTINGS
from app.text import counted, option, safe_html
from app.theme import memory
from app.widgets import case_files, failures, fields, preview, tab
from app.widgets.model_panel import model_panel
from app.widgets.template_picker import template_picker
from core.comparison.default_choices import sentence_of, with_default_choices
from core.data.records import Strategy
from core.data.strategies import STRATEGIES
from core.errors import DemoLensError
from core.lm.loading.adapter import SHIPPED, is_there
from core.lm.server.address import alias_of
from core.prompt.imported.imported_cases import open_cases, taken_in
from core.prompt.wordings import WORDINGS
from core.question.case_spec import OF_BUILT_CASES, CaseSpec
from core.question.command_line import MATERIAL
from core.tuning.evaluation.ways import VARIANT_LABELS
from core.words import duration

STRATEGY_WORDS: dict[str, str] = {row.name: row.words for row in STRATEGIES.values() if row.choose is not None}
WORDING_WORDS: dict[str, str] = {row.name: row.words for row in WORDINGS.values()}
ORDERS = {"nearest_last": "nearest last, next to the query", "nearest_first": "nearest first"}
SPLITS = {"last": "the user's last choice", "time": "first choice after a cut in time"}
SAMPLINGS = {"uniform": "every item equally likely", "popularity": "popular items more often"}
SCORINGS = {
    "sum": "sum over its tokens",
    "mean": "mean over its tokens",
    "calibrated": "minus its score without a history",
}
DEVICES = {"auto": "best there is", "cpu": "processor", "cuda": "CUDA", "mps": "Apple GPU"}
DTYPES = {"auto": "automatic"} | {name: name for name in ("float32", "bfloat16", "float16")}
ADAPTER, FOLDER, TYPED = "in-adapter-kind", "folder", "adapter-typed"
"""The widget of the adapter choice, its option for a folder, and whether that option waits for a name."""


def brand() -> None:
    """The name of the product."""
    st.html('<p class="dl-brand">DemoLens<small>What each in-context demonstration teaches a recommender</small></p>')


def case() -> None:
    """Which user, which demonstrations, how many of what, and how the model is asked.

    What may grow by a line stands in a container of its own, so that what follows keeps its place: an expander that
    moves is closed.
    """
    draft = tab.current().draft.case
    with st.container(key="pick-user"):
        if draft.imported:
            _logged_case(draft)
        else:
            _dataset(draft)
            _user(draft)
    with st.container(key="pick-demos"):
        _demonstrations(draft)
    if draft.imported:
        return
    _sizes(draft)
    hint = "What the prompt asks, and how an answer becomes a score."
    fields.choice("family", "Question to the model", FAMILIES, hint)


def _dataset(draft: CaseSpec) -> None:
    """The sample, a data set by its name, or a folder that is typed."""
    names = ["sample", *cached.added_names()]
    st.session_state["in-dataset"] = draft.dataset
    st.selectbox(
        "Data",
        names if draft.dataset in names else [draft.dataset, *names],
        format_func=option,
        key="in-dataset",
        on_change=lambda: _material_typed("dataset", (st.session_state["in-dataset"] or "").strip()),
        accept_new_options=True,
        help="The sample, or a data set that was added on the page Data; the path of a folder of data can be typed.",
    )


def _user(draft: CaseSpec) -> None:
    try:
        counts = dict(cached.users(draft.dataset, "", SETTINGS.users_listed))
    except DemoLensError as fault:
        failures.note(str(fault))
        counts = {}
    st.session_state["in-user"] = draft.user
    st.selectbox(
        "User",
        list(counts) if draft.user in counts else [draft.user, *counts],
        format_func=lambda user: _user_label(user, counts),
        key="in-user",
        on_change=_user_picked,
        accept_new_options=True,
        help="Type to search. Where not all users are listed, type the whole name.",
        filter_mode="prefix",
    )
    fields.choice("split", "Moment", SPLITS, "Which choice of the user is hidden and to be predicted.")


def _logged_case(draft: CaseSpec) -> None:
    """Which case of the case file."""
    try:
        ids = cached.case_ids(draft, SETTINGS.users_listed)
    except DemoLensError as fault:
        failures.note(str(fault))
        ids = ()
    st.session_state["in-case"] = draft.case
    st.selectbox(
        "Case",
        list(ids) if draft.case in ids else [str(draft.case), *ids],
        format_func=option,
        key="in-case",
        on_change=lambda: tab.change(**_without_ids(), case=st.session_state["in-case"]),
        accept_new_options=True,
        help="A finished prompt of the case file, run as it was logged. Where not all are listed, type the whole id.",
        filter_mode="fuzzy",
    )


def _user_label(user: str, counts: dict[str, int]) -> str:
    return f"{option(user)} · {counted(counts[user], 'interaction')}" if user in counts else option(user)


def _user_picked() -> None:
    """Another user has other demonstrations and candidates: those named by hand go."""
    tab.change(**_without_ids(), user=st.session_state["in-user"])


def _without_ids() -> dict[str, Any]:
    """The choices that name items or demonstrations of one user, emptied."""
    strategy = picking_strategy(tab.current().draft.case)
    of_case = {"demo_ids": None, "candidate_ids": None, "target": None, "against": None, "strategy": strategy}
    return of_case | {"flip": "empty", "rival": None, "without": ()}


def picking_strategy(case: CaseSpec) -> Strategy:
    """The strategy of a case whose demonstrations are no longer named by hand."""
    return DEFAULTS.strategy if case.strategy == "manual" else case.strategy


def _demonstrations(draft: CaseSpec) -> None:
    if draft.demo_ids is None and draft.imported:
        failures.note("Demonstrations as they were logged.")
        return
    if draft.demo_ids is None:
        fields.choice("strategy", "Demonstrations", STRATEGY_WORDS, strategy_help(draft.strategy))
        return
    failures.note(f"{counted(len(draft.demo_ids), 'demonstration')} chosen by hand.")
    back = {"demo_ids": None, "strategy": picking_strategy(draft)}
    label = "Back to those logged" if draft.imported else "Back to a strategy"
    st.button(label, key="back-to-strategy", on_click=tab.change, kwargs=back)


def strategy_help(name: Strategy) -> str:
    """What a strategy holds to be nearest, what it may show and what it reads, from its row."""
    row = STRATEGIES[name]
    return (
        f"How the in-context examples are picked. Nearest: {row.nearest}. Shown: {row.before}. It reads: {row.cost}."
        " Edit them one by one in the table."
    )


def _arrangement(draft: CaseSpec) -> None:
    """In which order the picked demonstrations stand, and how many of each neighbour."""
    by_hand = draft.demo_ids is not None
    hint = "Where the nearest demonstration stands in the prompt."
    fields.choice("order", "Order of demonstrations", ORDERS, hint, disabled=by_hand)
    if STRATEGIES[draft.strategy].several:
        hint = "Most demonstrations that one neighbour may give, the newest choices first."
        fields.number("each", "Choices of each neighbour", 1, 8, hint, disabled=by_hand)


def _sizes(draft: CaseSpec) -> None:
    left, right = st.columns(2, gap="small", wrap=False)
    by_hand = draft.demo_ids is not None
    with left:
        fields.number("demos", "How many", 0, 32, "Demonstrations in the prompt; 0 is zero-shot.", disabled=by_hand)
        fields.number("history", "History", 0, 50, "Most titles of each history in the prompt, the newest ones.")
    with right:
        hint = "Items in the ranked list, the one really chosen next among them."
        fields.number("candidates", "Candidates", 2, 200, hint)
        hint = "Equal seeds give equal candidates and equal numbers."
        fields.number("seed", "Seed", -(2**31), 2**31, hint)


def material() -> None:
    """Details of the prompt, and which data and model."""
    imported = tab.current().draft.case.imported
    if not imported:
        _wording()
    hint = "How the log-probabilities of a title's tokens become its score. Only for the likelihood of the next title."
    fields.choice("scoring", "Score of a title", SCORINGS, hint)
    case_files.field(_case_file_typed)
    hint = "Write sample, or a model folder, a .gguf file, a name on the hub, or server where the owner named one."
    fields.text("model", "Model", hint, _material_typed)
    model_panel()
    _adapter(tab.current().draft.case)
    fields.choice("device", "Device", DEVICES, "Where the model runs.")
    fields.choice("dtype", "Number type", DTYPES, "Precision of the weights; automatic fits the device.")


def _wording() -> None:
    """How a prompt is made from data."""
    with st.container(key="pick-order"):
        _arrangement(tab.current().draft.case)
    hint = "How the candidates beside the item really chosen next are drawn."
    fields.choice("sampling", "Other candidates", SAMPLINGS, hint)
    hint = (
        "Adds this many times log(1 + likes before the moment) to each candidate's score; 0 ranks by the model alone."
    )
    fields.number("prior", "Weight of popularity", 0.0, 100.0, hint, step=0.1, form="%.2f")
    template_picker(WORDING_WORDS)
    hint = "Writes the prompt as a message in the model's own chat format."
    fields.toggle("chat", "Chat template of the model", hint)


def _case_file_typed(_field: str, text: str) -> None:
    """Take in the case file and begin with its first case; without one the choices are those of built cases again."""
    usual = {name: CaseSpec.model_fields[name].default for name in OF_BUILT_CASES}
    chosen: dict[str, object] = {"cases": None, "case": None}
    try:
        if text:
            name = taken_in(text)
            cached.agree(name)
            chosen = {"cases": name, "case": open_cases(name).case_ids[0]}
    except DemoLensError as fault:
        tab.view().notice = str(fault)
        return
    tab.change(**usual | _without_ids() | {"strategy": DEFAULTS.strategy} | chosen)


def _material_typed(field: str, text: str) -> None:
    _material_picked(**{field: alias_of(text) or CaseSpec.model_fields[field].default})


def _material_picked(**material: object) -> None:
    """Other data, another model or adapter, and the demonstrations that are the default for them.

    Other data have other users and items: with them go the user and everything named by an id.
    """
    before = tab.current().draft.case
    tab.change(**material)
    case = tab.current().draft.case
    if case.dataset != before.dataset:
        first = cached.first_user(case.dataset, case.split)
        tab.change(**_without_ids() | ({} if first is None else {"user": first}))
    if not case.imported and any(getattr(case, name) != getattr(before, name) for name in MATERIAL):
        _take_defaults(before)


def _take_defaults(before: CaseSpec) -> None:
    """The default demonstrations of the draft's material, where the choices are still those of the material before."""
    page = tab.current()
    choice, stated = cached.choice_for(page.draft.case), cached.stated_prior(page.draft.case)
    priors = (cached.stated_prior(before), stated)
    fresh = with_default_choices(page.draft.case, cached.choice_for(before), choice, stated=priors)
    own = page_fields(type(page.draft))
    tab.change(**{name: value for name, value in fresh.items() if name not in own})
    if not own and cached.agreed(page.draft.case) and not preview.obstacle(page.draft):
        tab.view().notice = sentence_of(choice, page.draft.case, stated)


def _adapter(draft: CaseSpec) -> None:
    """No adapter, a shipped one where it lies here and fits the model, or a folder to be typed."""
    chosen, fits = draft.adapter or "", draft.model == "sample"
    names = [name for name in SHIPPED if (fits and is_there(name)) or chosen == name]
    options = {"": "none"} | {name: f"{VARIANT_LABELS[name]} (shipped)" for name in names}
    typed = chosen not in options or (not chosen and st.session_state.get(TYPED, False))
    st.session_state[ADAPTER] = FOLDER if typed else chosen
    options |= {FOLDER: "a folder …"}
    st.selectbox(
        "Adapter",
        list(options),
        format_func=lambda name: options.get(name, name),
        key=ADAPTER,
        on_change=_adapter_picked,
        help="Layers added beside the weights by LoRA tuning; the weights themselves stay as they are.",
        filter_mode=None,
    )
    if typed:
        fields.text("adapter", "Adapter folder", "Folder of a LoRA adapter, as PEFT writes it.", _material_typed)


def _adapter_picked() -> None:
    picked = st.session_state[ADAPTER]
    st.session_state[TYPED] = picked == FOLDER
    _material_picked(adapter=picked if picked not in ("", FOLDER) else None)


def run_box(page: TaskView, job: cached.Job | None, blocked: str) -> None:
    """Run, and what it costs; `job` is that of the task that is shown, `blocked` says why there can be no run."""
    changed = page.draft != page.task
    busy = job is not None and not job.ended and not changed
    from_package = not changed and job is not None and job.origin is not None
    ready = not changed and job is not None and job.state == "done" and not from_package
    with st.container(key="runbox", gap="xsmall"):
        st.button(
            "Running" if busy else "Run",
            on_click=tab.run,
            disabled=busy or ready or bool(blocked),
            width="stretch",
            key="run",
            type="primary",
            shortcut="Ctrl+Enter",
        )
        if blocked:
            words = f"This cannot be run: {safe_html(blocked)}."
        elif ready:
            words = "What you see is the result of these settings."
        elif from_package:
            words = "What you see came with the package. Run computes it on this machine. "
            words += _forecast(cached.forecast(page.draft))
        else:
            old = "Settings changed; the result below is of the old ones. " if changed and job is not None else ""
            words = old + _forecast(cached.forecast(page.draft))
        st.html(f'<p class="dl-note">{words}</p>')


def _forecast(cost: cached.Forecast) -> str:
    runs = f"{cost.observations} {'run' if cost.observations == 1 else 'runs'}"
    learned = f"learned from {runs} here" if cost.observations else "a first guess: nothing was run here yet"
    spread = f"{duration(cost.low)} to {duration(cost.high)}"
    return f"About {duration(cost.seconds)} ({spread}), {memory(cost.memory_bytes)}; {learned}."


def fault(notice: str) -> None:
    """One calm sentence about a link or a choice that could not be used."""
    if notice:
        st.html(f'<div class="dl-box" role="status"><p>{safe_html(notice)}</p></div>')

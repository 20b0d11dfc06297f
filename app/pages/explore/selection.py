"""Which demonstration and which candidate every view of Explore shows: by keyboard as well as by click."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, Self

import streamlit as st
from pydantic import Field

from app.sentences import demonstration, standing, target_row, turning
from app.session import Selection, question_of
from app.text import unique_labels
from app.widgets import tab
from app.widgets.candidate_picker import candidate_picker
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.analysis.robustness.inference_settings import PLAIN, InferenceSettings
from core.question.case_spec import Text
from core.question.task import Task

DepthName = Literal[
    "effects", "candidates", "removals", "prompt", "layers", "quality", "robustness", "steadier", "choice"
]
"""The parts of an explanation under its first screen, as links name them."""
DEMO, ITEM = "pick-demo", "pick-item"
pick_demo = partial(tab.pick, demo=lambda demo: int(demo) + 1)
"""A bar or a row was clicked."""
pick_cell = partial(tab.pick, demo=lambda cell: int(cell[0]) + 1, item=lambda cell: str(cell[1]))
"""A cell of a demonstration and a candidate was clicked."""
pick_demo_pair = partial(tab.pick, demo=lambda cell: int(cell[0]) + 1)
"""A cell of a map of demonstrations against each other was clicked."""


class ExploreSelection(Selection, InferenceSettings):
    """A demonstration, a candidate, the open tab, and the changed dual models beside the plain one."""

    demo: Annotated[int, Field(ge=1, le=999)] | None = None
    """Counted from 1, as in its label."""
    item: Text | None = None
    """Id of the candidate."""
    view: DepthName | None = None
    """The open tab; None for the first, or for that of the changed dual models where the link names any."""

    @property
    def inference(self) -> InferenceSettings | None:
        """The changed dual models; None without any."""
        if self.plain:
            return None
        return InferenceSettings(**{name: getattr(self, name) for name in InferenceSettings.model_fields})

    def after_run(self, before: Task | None, task: Task) -> Self:
        """Rows stay with the same user and demonstrations by hand, changed models with the same case and target."""
        if before is None:  # The tab came here over another page, and nothing was shown yet.
            return self
        assert isinstance(before, Explain)
        assert isinstance(task, Explain)
        named = ("cases", "case", "user", "demo_ids")
        if any(getattr(before.case, name) != getattr(task.case, name) for name in named):
            return type(self)(view=self.view)
        same = question_of(before) == question_of(task)
        return self if same else self.model_copy(update=PLAIN.model_dump())


def selected_demo(explanation: Explanation) -> int | None:
    """Index of the selected demonstration, if the explanation has it."""
    demo = tab.selection(ExploreSelection).demo
    return demo - 1 if demo is not None and demo <= len(explanation.demos) else None


def selected_item(explanation: Explanation) -> str | None:
    """Id of the selected candidate, if the explanation has it."""
    item = tab.selection(ExploreSelection).item
    return item if any(row.item_id == item for row in explanation.candidates) else None


def bar(explanation: Explanation, shown: Explanation) -> None:
    """Pills for the demonstrations, a list for the candidates, and what the selection means in words."""
    demo, item = selected_demo(explanation), selected_item(explanation)
    labels = [row.label for row in explanation.demos]
    names = unique_labels([(row.item_id, row.title) for row in explanation.candidates])
    st.session_state[DEMO] = None if demo is None else labels[demo]
    with st.container(key="selection", gap="xxsmall"):
        st.html(f'<p class="dl-lead" role="status" aria-live="polite">{words(explanation, shown, demo, item)}</p>')
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if labels:
                st.pills(
                    "Demonstration",
                    labels,
                    key=DEMO,
                    on_change=_demo_picked,
                    args=(labels,),
                    label_visibility="collapsed",
                )
            candidate_picker(ITEM, names, item, labelled=False)
            clear = partial(tab.select, demo=None, item=None)
            st.button("Clear", key="clear-selection", on_click=clear, disabled=demo is None and item is None)


def words(explanation: Explanation, shown: Explanation, demo: int | None, item: str | None) -> str:
    """The selection in words, as HTML, with the target's place; `shown` is the explanation as the page reads it."""
    target = target_row(explanation)
    row = next((row for row in explanation.candidates if row.item_id == item), target)
    count = len(explanation.candidates)
    beside = "" if target is None else standing(target, count)
    if row is None or (demo is None and row is target):
        return f'{beside} <span class="dl-quiet">Select a demonstration or a candidate: every view follows.</span>'
    about = demonstration(shown, demo) if demo is not None else f"{standing(row, count)} {turning(explanation, row)}"
    return f"{about} {beside}".strip()


def _demo_picked(labels: list[str]) -> None:
    chosen = st.session_state[DEMO]
    if chosen in labels:
        tab.select(demo=labels.index(chosen) + 1)

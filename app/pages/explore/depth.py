"""What else can be read of one explanation: a row for each tab under the first screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app.pages.explore import prompt, removals, views
from app.pages.explore import quality_section as quality
from app.pages.explore.choice_section import choice_section
from app.pages.explore.first_look import first_look
from app.pages.explore.regularised import regularised
from app.pages.explore.selection import DepthName, ExploreSelection
from app.widgets import tab
from core.analysis.explain.explanation import Explanation

TABS = "depth"
"""Key of the tabs."""


@dataclass(frozen=True)
class Depth:
    """A tab: its name in a link, its words, when it is there, and how it is drawn."""

    name: DepthName
    words: str
    there: Callable[[Explanation], bool]
    draw: Callable[[Explanation, Explanation], None]
    """Called with the explanation as it was run, and as it is read."""


def _always(_explanation: Explanation) -> bool:
    return True


def _with_demos(explanation: Explanation) -> bool:
    return bool(explanation.demos)


def _by_layer(explanation: Explanation) -> bool:
    return explanation.contributions is not None and explanation.contributions.by_layer is not None


DEPTHS = (
    Depth(
        "effects",
        "Effects",
        lambda explanation: explanation.contributions is not None,
        lambda explanation, shown: views.effects(explanation, shown),
    ),
    Depth(
        "candidates",
        "Every candidate",
        lambda explanation: explanation.list_effects is not None,
        lambda explanation, _shown: views.matrix(explanation),
    ),
    Depth("removals", "Removals", _always, lambda _explanation, shown: removals.removals(shown)),
    Depth("prompt", "Prompt", _always, lambda _explanation, shown: prompt.prompt_view(shown, tab.colours())),
    Depth("layers", "Inside the model", _by_layer, lambda explanation, _shown: views.layer_map(explanation)),
    Depth("quality", "Quality", _with_demos, lambda explanation, _shown: quality.quality(explanation)),
    Depth("robustness", "Robustness", _with_demos, lambda explanation, _shown: first_look(explanation.task)),
    Depth("steadier", "Steadier models", _with_demos, lambda explanation, _shown: regularised(explanation.task)),
    Depth("choice", "Default demonstrations", _always, lambda explanation, _shown: choice_section(explanation)),
)


def depth(explanation: Explanation, shown: Explanation) -> None:
    """The tabs of an explanation; only the open tab is drawn."""
    rows = [row for row in DEPTHS if row.there(explanation)]
    selected = tab.selection(ExploreSelection)
    chosen = selected.view or ("steadier" if selected.inference is not None else None)
    opened = next((row for row in rows if row.name == chosen), rows[0])
    st.session_state[TABS] = opened.words
    names = {row.words: row.name for row in rows}
    panes = st.tabs(list(names), key=TABS, on_change=lambda: tab.select(view=names[st.session_state[TABS]]))
    with panes[rows.index(opened)]:
        opened.draw(explanation, shown)

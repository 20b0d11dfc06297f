"""Which charts show an explanation, and what does a click in one of them select?"""

from __future__ import annotations

import streamlit as st

from app.charts import heatmap, layers, waterfall
from app.pages.explore import summary
from app.sentences import METHODS
from app.session import View
from app.settings import SETTINGS
from app.widgets import tab
from app.widgets.panel import panel
from core.analysis.explain.explanation import Explanation


def contributions(view: View, explanation: Explanation) -> None:
    """The waterfall."""
    chosen, colours = tab.selected_demo(view, explanation), tab.colours()
    order = st.session_state.get("order", "Prompt order")
    panel(
        "waterfall",
        "From zero-shot to few-shot",
        summary.residual_note(explanation),
        figure=lambda: waterfall.figure(
            explanation, colours, selected=chosen, order="size" if order == "By size" else "prompt"
        ),
        table=lambda: waterfall.table(explanation),
        alt=waterfall.alt(explanation),
        on_pick=pick_demo,
    )
    if st.session_state.get("form-waterfall") != "Table":  # The table has an order of its own.
        st.segmented_control(
            "Order of the bars",
            ["Prompt order", "By size"],
            default="Prompt order",
            required=True,
            key="order",
            label_visibility="collapsed",
        )


def matrix(view: View, explanation: Explanation) -> None:
    """The heat map."""
    chosen, item = tab.selected_demo(view, explanation), tab.selected_item(view, explanation)
    panel(
        "matrix",
        "Every demonstration on every candidate",
        "Removal effect: nats by which a candidate's score falls when this one demonstration is taken out; + and blue, "
        "it falls; − and orange, it rises. It need not agree with the contribution, which shares the demonstrations' "
        "joint effect among them. The rank stands behind the title.",
        figure=lambda: heatmap.figure(
            explanation, tab.colours(), limit=SETTINGS.candidates_drawn, demo=chosen, item=item
        ),
        table=lambda: heatmap.table(explanation),
        alt=heatmap.alt(explanation),
        on_pick=pick_cell,
    )


def layer_map(view: View, explanation: Explanation) -> None:
    """The layer map."""
    made = explanation.contributions
    method = METHODS[made.split_of] if made is not None and made.split_of is not None else "gradient"
    other = "" if made is not None and made.method == made.split_of else ", not to the contribution above"
    panel(
        "layers",
        "Inside the model",
        f"Gradient part: what the {method} alone gives each demonstration, split over the layers in nats; a row adds "
        f"up to that{other}.",
        figure=lambda: layers.figure(explanation, tab.colours(), selected=tab.selected_demo(view, explanation)),
        table=lambda: layers.table(explanation),
        alt=layers.alt(explanation),
        on_pick=pick_demo,
    )


def pick_demo(key: str) -> None:
    """A bar or a row was clicked."""
    for demo in tab.picked(key):
        tab.select(demo=int(demo) + 1)


def pick_cell(key: str) -> None:
    """A cell was clicked."""
    for demo, item in tab.picked(key):
        tab.select(demo=int(demo) + 1, item=str(item))


def pick_demo_pair(key: str) -> None:
    """A cell of a map of demonstrations against each other was clicked."""
    for demo, _ in tab.picked(key):
        tab.select(demo=int(demo) + 1)

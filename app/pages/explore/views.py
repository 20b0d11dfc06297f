"""The charts of an explanation, in which a click selects."""

from __future__ import annotations

import streamlit as st

from app.charts import heatmap, layers, waterfall
from app.pages.explore import summary
from app.pages.explore.selection import pick_cell, pick_demo, selected_demo, selected_item
from app.settings import SETTINGS
from app.widgets import tab
from app.widgets.panel import panel
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.methods import METHODS


def contributions(explanation: Explanation) -> None:
    """The waterfall."""
    chosen, colours = selected_demo(explanation), tab.colours()
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


def matrix(explanation: Explanation) -> None:
    """The heat map."""
    chosen, item = selected_demo(explanation), selected_item(explanation)
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


def layer_map(explanation: Explanation) -> None:
    """The layer map."""
    answer = explanation.contributions
    method = METHODS[answer.split_of].words if answer is not None and answer.split_of is not None else "gradient"
    other = "" if answer is not None and answer.method == answer.split_of else ", not to the contribution above"
    panel(
        "layers",
        "Inside the model",
        f"Gradient part: what the {method} alone gives each demonstration, split over the layers in nats; a row adds "
        f"up to that{other}.",
        figure=lambda: layers.figure(explanation, tab.colours(), selected=selected_demo(explanation)),
        table=lambda: layers.table(explanation),
        alt=layers.alt(explanation),
        on_pick=pick_demo,
    )

"""The charts of an explanation, in which a click selects."""

from __future__ import annotations

import streamlit as st

from app.charts import heatmap, layers, waterfall
from app.list_reading import about, target_of
from app.pages.explore import summary
from app.pages.explore.selection import pick_cell, pick_demo, selected_demo, selected_item
from app.settings import SETTINGS
from app.widgets import tab
from app.widgets.panel import panel
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.methods import METHODS
from core.question.targets import EXPLAINED, Explained


def read_as(explanation: Explanation) -> Explanation:
    """The explanation about what the reader chose: of the selected candidate, and what of it; by no further pass."""
    made = explanation.contributions
    if made is None or explanation.list_effects is None:
        return explanation
    kinds: dict[str, Explained] = {
        row.words: row.name for row in EXPLAINED.values() if row.name in ("field", "score", "lift")
    }
    kinds |= {EXPLAINED[made.target.explain].words: made.target.explain}
    key = f"read-as-{made.target.explain}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="read-as"):
        st.html('<p class="dl-note">Effects on the</p>', width="content")
        chosen = st.segmented_control(
            "Effects on the",
            list(kinds),
            default=EXPLAINED[made.target.explain].words,
            required=True,
            key=key,
            label_visibility="collapsed",
        )
    item = selected_item(explanation) or made.target.item_id
    target = target_of(explanation, kinds[str(chosen)], item, made.target.against_id)
    return about(explanation, target)


def effects(explanation: Explanation, shown: Explanation) -> None:
    """The figures of the run, and the waterfall of what the page reads."""
    summary.effects_head(explanation, shown)
    _waterfall(shown)
    summary.faithfulness_button(explanation)


def _waterfall(explanation: Explanation) -> None:
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
    """The heat map, of effects on the margin over the field or on own scores."""
    chosen, item = selected_demo(explanation), selected_item(explanation)
    explain: Explained = "score" if st.session_state.get("own-scores") else "field"
    panel(
        "matrix",
        "Every demonstration on every candidate",
        f"Effect: {EXPLAINED[explain].help} + and blue, the demonstration raises it; − and orange, it lowers it; nats, "
        "from the same ablations as the bars. The rank stands behind the title.",
        figure=lambda: heatmap.figure(
            explanation, tab.colours(), limit=SETTINGS.candidates_drawn, demo=chosen, item=item, explain=explain
        ),
        table=lambda: heatmap.table(explanation, explain),
        alt=heatmap.alt(explanation, explain),
        on_pick=pick_cell,
    )
    st.toggle("Own scores instead of margins", key="own-scores", help=EXPLAINED["score"].help)


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

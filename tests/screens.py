"""What a person reads on a page of a test: its texts, the headings and cells of its tables, the words of its charts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest

LABELLED = ("button", "number_input", "selectbox", "text_input", "toggle", "multiselect", "slider", "button_group")
EXPLANATIONS = re.compile(r'<dl class="dl-terms">.*?</dl>', re.DOTALL)


def bodies(page: AppTest) -> list[str]:
    """The HTML texts of the page beside its side bar, without its style sheet."""
    return [element.proto.body for element in page.main.get("html") if "<style>" not in element.proto.body]


def sentences(page: AppTest) -> list[str]:
    """The texts of the page without markup, its explanations of terms left out."""
    texts = [EXPLANATIONS.sub("", body) for body in bodies(page)]
    return [html.unescape(re.sub(r"<[^>]+>", " ", text)) for text in texts]


def explained(page: AppTest) -> set[str]:
    """The terms that the page explains in a popover."""
    lists = [match[0] for body in bodies(page) for match in EXPLANATIONS.finditer(body)]
    return {html.unescape(name) for terms in lists for name in re.findall(r"<dt>(.*?)</dt>", terms)}


def helps(page: AppTest) -> list[str]:
    """Label and help of every control."""
    controls = [control for kind in LABELLED for control in page.get(kind)]
    return [f"{control.proto.label} {getattr(control.proto, 'help', '')}" for control in controls]


def options(page: AppTest) -> list[str]:
    """What the lists of choices offer."""
    lists = [control for kind in ("selectbox", "multiselect", "button_group") for control in page.get(kind)]
    return [str(option) for control in lists for option in control.options]


def alternatives(page: AppTest) -> list[str]:
    """What charts and tables say to somebody who does not see them."""
    return [element.proto.alt for kind in ("plotly_chart", "dataframe") for element in page.get(kind)]


def chart_words(page: AppTest) -> Iterator[str]:
    """Titles of axes, names of lines, annotations and labels under the pointer, of every chart."""
    for chart in page.get("plotly_chart"):
        figure = json.loads(chart.proto.spec)
        layout = figure.get("layout", {})
        names = ("name",) if layout.get("showlegend") else ()
        yield from _strings(layout, ("text", "ticktext"))
        yield from _strings(figure.get("data", []), (*names, "text", "hovertext"))


def _strings(part: Any, keys: tuple[str, ...]) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in keys and isinstance(value, str | list):
                yield from (text for text in ([value] if isinstance(value, str) else value) if isinstance(text, str))
            elif key != "template":
                yield from _strings(value, keys)
    elif isinstance(part, list):
        for value in part:
            yield from _strings(value, keys)


def tables(page: AppTest) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Column -> its heading, and the cells, of every table."""
    for element in page.get("dataframe"):
        config = json.loads(element.proto.columns or "{}")
        frame = element.value
        order = list(element.proto.column_order) or [str(name) for name in frame.columns]
        headings = {name: (config.get(name) or {}).get("label") or name for name in order if name in frame.columns}
        yield headings, frame[list(headings)]


def show_tables(page: AppTest) -> AppTest:
    """The page with the table of every chart that has one in the chart's place."""
    switches = [group for group in page.get("button_group") if "Table" in group.options]
    for switch in switches:
        switch.set_value("Table")
    return page.run() if switches else page


def typed(page: AppTest, key: str, text: str) -> AppTest:
    """The page after a person typed into a selectbox what it does not offer."""
    states = page._tree.get_widget_states()
    identity = page.selectbox(key=key).id
    next(state for state in states.widgets if state.id == identity).string_value = text
    return page._run(states)

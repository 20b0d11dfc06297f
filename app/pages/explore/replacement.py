"""Which demonstration to put in the place of another, and what it would do as far as the measured ones tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from app import cached
from app.pages.explore.demo_rows import RowState, key_of
from app.text import counted, option, safe_html
from app.theme import interval, nats, number, signed, with_interval
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.predicted_effects import LEAST, EffectPrediction, Likeness, predicted_effects
from core.data.records import Item
from core.data.similarity import word_likeness, words_of
from core.prompt.families import FAMILIES

PICK = "demos-pool"
LABEL = 40
"""Characters of a title in the list."""


@dataclass(frozen=True)
class Offer:
    """A demonstration that could be added, and its predicted effect on what is explained."""

    demo_id: str
    item: Item
    answer: str | None
    value: float | None
    """Nats; None where nothing can be predicted."""
    low: float | None
    high: float | None

    @property
    def label(self) -> str:
        """For the list in which it is found by its title; the id tells two of the same title apart."""
        answer = f" · {self.answer}" if self.answer else ""
        ends = interval(self.low, self.high)
        amount = "" if self.value is None else f" · {signed(self.value)} ({ends})"
        return f"{option(self.item.title, LABEL)}{answer}{amount} · {option(self.demo_id)}"


def prediction(explanation: Explanation, new: Sequence[tuple[Item, str | None]]) -> EffectPrediction | None:
    """Effects of demonstrations that are not in the prompt, by item and answer; None where too few are measured."""
    contributions = explanation.contributions
    if contributions is None or contributions.low is None or contributions.high is None or not new:
        return None
    ids = tuple(sorted({row.item_id for row in explanation.demos}))
    case = explanation.task.case
    items = {} if case.imported else cached.items(case.dataset, ids)
    present = [(items.get(row.item_id, Item(row.item_id, row.title)), row.answer) for row in explanation.demos]
    measured = Estimates(
        *(np.array(values) for values in (contributions.values, contributions.low, contributions.high))
    )
    return predicted_effects(measured, *_likeness(present, new))


def _likeness(
    present: Sequence[tuple[Item, str | None]], new: Sequence[tuple[Item, str | None]]
) -> tuple[Likeness, Likeness]:
    everyone, count = [*present, *new], len(present)
    words = word_likeness([frozenset(words_of(item)) for item, _ in everyone])
    answers = np.array([[first == second for _, second in everyone] for _, first in everyone])
    among, to = np.s_[:count, :count], np.s_[count:, :count]
    return Likeness(words[among], answers[among]), Likeness(words[to], answers[to])


def offers(explanation: Explanation, rows: Sequence[RowState]) -> tuple[list[Offer], EffectPrediction | None]:
    """What could be added or put in the place of a row, the highest predicted effect first; and the prediction."""
    family = FAMILIES[explanation.task.case.family]
    taken = {row.key for row in rows}
    pool = [
        (demo.demo_id, item, family.answer(demo.liked))
        for demo, item in cached.replacements(explanation.task.case)
        if key_of(demo.demo_id) not in taken and (family.labelled or demo.liked)
    ]
    predicted = prediction(explanation, [(item, answer) for _, item, answer in pool])
    listed = [Offer(*row, *_effect(predicted, place)) for place, row in enumerate(pool)]
    return sorted(listed, key=lambda offer: -(offer.value or 0.0)), predicted


def _effect(predicted: EffectPrediction | None, place: int) -> tuple[float | None, float | None, float | None]:
    if predicted is None:
        return None, None, None
    effects = predicted.effects
    return float(effects.value[place]), float(effects.low[place]), float(effects.high[place])


def predicted_rows(explanation: Explanation, rows: Sequence[RowState]) -> dict[str, Estimates]:
    """Key -> predicted effect [1] of each row that a person added, where one can be predicted."""
    added = [(row.key, row.item, row.answer) for row in rows if row.index is None and row.item is not None]
    predicted = prediction(explanation, [(item, answer) for _, item, answer in added])
    if predicted is None:
        return {}
    value, low, high = predicted.effects.value, predicted.effects.low, predicted.effects.high
    return {
        key: Estimates(value[place, None], low[place, None], high[place, None])
        for place, (key, _, _) in enumerate(added)
    }


def picked(explanation: Explanation, rows: Sequence[RowState]) -> Offer | None:
    """The list of what could be added, with what the predictions rest on; returns what a person picked."""
    pool, predicted = offers(explanation, rows)
    by_id = {offer.demo_id: offer for offer in pool}
    if st.session_state.get(PICK) not in by_id:
        st.session_state[PICK] = None
    chosen = st.selectbox(
        "Demonstrations that strategies could pick for this case",
        list(by_id),
        format_func=lambda demo_id: by_id[demo_id].label if demo_id in by_id else demo_id,
        key=PICK,
        index=None,
        placeholder="search by title; predicted effect in nats, highest first" if predicted else "search by title",
        filter_mode="fuzzy",
    )
    offer = by_id.get(chosen or "")
    st.html(f'<p class="dl-note">{safe_html(_words(explanation, offer, predicted))}</p>')
    return offer


def _words(explanation: Explanation, offer: Offer | None, predicted: EffectPrediction | None) -> str:
    if predicted is None:
        return f"No effect is predicted: that takes {LEAST} demonstrations whose effects have intervals."
    count = counted(len(explanation.demos), "measured demonstration")
    rests = (
        f"Predicted from the {count} of this prompt, nothing is run: near the mean of those with the same answer, "
        "nearer to those that share words of title and category. Such predictions miss these "
        f"{len(explanation.demos)} themselves by {number(predicted.error)} nats on average."
    )
    if offer is None:
        return rests
    amount = f"{nats(offer.value)}{with_interval(offer.low, offer.high)}"
    return f"Predicted effect of \u201c{offer.item.title}\u201d: {amount}. {rests}"

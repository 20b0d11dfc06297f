"""What the list would be without some demonstrations, and without a title of the history."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import sentences
from app.charts import place_curve
from app.list_reading import candidate_index, effects_on, place_without
from app.pages.explore.selection import pick_demo, selected_demo
from app.text import safe_html, unique_labels
from app.theme import amount, with_interval
from app.widgets import failures, sidejob, tab
from app.widgets.panel import panel, section, twin
from core import columns
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation, FlipSet, PairRow
from core.analysis.explain.flip_words import flip_sentence, history_sentence, set_words
from core.question.flip_goals import FLIP_GOALS, FlipGoal

PASSES = Explain.model_fields["flips"].default
"""Prompts that a search for a flip set may use where the run that is shown had none."""
CHANCE = "A change of place is more than chance where the 90 % interval does not hold the place now."


def removals(explanation: Explanation) -> None:
    """Flip set, place curve, pairs, and single removals of the candidate that the page reads; then its history."""
    at = _read(explanation)
    title = "" if at is None else f" of <em>{safe_html(explanation.candidates[at].title, 60)}</em>"
    section(
        "Taking demonstrations out",
        f"Where the place{title} goes without some of the demonstrations. Predicted from the prompts that were "
        f"measured, and marked where it was measured itself. {CHANCE}",
        "flip set",
    )
    if at is None:
        failures.note("This follows once the effects are there.")
    elif not explanation.demos:
        failures.note("There is no demonstration to take out.")
    elif explanation.list_effects is None:
        _other_method(explanation)
    else:
        _flips(explanation, at)
        _curve(explanation, at)
        _alone(explanation, at)
        _pairs(explanation)
    if at is not None:
        _history(explanation, at)


def forget_rival() -> None:
    """A control that takes the rival out of the next run; nothing where there is none. Another list may not have it."""
    if tab.draft(Explain).rival is not None:
        hint = "The smallest removal is about a rival, which must stand in the list."
        choices = {"flip": "empty", "rival": None}
        st.button("Forget the rival", key="forget-rival", on_click=tab.change, kwargs=choices, help=hint)


def _read(explanation: Explanation) -> int | None:
    """Index of the candidate that the page reads; before there are effects, of the item really chosen next."""
    bars = explanation.contributions
    return candidate_index(explanation, bars.target.item_id) if bars is not None else explanation.target_index


def _press(name: str, label: str, why: str, task: Explain) -> None:
    """A button that runs the task, with what it costs."""
    failures.note(why)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(label, key=name, on_click=tab.run, args=(task,))
        failures.note(sidejob.cost(task))


def _other_method(explanation: Explanation) -> None:
    task = explanation.task.model_copy(update={"method": "default"})
    why = "This method models one score alone, so it predicts no places."
    _press("removals-default", "Run the method that models the list", why, task)


# ---- the flip set


def _flips(explanation: Explanation, at: int) -> None:
    """What is to be reached, and the smallest removal that does it."""
    goal, rival = _goal(explanation, at)
    if FLIP_GOALS[goal].needs_rival and rival is None:
        failures.note("Choose the candidate that it is to change places with.")
        return
    task = flip_task(explanation, at, goal, rival)
    if task.effective() != explanation.task.effective():
        why = f"The smallest removal with this end is not searched for yet; it takes up to {task.flips} prompts."
        _press("removals-flip", "Search for the smallest removal", why, task)
    elif explanation.flip_set is None:
        failures.note("The smallest removal is searched for after the effects.")
    else:
        _flip_set(explanation, explanation.flip_set)


def _goal(explanation: Explanation, at: int) -> tuple[FlipGoal, str | None]:
    """The pickers of the goal and of the rival; they begin with what the run searched for."""
    task, run = explanation.task, explanation.key[:12]
    names = unique_labels([(row.item_id, row.title) for row in explanation.candidates])
    others = [item for item in names if item != explanation.candidates[at].item_id]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        goal = st.selectbox(
            "Smallest removal that brings the item to",
            list(FLIP_GOALS),
            index=list(FLIP_GOALS).index(task.flip),
            format_func=lambda name: FLIP_GOALS[name].words,
            key=f"removals-goal-{run}",
            help=" ".join(f"{row.words.capitalize()}: {row.help}" for row in FLIP_GOALS.values()),
            width=320,
        )
        rival = st.selectbox(
            "Rival",
            others,
            index=others.index(task.rival) if task.rival in others else None,
            format_func=lambda item: names.get(item, item),
            key=f"removals-rival-{run}",
            placeholder="search by title",
            filter_mode="fuzzy",
            disabled=not FLIP_GOALS[goal].needs_rival,
            width=320,
        )
    return goal, rival if FLIP_GOALS[goal].needs_rival else None


def flip_task(explanation: Explanation, at: int, goal: FlipGoal, rival: str | None) -> Explain:
    """The question of the run, about candidate `at` and its flip set; the same where it asked this already."""
    task, item = explanation.task, explanation.candidates[at].item_id
    choices = {"flip": goal, "rival": rival, "flips": task.flips or PASSES}
    if item != (task.target or explanation.chosen_next):
        pair = task.explained == "pair"
        choices |= {"target": item, "against": None, "explain": None if pair else task.explain}
    return Explain.model_validate(task.model_dump() | choices)


def _flip_set(explanation: Explanation, flips: FlipSet) -> None:
    sentence = flip_sentence(flips, len(explanation.demos))
    st.html(f'<p class="dl-lead">{safe_html(sentence)}</p>')
    if flips.sets:
        failures.note(
            "Every set that was measured for it, the smallest first; a dash where nothing was predicted before."
        )
        twin("flip-sets", flip_table(explanation, flips), alt=f"Measured removals. {sentence}")


def flip_table(explanation: Explanation, flips: FlipSet) -> pd.DataFrame:
    """One row per verified set: its place as predicted before its pass, and as measured."""
    rows = []
    for row in flips.sets:
        predicted = row.predicted
        ends = (None, None) if predicted is None else (predicted.low, predicted.high)
        inside = None if predicted is None else predicted.low <= flips.place_full <= predicted.high
        rows.append(
            {
                "taken_out": set_words(row.left_out, len(explanation.demos)),
                "place_predicted": None if predicted is None else predicted.value,
                f"place_predicted_{columns.LOW}": ends[0],
                f"place_predicted_{columns.HIGH}": ends[1],
                "beyond_chance": None if inside is None else _yes(not inside),
                "place_measured": row.place,
                "reached": _yes(row.reached),
            }
        )
    return pd.DataFrame(rows)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


# ---- the place curve, single removals, pairs


def _curve(explanation: Explanation, at: int) -> None:
    demo = selected_demo(explanation)
    panel(
        "place-curve",
        "Place as demonstrations go, one after the other",
        "Two orders, each time the demonstration without which the item is predicted to stand best, or worst. Filled "
        "dot: measured; open dot: predicted, with its 90 % band. Diamond: any other set that was measured. Dotted "
        "line: the place now. At the right end no demonstration is left.",
        figure=lambda: place_curve.figure(explanation, at, tab.colours(), demo=demo),
        table=lambda: place_curve.table(explanation, at),
        alt=place_curve.alt(explanation, at),
        on_pick=pick_demo,
    )


def _alone(explanation: Explanation, at: int) -> None:
    """The list without the selected demonstration alone, and a press that measures it."""
    demo = selected_demo(explanation)
    place = None if demo is None else place_without(explanation, demo, at)
    if demo is None or place is None:
        failures.note("Select a demonstration to measure the list without it alone.")
        return
    label, whole = explanation.demos[demo].label, explanation.candidates[at].rank
    words = f"Without {label} alone: {sentences.place_words(place, whole)}, {place_curve.certainty(place, whole)}."
    if place.measured:
        failures.note(words)
        return
    task = explanation.task
    update = {"without": (*task.without, label)}
    _press(
        "removals-alone",
        f"Measure the list without {label}",
        words,
        Explain.model_validate(task.model_dump() | update),
    )


def _pairs(explanation: Explanation) -> None:
    """The strongest pairs on what the page reads."""
    effects, bars = explanation.list_effects, explanation.contributions
    assert effects is not None
    assert bars is not None
    goal = sentences.explained_words(bars.target)
    section(
        "Pairs of demonstrations", f"What two do together beyond the sum of both, on {safe_html(goal)}.", "interaction"
    )
    if not effects.pairs:
        failures.note("No pair surely does more or less together than apart: each interval holds 0.")
        return
    sentence = " ".join(pair_words(explanation, row) for row in effects.pairs)
    st.html(f'<p class="dl-lead">{safe_html(sentence)}</p>')
    twin("pairs", pair_table(explanation), alt=sentence)


def pair_words(explanation: Explanation, row: PairRow) -> str:
    """`D3 and D7 say the same: together they add 0.40 nats less than apart (90 % …).`"""
    bars = explanation.contributions
    estimates = None if bars is None else effects_on(explanation, bars.target)
    single = [0.0 if estimates is None else float(estimates.value[demo]) for demo in (row.first, row.second)]
    verb = "take away" if max(single) < 0 else "add"
    more = (row.value > 0) == (verb == "add")
    labels = " and ".join(explanation.demos[demo].label for demo in (row.first, row.second))
    size = f"{amount(row.value)} {'more' if more else 'less'}"
    return (
        f"{labels} {_kinship(single, more)}: together they {verb} {size} than apart{with_interval(row.low, row.high)}."
    )


def _kinship(single: list[float], more: bool) -> str:
    """How two demonstrations with these effects act together, which is `more` or less than both apart."""
    if single[0] * single[1] <= 0:
        return "pull in different directions"
    return "strengthen each other" if more else "say the same"


def pair_table(explanation: Explanation) -> pd.DataFrame:
    """One row per pair that is sure; nats."""
    effects, demos = explanation.list_effects, explanation.demos
    rows = () if effects is None else effects.pairs
    return pd.DataFrame(
        [
            {
                "pair": f"{demos[row.first].label} and {demos[row.second].label}",
                "pair_first": demos[row.first].title,
                "pair_second": demos[row.second].title,
                "interaction": row.value,
                f"interaction_{columns.LOW}": row.low,
                f"interaction_{columns.HIGH}": row.high,
            }
            for row in rows
        ]
    )


# ---- the history


def _history(explanation: Explanation, at: int) -> None:
    section(
        "Without a title of the history",
        "The list if one interaction had never been: the prompt is written anew without it, and an older title moves "
        "in where there is one. The demonstrations stay.",
    )
    if explanation.history_removals is None:
        if any(row.in_query for row in explanation.history):
            task = explanation.task.model_copy(update={"history_removals": True})
            _press("removals-history", "Measure the list without each title", "Not measured yet.", task)
        else:
            failures.note("No title of the history stands in the prompt.")
        return
    sentence = history_sentence(explanation) or "No title of the history stands in the prompt."
    st.html(f'<p class="dl-lead">{safe_html(sentence)} Each place is measured, so no chance is in it.</p>')
    if explanation.history_removals:
        twin("history-removals", history_table(explanation, at), alt=sentence)


def history_table(explanation: Explanation, at: int) -> pd.DataFrame:
    """One row per title of the query, oldest first: the candidate's place without it."""
    whole = explanation.candidates[at].rank
    return pd.DataFrame(
        [
            {
                columns.TITLE: row.title,
                "moves_in": row.moves_in,
                "place_measured": row.ranks[at],
                "removal_climb": None if whole is None else whole - row.ranks[at],
            }
            for row in explanation.history_removals or ()
        ]
    )

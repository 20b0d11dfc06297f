"""Improve one case: a better set of demonstrations, found in two stages, and adopted with one click."""

from __future__ import annotations

import streamlit as st

from app.charts import search_path as charts
from app.pages.improve import improvement as words
from app.widgets import fields, tab, task_page
from app.widgets.panel import panel, section, twin
from app.widgets.report_head import head
from core.prompt.families import FAMILIES
from core.selection.improve_task import ImproveReport
from core.selection.objectives import DEFAULTS, OBJECTIVES
from core.selection.verdict import choice_words


def controls() -> None:
    """How large a set, from how many, and for how long."""
    fields.number("k", "Demonstrations in a set", 1, 16, "Largest size of a set; the search may stop at fewer.")
    fields.number("pool", "Pool", 1, 5000, "Demonstrations that the shortlist is chosen from.", step=50)
    hint = "The search never uses more. One full pass scores the whole prompt once."
    fields.number("budget", "Budget (full passes)", 1.0, 1000.0, hint, step=10.0)
    with st.expander("Search"):
        fields.number("shortlist", "Shortlist", 1, 64, "Demonstrations of the pool that the search may put into a set.")
        imported = fields.value("cases") is not None
        hint = "Earlier choices of the user on which every set is judged."
        if imported:
            hint = "Other cases of the file, with a true answer, on which every set is judged."
        fields.number("held_out", "Held-out choices", 2, 32, hint)
        kept = "Later cases" if imported else "Newer choices"
        hint = f"{kept}, kept from the search, that test the set found against chance; at least 5 can tell."
        fields.number("confirm", "Confirming choices", 0, 32, hint)
        if not imported:
            hint = "Items as popular as the choice that the user never met; the choice should come before them."
            fields.number("negatives", "Items beside each choice", 1, 50, hint)
        family = fields.value("family")
        rows = [row for row in OBJECTIVES.values() if FAMILIES[family].labelled or not row.both_answers]
        default = f"default: {OBJECTIVES[DEFAULTS[family]].words}"
        hint = "What a set is judged by on each held-out choice."
        fields.choice("objective", "Objective", {"": default, **{row.name: row.words for row in rows}}, hint)
        hint = "How much one unit of spread takes from the objective J."
        fields.number("lam", "Lambda", 0.0, 10.0, hint, step=0.05)
        if not imported:
            hint = "On: a set may hold the user's own latest interactions. Off: only demonstrations of the pool."
            fields.toggle("recents", "Let sets use the latest interactions", hint)
        hint = "Slower: the shortlist then also counts likeness by the model (cosine) and update energy."
        fields.toggle("encode", "Let the model read the pool", hint)


def result(report: ImproveReport) -> None:
    """The set found and what it does, the path, the shortlist."""
    leads = [*words.leads(report), *([words.drift(report)] if report.start is not None else [])]
    head(report, words.headline(report), leads, words.readouts(report))
    words.adopt(report)
    colours = tab.colours()
    words.members(report)
    words.before_and_after(report, colours)
    if report.outcomes:
        outcomes(report)
    if report.confirmed:
        confirmed(report)
    if report.path:
        panel(
            "path",
            "The path of the search",
            "Objective J (mean score minus lambda times spread) of the best set so far, in "
            f"{report.task.judged_by.unit}, over the cost so far. Higher is better; a filled mark is a new best.",
            figure=lambda: charts.figure(report, colours),
            table=lambda: charts.table(report),
            alt=charts.alt(report),
        )
    if report.shortlist:
        shortlist(report)


def outcomes(report: ImproveReport) -> None:
    """Both verdicts of every set as a table."""
    section(
        "Every set, on both verdicts",
        f"How each set is judged on {choice_words(report.task).judging}s, in {report.task.judged_by.unit}, and the "
        f"{report.task.case.truth} with it. The margin is the target's score less the mean score of the other "
        "candidates.",
    )
    twin("outcomes", charts.outcomes_table(report), alt=charts.outcomes_alt(report))


def confirmed(report: ImproveReport) -> None:
    """The test of the set found as a table."""
    section(
        f"The set found on {choice_words(report.task).confirming}s",
        f"{choice_words(report.task).plain.capitalize()} that the search had not read, in "
        f"{report.task.judged_by.unit}. p is the probability that chance alone gives a difference at least as large.",
    )
    twin("confirmed", charts.confirm_table(report), alt=charts.confirm_alt(report))


def shortlist(report: ImproveReport) -> None:
    """Stage one as a table."""
    section(
        "The shortlist",
        "Demonstrations that the search could choose from, the highest rank score first: 1 means first by every "
        "criterion. Demonstrations much like an earlier one are left out.",
    )
    twin("shortlist", charts.shortlist_table(report), alt=charts.shortlist_alt(report))


task_page.show(
    task_page.Page(
        "improve",
        controls,
        result,
        "Which demonstrations would serve better?",
        "Takes a shortlist from the pool, then searches over sets and orders. Each set is judged on the user's earlier "
        "choices, or on other cases of a case file, under small changes of the prompt. Cancel at any time: the best "
        "set so far stays.",
    )
)

"""Plain sentences on the outcome of a search: on the held-out choices, against chance, and on the case's own target."""

from __future__ import annotations

from core.selection.confirm import LEVEL, can_tell
from core.selection.improve_task import ConfirmRow, ImproveReport, SetRole, SetRow
from core.words import counted, figure, ordinal

WITH: dict[SetRole, str] = {
    "best": "with the set found",
    "zero_shot": "without demonstrations",
    "current": "with the case's own demonstrations",
    "start": "with the earlier set",
}


def verdicts(report: ImproveReport) -> list[str]:
    """All verdicts: on the choices that sets were judged on, against chance, and on the case's own target."""
    return [text for text in (verdict(report), against_chance(report), target_place(report)) if text]


def verdict(report: ImproveReport) -> str:
    """How the best set compares on the choices it was judged on; no verdict before the search is over."""
    best, zero = report.best, report.zero_shot
    if best is None or zero is None:
        return "The search has not judged a set yet."
    if report.stage != "complete":
        return f"Not finished, no verdict yet: after {figure(report.search_passes, 1)} passes {_leader(report, best)}."
    if report.found is not None and report.found != best:
        advised = "This user's demonstrations stand" if best.demo_ids else "No demonstrations are advised"
        return f"{advised}: the set that the search found is not better on the newer choices, which it had not read."
    if not best.demo_ids:
        return "No set of demonstrations serves this user's known choices better than none."
    if stands(report):
        return "This user's demonstrations stand: no set found is better on the known choices."
    over = [_apart(report, best, zero, "no demonstrations")]
    if report.current is not None:
        over.append(_apart(report, best, report.current, "the case's own demonstrations"))
    judged = counted(len(report.held_out), "known choice")
    size = "A set of " + _size(best)
    return f"{size} is found: on the {judged} by which sets were judged it is {' and '.join(over)}."


def against_chance(report: ImproveReport) -> str:
    """Whether the set that the search found is better than chance would choose; empty where there is none to test."""
    found = report.found
    if report.stage != "complete" or found is None or not found.demo_ids:
        return ""
    row = report.chance
    if row is None:
        return "No known choice is left to test whether the set found is better than chance would choose."
    return (
        f"The set found is {chance_words(row)}. The test counts only choices that the search had not read;"
        " for each of them chance draws a set of the same size from the same pool."
    )


def chance_words(row: ConfirmRow) -> str:
    """`better than chance would choose (p = 0.02 over 8 choices)`, or that it is not, or that nobody can tell."""
    measured = f"(p = {figure(row.p, 3 if row.p < 0.01 else 2)} over {counted(row.choices, 'choice')})"
    if row.p <= LEVEL:
        return f"better than chance would choose {measured}"
    if row.gap > 0 and not can_tell(row.choices):
        return f"above what chance would choose, on too few choices to tell it from luck {measured}"
    return f"no better than chance would choose {measured}"


def stands(report: ImproveReport) -> bool:
    """Whether the case's own demonstrations are the best judged."""
    best, current = report.best, report.current
    return best is not None and current is not None and bool(current.demo_ids) and best.demo_ids == current.demo_ids


def target_place(report: ImproveReport) -> str:
    """The target's own place under each set, beside the choices that sets were judged on; empty before it is scored."""
    rows = {row.which: row for row in report.outcomes or ()}
    best = report.best
    if best is None or not rows or report.stage != "complete":
        return ""
    unchanged = not best.demo_ids or stands(report)
    named = [which for which in WITH if which in rows and not (which == "best" and unchanged)]
    places = [f"{ordinal(rows[which].rank)} {WITH[which]}" for which in named]
    judged = f"Sets were judged on {counted(len(report.held_out), 'known choice')}"
    text = (
        f"{judged}; the item really chosen next had no part in that. "
        f"Of {rows['zero_shot'].candidates} candidates it stands {' and '.join([', '.join(places[:-1]), places[-1]])}."
    )
    if report.target_answer == "No":
        text += " The user did not like it, so a later place is better."
    return f"{text} One choice is an example, not a proof."


def _leader(report: ImproveReport, best: SetRow) -> str:
    if not best.demo_ids:
        return "no set is ahead of no demonstrations"
    if stands(report):
        return "the case's own demonstrations lead"
    return f"a set of {_size(best)} leads"


def _size(best: SetRow) -> str:
    return counted(len(best.demo_ids), "demonstration")


def _apart(report: ImproveReport, best: SetRow, other: SetRow, name: str) -> str:
    gap = best.objective - other.objective
    return f"{figure(abs(gap))} {report.task.judged_by.unit} {'above' if gap >= 0 else 'below'} {name}"

"""Plain sentences on the outcome of a search: on the held-out choices, against chance, and on the case's own target."""

from __future__ import annotations

from typing import NamedTuple

from core.selection.confirm import LEVEL, can_tell
from core.selection.improve_task import ConfirmRow, ImproveReport, ImproveTask, Outcome, SetRole, SetRow
from core.words import counted, figure, margin_move, ordinal

WITH: dict[SetRole, str] = {
    "best": "with the set found",
    "zero_shot": "without demonstrations",
    "current": "with the case's own demonstrations",
    "start": "with the earlier set",
}


class ChoiceWords(NamedTuple):
    """What the choices are called that judge and confirm sets."""

    judging: str
    confirming: str
    judging_all: str
    confirming_all: str
    each: str
    held_out: str

    @property
    def plain(self) -> str:
        """Several of them."""
        return f"{self.each}s"


OF_USERS = ChoiceWords(
    "known choice", "newer choice", "this user's known choices", "the newer choices", "choice", "held-out choices"
)
OF_FILES = ChoiceWords("other case", "later case", "other cases of the file", "the later cases", "case", "true answers")
UNJUDGED = (
    "No set is judged: too few other cases of this file have a true answer. The shortlist orders the demonstrations by"
    " what needs none."
)
"""Of a search that ends with its shortlist."""


def choice_words(task: ImproveTask) -> ChoiceWords:
    """A user's own choices, or other cases of a case file."""
    return OF_FILES if task.case.imported else OF_USERS


def _standing(report: ImproveReport) -> str:
    return "The case's own demonstrations" if report.task.case.imported else "This user's demonstrations"


def verdicts(report: ImproveReport) -> list[str]:
    """All verdicts: on the choices that sets were judged on, against chance, and on the case's own target."""
    texts = (verdict(report), noise_sentence(report), against_chance(report), target_place(report))
    return [text for text in texts if text]


def noise_sentence(report: ImproveReport) -> str:
    """What a server's noise leaves of the gap between the best set and none; empty without a server."""
    noise, best, zero = report.noise, report.best, report.zero_shot
    if noise is None:
        return ""
    if noise.floor == 0:
        return f"The server gave the same scores in {noise.repeats} repeats: no noise was seen."
    unit = report.task.judged_by.unit
    text = f"Differences of J up to {noise.floor:.2g} {unit} are noise of the server ({noise.repeats} repeats)"
    gaps = [] if best is None or zero is None or not best.demo_ids else [best.objective - zero.objective]
    small = [gap for gap in gaps if abs(gap) <= noise.floor]
    return f"{text}; the set is above no demonstrations by no more than that." if small else f"{text}."


def verdict(report: ImproveReport) -> str:
    """How the best set compares on the choices it was judged on; no verdict before the search is over."""
    best, zero = report.best, report.zero_shot
    if best is None or zero is None:
        return UNJUDGED if report.stage == "complete" else "The search has not judged a set yet."
    if report.stage != "complete":
        return f"Not finished, no verdict yet: after {figure(report.search_passes, 1)} passes {_leader(report, best)}."
    words = choice_words(report.task)
    if report.found is not None and report.found != best:
        advised = f"{_standing(report)} stand" if best.demo_ids else "No demonstrations are advised"
        unread = f"{words.confirming_all}, which it had not read"
        return f"{advised}: the set that the search found is not better on {unread}."
    if not best.demo_ids:
        return f"No set of demonstrations serves {words.judging_all} better than none."
    if stands(report):
        judging = words.judging_all if report.task.case.imported else "the known choices"
        return f"{_standing(report)} stand: no set found is better on {judging}."
    over = [_apart(report, best, zero, "no demonstrations")]
    if report.current is not None:
        over.append(_apart(report, best, report.current, "the case's own demonstrations"))
    judged = counted(len(report.held_out), words.judging)
    size = "A set of " + _size(best)
    return f"{size} is found: on the {judged} by which sets were judged it is {' and '.join(over)}."


def short_verdict(report: ImproveReport) -> str:
    """The verdict in one line, for a headline: on known choices, and against chance on newer ones."""
    best, zero, row = report.best, report.zero_shot, report.chance
    advised = best is not None and zero is not None and report.stage == "complete" and report.found == best
    if not advised or best is None or not best.demo_ids or stands(report):
        return verdict(report)
    words = choice_words(report.task)
    text = f"A set of {_size(best)} is better than none on {counted(len(report.held_out), words.judging)}"
    newer = f"{words.confirming.split()[0]} ones"
    if row is None:
        return f"{text}; no {words.confirming} is left to test it."
    if row.p <= LEVEL:
        return f"{text} and better than chance would choose on {newer} (p = {_p(row)})."
    if row.gap > 0 and not can_tell(row.choices):
        return f"{text}; the {newer} are too few to tell it from luck (p = {_p(row)})."
    return f"{text}, but no better than chance would choose on {newer} (p = {_p(row)})."


def against_chance(report: ImproveReport) -> str:
    """Whether the set that the search found is better than chance would choose; empty where there is none to test."""
    found = report.found
    if report.stage != "complete" or found is None or not found.demo_ids:
        return ""
    row, words = report.chance, choice_words(report.task)
    if row is None:
        return f"No {words.judging} is left to test whether the set found is better than chance would choose."
    return (
        f"The set found is {chance_words(row, words)}. The test counts only {words.plain} that the search had not read;"
        " for each of them chance draws a set of the same size from the same pool."
    )


def chance_words(row: ConfirmRow, words: ChoiceWords) -> str:
    """`better than chance would choose (p = 0.02 over 8 choices)`, or that it is not, or that nobody can tell."""
    measured = f"(p = {_p(row)} over {counted(row.choices, words.each)})"
    if row.p <= LEVEL:
        return f"better than chance would choose {measured}"
    if row.gap > 0 and not can_tell(row.choices):
        return f"above what chance would choose, on too few {words.plain} to tell it from luck {measured}"
    return f"no better than chance would choose {measured}"


def _p(row: ConfirmRow) -> str:
    return figure(row.p, 3 if row.p < 0.01 else 2)


def stands(report: ImproveReport) -> bool:
    """Whether the case's own demonstrations are the best judged."""
    best, current = report.best, report.current
    return best is not None and current is not None and bool(current.demo_ids) and best.demo_ids == current.demo_ids


def target_place(report: ImproveReport) -> str:
    """The case's own target under each set, in places and in its margin; empty before it is scored."""
    parts = (target_move(report), target_beside(report), target_margin(report), target_caution(report))
    return " ".join(text for text in parts if text)


def target_move(report: ImproveReport, target: str = "") -> str:
    """How the place of the case's own target changes, in one sentence; empty before it is scored.

    `target` begins the sentence, by default what the true answer is called.
    """
    if report.stage != "complete" or report.best is None:
        return ""
    rows = _outcomes(report)
    if not rows:
        truth = report.task.case.truth
        return f"The {truth} is not among the candidates, so there is no verdict on this case's target."
    before, after = compared(report)
    return f"{target or f'The {report.task.case.truth}'} {_moves(rows[before], rows[after])}."


def target_beside(report: ImproveReport) -> str:
    """The target's place with the sets that its move does not name; empty where there is none or no target."""
    rows = _outcomes(report)
    if not rows:
        return ""
    others = [which for which in ("zero_shot", "start") if which in rows and which not in compared(report)]
    places = [f"{WITH[which]} it is {ordinal(rows[which].rank)}" for which in others]
    return f"{' and '.join(places)}.".capitalize() if places else ""


def compared(report: ImproveReport) -> tuple[SetRole, SetRole]:
    """The sets before and after: the case's own demonstrations, and what is advised."""
    best, own = report.best, _outcomes(report).get("current")
    before: SetRole = "current" if own is not None and own.demo_ids else "zero_shot"
    if best is not None and not best.demo_ids:
        return before, "zero_shot"
    return before, "current" if stands(report) else "best"


def target_margin(report: ImproveReport) -> str:
    """How the target's margin over the field changes, in one sentence; empty where the target is not scored."""
    rows = _outcomes(report)
    if not rows:
        return ""
    before, after = compared(report)
    return f"Its margin over the field {margin_move(rows[before].margin, rows[after].margin)}."


def target_caution(report: ImproveReport) -> str:
    """How much the target's own change is worth; empty where the target is not scored."""
    if not _outcomes(report):
        return ""
    disliked = "The user did not like it, so a later place is better. " if report.target_answer == "No" else ""
    each = choice_words(report.task).each
    return f"{disliked}The search did not look at this {each}; one {each} is an example, not a proof."


def _outcomes(report: ImproveReport) -> dict[SetRole, Outcome]:
    return {row.which: row for row in report.outcomes or ()}


def _moves(before: Outcome, after: Outcome) -> str:
    place = f"{ordinal(after.rank)} of {after.candidates} {WITH[after.which]}"
    if before.which == after.which:
        return f"is {place}"
    if before.rank == after.rank:
        return f"stays {place}, as {WITH[before.which]}"
    verb = "rises" if after.rank < before.rank else "falls"
    return f"{verb} from {ordinal(before.rank)} {WITH[before.which]} to {place}"


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

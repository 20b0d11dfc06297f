"""The play of a user's stream as a few lines for a terminal: what was new at each step, and the list after it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from core.cli.report_lines import heading
from core.metrics.ranking import Rank, best_first
from core.personal.personalise_task import ListRow, MovedRow, PersonaliseReport, StepRow
from core.personal.step_words import change_sentences
from core.personal.target_steps import margin_effects
from core.words import duration
from core.work.log import escaped

TOP = 5
TITLE = 48
"""Characters of a title."""


def step_lines(report: PersonaliseReport) -> list[str]:
    """Heading, a list for each step and model, what moved the last one, and the weights; titles are escaped."""
    lines = list(heading(report))
    before: dict[str, ListRow] = {}
    for row in report.stream:
        lines += ["", f"Step {row.step}: {_new(row)}"]
        lines += [f"  {text}" for text in change_sentences(row, report.task.case.user, title=_short, name=escaped)]
        for ranking in row.lists:
            lines += _list(report, ranking, before.get(ranking.which))
        before = {ranking.which: ranking for ranking in row.lists}
    return [*lines, "", *_moved(report), *_cost(report), *(f"Note: {escaped(notice)}" for notice in report.notices)]


def _new(row: StepRow) -> str:
    demos = "1 demonstration" if len(row.demo_ids) == 1 else f"{len(row.demo_ids)} demonstrations"
    if row.title is None:
        return f"the list before the play, {demos}"
    by_hand = ", made by hand" if row.kind == "added" else ""
    return f"{_short(row.title)} = {'liked' if row.liked else 'not liked'}{by_hand}, {demos}"


def _list(report: PersonaliseReport, ranking: ListRow, before: ListRow | None) -> Iterator[str]:
    yield f"  {ranking.which}: {duration(ranking.seconds)}, {ranking.tokens_run} of {ranking.tokens} tokens run"
    for place in best_first(ranking.ranks, report.candidates)[:TOP]:
        row, rank = report.candidates[place], ranking.ranks[place]
        mark = "  <- chosen next" if row.is_target else ""
        yield f"{rank:>6g} {_move(rank, before, place):>4} {ranking.scores[place]:+9.3f}  {_short(row.title)}{mark}"


def _move(rank: Rank, before: ListRow | None, place: int) -> str:
    """Places up (+) or down (-) since the step before."""
    if before is None:
        return ""
    return f"{before.ranks[place] - rank:+g}" if before.ranks[place] != rank else "="


def _moved(report: PersonaliseReport) -> Iterator[str]:
    for which in dict.fromkeys(row.which for row in report.moved):
        last = next(ranking for ranking in report.stream[-1].lists if ranking.which == which)
        top = best_first(last.ranks, report.candidates)[0]
        title = _short(report.candidates[top].title)
        yield f"{which}: nats by which the margin over the field of {title} falls without each, and its place then"
        for row in report.moved:
            if row.which == which:
                yield _effect(row, top)


def _effect(row: MovedRow, place: int) -> str:
    answer = "" if row.answer is None else f" = {row.answer}"
    return f"{margin_effects(row)[place]:+11.3f} {row.ranks[place]:>6g}  {_short(row.title)}{answer}"


def _cost(report: PersonaliseReport) -> Iterator[str]:
    steps = {ranking.which: report.share_run(ranking.which) for row in report.stream[1:] for ranking in row.lists}
    if report.full_seconds is not None:
        each = ", ".join(f"{which} {duration(report.median_seconds(which))}" for which in steps)
        step = f"Median step: {each}. " if each else ""
        yield f"{step}The last prompt from scratch takes {duration(report.full_seconds)}."
    if steps:
        each = ", ".join(f"{which} {100 * (share or 0):.0f} %" for which, share in steps.items())
        picking = statistics.median(row.picking_seconds for row in report.stream[1:])
        yield f"Tokens of their prompts that the steps ran: {each}. Picking demonstrations: {duration(picking)} a step."
    if report.weights_after is not None:
        yield f"Weights before and after, unchanged: SHA-256 {report.weights_after}"


def _short(title: str) -> str:
    text = escaped(title)
    return text if len(text) <= TITLE else text[: TITLE - 1] + "…"

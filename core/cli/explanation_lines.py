"""What was found as a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from core.analysis.explain.explanation import CandidateRow, Contributions, Explanation
from core.cli.report_lines import report_lines
from core.cli.step_lines import step_lines
from core.metrics.ranking import Rank, best_first
from core.personal.personalise_task import PersonaliseReport
from core.work.kinds import Found
from core.work.log import escaped

MOST_CANDIDATES = 10
TITLE_WIDTH = 48


def lines_of(found: Found) -> list[str]:
    """An explanation or a report in lines; titles cannot steer a terminal."""
    if isinstance(found, Explanation):
        return explanation_lines(found)
    return step_lines(found) if isinstance(found, PersonaliseReport) else report_lines(found)


def explanation_lines(explanation: Explanation) -> list[str]:
    """What was asked, the recommendations, the contributions, and how faithful they are.

    Titles are shown with control and direction characters escaped, so that none can steer a terminal.
    """
    return [
        *_heading(explanation),
        "",
        *_recommendations(explanation),
        "",
        *_contributions(explanation),
        *(f"Note: {escaped(notice)}" for notice in _notices(explanation)),
    ]


def _notices(explanation: Explanation) -> Iterator[str]:
    """What a reader should know of data and model, what the prompt lost, and what is odd about its titles."""
    yield from dict.fromkeys((*explanation.notices, *explanation.prompt.cut, *explanation.prompt.notices))


def _heading(found: Explanation) -> Iterator[str]:
    demos = f"{len(found.demos)} demonstrations ({found.request.strategy})"
    made = found.provenance
    yield f"User {escaped(found.user_id)} of {escaped(made.dataset_name)}, {demos}, {found.request.family}"
    yield f"{escaped(made.model_name)} on {made.device}, {made.dtype}, {found.timings.total:.1f} s"


def _recommendations(found: Explanation) -> Iterator[str]:
    order = best_first([row.rank for row in found.candidates], found.candidates)
    rows = [found.candidates[index] for index in order]
    yield f"{'rank':>4} {'without':>7} {'score':>8}  title (score in nats; without = rank without demonstrations)"
    for row in rows[:MOST_CANDIDATES]:
        yield _candidate(row)
    for row in rows[MOST_CANDIDATES:]:
        if row.is_target:
            yield _candidate(row)
    if len(rows) > MOST_CANDIDATES:
        yield f"     … {len(rows) - MOST_CANDIDATES} more in the JSON"


def _candidate(row: CandidateRow) -> str:
    mark = "  <- chosen next" if row.is_target else ""
    rank, before = _place(row.rank), _place(row.zero_shot_rank)
    score = "-" if row.score is None else f"{row.score:+.3f}"
    return f"{rank:>4} {before:>7} {score:>8}  {_title(row.title)}{mark}"


def _contributions(found: Explanation) -> Iterator[str]:
    made = found.contributions
    if made is None:
        yield "No demonstrations, so no contributions"
        return
    against = "" if made.target.against_title is None else f" over {_title(made.target.against_title)}"
    yield f"Contributions to the score of {_title(made.target.title)}{against}, in nats"
    yield f"(method {made.method}, {made.passes:.1f} passes, {made.seconds:.1f} s)"
    for index, demo in enumerate(found.demos):
        answer = "" if demo.answer is None else f" = {demo.answer}"
        yield f"{demo.label:>4} {made.values[index]:+.3f}{_interval(made, index)}  {_title(demo.title)}{answer}"
    yield f"without demonstrations {made.zero_shot:+.3f}, contributions {sum(made.values):+.3f},"
    yield f"what they do not account for {made.residual:+.3f}, together {made.few_shot:+.3f}"
    yield _faithfulness(found, made)


def _faithfulness(found: Explanation, made: Contributions) -> str:
    if found.faithfulness is not None:
        low, high, lds = found.faithfulness.low, found.faithfulness.high, found.faithfulness.lds
        behind = f"over {found.faithfulness.ablations} text ablations"
    else:
        low, high, lds, behind = made.lds_low, made.lds_high, made.lds, "over the ablations the method made"
    if lds is None:
        return "Faithfulness (LDS): not measured"
    ends = "" if low is None or high is None else ends_of(f"{low:.2f}", f"{high:.2f}")
    return f"Faithfulness (LDS): {lds:.2f}{ends} {behind}"


def _interval(made: Contributions, index: int) -> str:
    if made.low is None or made.high is None:
        return ""
    return ends_of(f"{made.low[index]:+.3f}", f"{made.high[index]:+.3f}")


def ends_of(low: str, high: str) -> str:
    """` (0.20 to 0.61)`; nothing for an interval without width."""
    return "" if low == high else f" ({low} to {high})"


def _title(title: str) -> str:
    text = escaped(title)
    return text if len(text) <= TITLE_WIDTH else text[: TITLE_WIDTH - 1] + "…"


def _place(rank: Rank | None) -> str:
    return "-" if rank is None else f"{rank:g}"

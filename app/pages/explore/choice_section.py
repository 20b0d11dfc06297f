"""What the default demonstrations of these data and this model rest on."""

from __future__ import annotations

from app import cached
from app.charts import choice as chart
from app.text import counted, safe_html
from app.widgets import tab
from app.widgets.panel import panel, section
from core.analysis.explain.explanation import Explanation
from core.comparison.default_choices import sentence_of
from core.comparison.kept_choice import Choice

TITLE = "How the default demonstrations were chosen"


def choice_section(explanation: Explanation) -> None:
    """The sentence and the figure of the choice; without one, the command that makes it."""
    case = explanation.task.case
    choice = cached.choice_of(explanation.provenance.dataset_id, case)
    section(TITLE, safe_html(sentence_of(None, case) if choice is None else choice.sentence))
    if choice is not None:
        panel(
            "choice",
            "What the choice rests on",
            behind(choice),
            figure=lambda: chart.figure(choice, tab.colours()),
            table=lambda: chart.table(choice),
            alt=chart.alt(choice),
        )


def behind(choice: Choice) -> str:
    """On what it was measured and by which command, as HTML."""
    return (
        f"Measured on {counted(choice.lists, 'validation list')} of {choice.candidates} candidates, before the period"
        " that anything is tested on; intervals of 95 % over users. Open marks left the race early, after fewer lists."
        f" Repeat with <code>{safe_html(choice.command, 400)}</code>"
    )

"""What is the result in one sentence, how far is it to be trusted, and what did it cost?"""

from __future__ import annotations

import streamlit as st

from app.sentences import METHODS, cost, faithfulness_note, headline, lead, residual, target_row
from app.settings import SETTINGS
from app.text import safe_html
from app.theme import interval, nats, number, ordinal
from app.widgets import tab
from app.widgets.report_head import Readout, readouts_row
from core.analysis.explain.explanation import Explanation

STAGES = {
    "scores": " · scores only, the contributions are being computed",
    "first": " · first answer, it is being refined",
    "refined": " · the rest is being computed",
}
"""What an incomplete explanation is called beside its headline."""


def summary(explanation: Explanation) -> None:
    """The headline and the readouts."""
    told = faithfulness_note(explanation)
    trust = f'<p class="dl-lead">{safe_html(told.sentence)}</p>' if explanation.contributions is not None else ""
    source = explanation.provenance
    who = f"User {safe_html(explanation.user_id, 40)} in {safe_html(source.dataset_name, 60)}"
    who += f" · {safe_html(source.model_name, 60)}{STAGES.get(explanation.stage, '')}"
    st.html(
        f'<p class="dl-over">{who}</p><h1 class="dl-headline">{headline(explanation)}</h1>'
        f'<p class="dl-lead">{lead(explanation)}</p>{trust}'
    )
    readouts_row(_readouts(explanation))


def faithfulness_button(explanation: Explanation) -> None:
    """Offer to measure what is shown against text ablations."""
    if explanation.contributions is None or explanation.faithfulness is not None:
        return
    wanted = explanation.request.model_copy(update={"faithfulness": SETTINGS.ablations})
    st.button(
        f"Measure faithfulness on {SETTINGS.ablations} text ablations",
        key="measure",
        on_click=tab.run,
        args=(wanted,),
        help="Deletes random subsets of the demonstrations and compares the scores with what the bars predict.",
    )


def _readouts(explanation: Explanation) -> list[Readout]:
    row, made, told = target_row(explanation), explanation.contributions, faithfulness_note(explanation)
    cells = []
    if row is not None:
        before = (
            f"{ordinal(row.zero_shot_rank)} without demonstrations"
            if row.zero_shot_rank is not None
            else "no comparison"
        )
        cells.append(Readout("Rank of the target", f"{ordinal(row.rank)} of {len(explanation.candidates)}", before))
    if made is not None:
        cells.append(
            Readout(
                "Score of the target",
                f"{number(made.few_shot)} nats",
                f"{number(made.zero_shot)} without, {nats(made.few_shot - made.zero_shot)}",
            )
        )
        cells.append(Readout("Interaction (residual)", nats(made.residual), "in no single bar"))
        value = "not measured" if told.lds is None else f"{told.word}, LDS {number(told.lds)}"
        between = interval(told.low, told.high, number)
        spread = f"90 %: {between}" if between else "1 would be perfect"
        cells.append(Readout("Faithfulness", value, spread if told.lds is not None else "measure it below the chart"))
        cells.append(
            Readout("Method and cost", f"{number(made.passes, 1)} passes", f"{METHODS[made.method]}; {cost(made)}")
        )
    return cells


def residual_note(explanation: Explanation) -> str:
    """What the bars do not hold, for the line under the waterfall."""
    return residual(explanation.contributions) if explanation.contributions is not None else ""

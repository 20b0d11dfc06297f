"""The result in one sentence, how far it is to be trusted, and what it cost."""

from __future__ import annotations

import streamlit as st

from app import sentences
from app.sentences import FaithfulnessNote, cost, faithfulness_note, headline, lead, residual, target_row
from app.settings import SETTINGS
from app.text import safe_html
from app.theme import interval, nats, number, ordinal
from app.widgets import tab
from app.widgets.report_head import Readout, readouts_row
from app.widgets.terms import terms
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.flip_words import flip_sentence
from core.analysis.explain.methods import METHODS
from core.question.targets import EXPLAINED

STAGES = {
    "scores": " · scores only, the contributions are being computed",
    "first": " · first answer, it is being refined",
    "refined": " · the rest is being computed",
}
"""What an incomplete explanation is called beside its headline."""


def summary(explanation: Explanation) -> None:
    """The change of place and its cause, what undoes it, and how far that is to be trusted."""
    source = explanation.provenance
    whose = f"{sentences.who(explanation.task.case)} in {safe_html(source.dataset_name, 60)}"
    whose += f" · {safe_html(source.model_name, 60)}{STAGES.get(explanation.stage, '')}"
    sentence, trust = headline(explanation), "" if explanation.contributions is None else _trust(explanation)
    with st.container(key="summary", gap="xxsmall"):
        st.html(
            f'<p class="dl-over">{whose}</p><h1 class="dl-headline">{sentence}</h1>'
            f'<p class="dl-lead">{_answers(explanation)}</p>'
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(f'<p class="dl-note">{trust}</p>', width="content")
            terms(sentence, _answers(explanation), trust)


def _answers(explanation: Explanation) -> str:
    """Which demonstrations move the place most, and the smallest removal that undoes the change; as HTML."""
    most = sentences.turning(explanation, target_row(explanation)) or lead(explanation)
    flips = explanation.flip_set
    undone = "" if flips is None else safe_html(flip_sentence(flips, len(explanation.demos)))
    return " ".join(filter(None, (most, undone)))


def _trust(explanation: Explanation) -> str:
    """How far effects and places are to be trusted, in one line, as HTML; a weak answer says that it is weak."""
    note = faithfulness_note(explanation)
    if note.lds is None:
        return safe_html(note.sentence)
    if note.word == "weak" or (note.agreement is not None and sentences.trust(note.agreement) == "weak"):
        return safe_html(f"{note.sentence} {note.places}".strip())
    return safe_html(f"How far to trust it: {note.short}.")


def effects_head(explanation: Explanation, shown: Explanation) -> None:
    """The figures of what the page reads, `shown`, and what the run's measured faithfulness means."""
    note = faithfulness_note(explanation)
    sentence = safe_html(f"{note.sentence} {note.places}".strip())
    st.html(f'<p class="dl-lead">{lead(shown)}</p><p class="dl-note">{sentence}{_measured_on(explanation, shown)}</p>')
    readouts_row(_readouts(shown, note), lead(shown), sentence)


def _measured_on(explanation: Explanation, shown: Explanation) -> str:
    """Which target the faithfulness was measured on, where the page reads another, as HTML."""
    measured = explanation.contributions
    if shown is explanation or measured is None:
        return ""
    return f" This was measured on {sentences.goal(measured.target)}."


def faithfulness_button(explanation: Explanation) -> None:
    """Offer to measure what is shown against text ablations."""
    if explanation.contributions is None or explanation.faithfulness is not None:
        return
    st.button(
        f"Measure faithfulness on {SETTINGS.ablations} text ablations",
        key="measure",
        on_click=tab.run,
        args=(explanation.task.model_copy(update={"faithfulness": SETTINGS.ablations}),),
        help="Deletes random subsets of the demonstrations and compares the scores with what the bars predict.",
    )


def _readouts(explanation: Explanation, trust: FaithfulnessNote) -> list[Readout]:
    row, answer = target_row(explanation), explanation.contributions
    cells = []
    if row is not None:
        before = (
            f"{ordinal(row.zero_shot_rank)} without demonstrations"
            if row.zero_shot_rank is not None
            else "no comparison"
        )
        cells.append(Readout("Place", f"{ordinal(row.rank)} of {len(explanation.candidates)}", before))
    if answer is not None:
        cells.append(
            Readout(
                EXPLAINED[answer.target.explain].words.capitalize(),
                f"{number(answer.few_shot)} nats",
                f"{number(answer.zero_shot)} without, {nats(answer.few_shot - answer.zero_shot)}",
            )
        )
        cells.append(Readout("Interaction (residual)", nats(answer.residual), "in no single bar"))
        value = "not measured" if trust.lds is None else f"{trust.word}, {number(trust.lds)}"
        between = interval(trust.low, trust.high, number)
        spread = f"LDS 90 %: {between}" if between else "1 would be perfect"
        if trust.agreement is not None:
            spread += f"; places {sentences.trust(trust.agreement)}, rank agreement {number(trust.agreement)}"
        cells.append(Readout("Faithfulness", value, spread if trust.lds is not None else "measure it below the chart"))
        small = f"{METHODS[answer.method].words}; {cost(answer)}"
        cells.append(Readout("Method and cost", f"{number(answer.passes, 1)} passes", small))
    return cells


def residual_note(explanation: Explanation) -> str:
    """What the bars do not hold, for the line under the waterfall."""
    return residual(explanation.contributions) if explanation.contributions is not None else ""

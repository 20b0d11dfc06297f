"""How well does the shipped adapter do on interactions it has not seen, and does it last?"""

from __future__ import annotations

from app.charts import ability, drift
from app.components import failures, tab
from app.components.panel import panel, section
from app.text import safe_html
from core.errors import DataError
from core.lm.adapter import ADAPTERS
from core.tuning.evaluation.record import Evaluation, read_evaluation

RECORD = ADAPTERS / "recicl" / "evaluation.json"


def evaluation() -> None:
    """The two claims of RecICL as figures, from the record beside the adapter; nothing where there is none."""
    if not RECORD.is_file():
        return
    try:
        found = read_evaluation(RECORD)
    except DataError as fault:
        failures.note(f"The evaluation of the shipped adapter cannot be shown: {fault}")
        return
    section(
        "Evaluation of the shipped adapter",
        f"{found.interactions} test interactions of {found.users} users in {safe_html(found.dataset_name, 60)}, the "
        f"latest 20 % of time; bars hold {100 * found.level:.0f} % of bootstrap draws of users.",
    )
    _claim(found)
    failures.notices(list(found.notices))


def _claim(found: Evaluation) -> None:
    colours = tab.colours()
    panel(
        "ability",
        "Does the tuned model still learn from demonstrations?",
        "AUC over the number of demonstrations. RecICL is tuned on prompts with them, TALLRec-style without.",
        figure=lambda: ability.figure(found, colours),
        table=lambda: ability.table(found),
        alt=ability.alt(found),
    )
    if found.periods:
        panel(
            "drift",
            "Does it last without another update?",
            "AUC in later periods of a model tuned once; its demonstrations are the user's latest at each moment.",
            figure=lambda: drift.figure(found, colours),
            table=lambda: drift.table(found),
            alt=drift.alt(found),
        )

"""How well does an adapter do on interactions it has not seen, and does it last?"""

from __future__ import annotations

from app.charts import ability, drift, ranking
from app.components import failures, tab
from app.components.panel import panel, section
from app.text import safe_html
from core.errors import DataError, ModelError
from core.lm.adapter import ADAPTERS, SHIPPED, adapter_folder
from core.tuning.evaluation.record import FILE, Evaluation, read_evaluation

RECORD = ADAPTERS / "recicl" / FILE


def evaluation(adapter: str | None, model_id: str) -> None:
    """The two claims of RecICL as figures, from the record beside the adapter in use, else beside the shipped one.

    `model_id` is the model's with that adapter. Beside an adapter of one's own without a record it is said how to
    make one; nothing is shown where the shipped one has none.
    """
    own = adapter is not None and adapter not in SHIPPED
    whose = "this adapter" if own else "the shipped adapter"
    try:
        path = adapter_folder(str(adapter)) / FILE if own else RECORD
        if not path.is_file():
            if own:
                failures.note(
                    "How good is this adapter on later interactions? demolens evaluate --recicl FOLDER --json "
                    f"FOLDER/{FILE} measures it, and the figures then stand here."
                )
            return
        found = read_evaluation(path)
    except (DataError, ModelError) as fault:
        failures.note(f"The evaluation of {whose} cannot be shown: {fault}")
        return
    if own and found.adapters.get("recicl") != model_id:
        failures.note(f"The evaluation beside this adapter was made with other weights: make {FILE} anew.")
        return
    section(
        f"Evaluation of {whose}",
        f"{found.interactions} test interactions and {found.ranked} lists of {found.users} users in "
        f"{safe_html(found.dataset_name, 60)}, the latest {100 * (1 - found.share):.0f} % of time; bars hold "
        f"{100 * found.level:.0f} % of bootstrap draws of users.",
    )
    if any(one.auc.value is not None for one in found.ways):
        _claims(found)
    if found.ranking:
        _lists(found)
    failures.notices(list(found.notices), "About this evaluation")


def _claims(found: Evaluation) -> None:
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


def _lists(found: Evaluation) -> None:
    colours = tab.colours()
    panel(
        "ranking",
        "How high does the next liked item rank?",
        f"NDCG@10 among {found.candidates} candidates, the others items that the user never met; the dotted line is a "
        "random order.",
        figure=lambda: ranking.figure(found, colours),
        table=lambda: ranking.table(found),
        alt=ranking.alt(found),
    )

"""How well an adapter does on interactions it has not seen, and whether that lasts."""

from __future__ import annotations

from types import ModuleType

from app.charts import ability, drift
from app.charts import answer_ranks as ranking
from app.text import safe_html
from app.widgets import failures, tab
from app.widgets.panel import panel, section
from core.errors import DataError, ModelError
from core.lm.loading.adapter import ADAPTERS, SHIPPED, adapter_folder
from core.tuning.evaluation.record import FILE, Evaluation, read_evaluation

RECORD = ADAPTERS / "recicl" / FILE


def evaluation(adapter: str | None, model_id: str) -> None:
    """The two claims of RecICL as figures, from the record beside the adapter in use, else beside the shipped one.

    `model_id` is the model's with that adapter. Beside another adapter without a record it is said how to
    make one; nothing is shown where the shipped one has none.
    """
    unshipped = adapter is not None and adapter not in SHIPPED
    whose = "this adapter" if unshipped else "the shipped adapter"
    try:
        path = adapter_folder(str(adapter)) / FILE if unshipped else RECORD
        if not path.is_file():
            if unshipped:
                failures.note(
                    "This adapter has no evaluation on later interactions yet. demolens evaluate --recicl FOLDER "
                    f"--json FOLDER/{FILE} makes one, and this page then shows it."
                )
            return
        record = read_evaluation(path)
    except (DataError, ModelError) as fault:
        failures.note(f"The evaluation of {whose} cannot be shown: {fault}")
        return
    if unshipped and record.adapters.get("recicl") != model_id:
        failures.note(f"The evaluation beside this adapter belongs to other weights: make {FILE} again.")
        return
    section(
        f"Evaluation of {whose}",
        f"{record.interactions:,} test interactions and {record.ranked:,} lists of {record.users:,} users in "
        f"{safe_html(record.dataset_name, 60)}, from the latest {100 * (1 - record.share):.0f} % of time. Bars are "
        f"{100 * record.level:.0f} % bootstrap intervals over users.",
    )
    if any(way.auc.value is not None for way in record.ways):
        _claims(record)
    if record.ranking:
        _lists(record)
    failures.notices(list(record.notices), "About this evaluation")


def _claims(record: Evaluation) -> None:
    _chart(
        ability,
        record,
        "Does the tuned model still learn from demonstrations?",
        "AUC by the number of demonstrations in the prompt. RecICL is tuned on prompts with demonstrations, the "
        "TALLRec-style model on prompts without.",
    )
    if record.periods:
        _chart(
            drift,
            record,
            "Does the advantage last without another update?",
            "AUC in later periods. The model is tuned once; its demonstrations are the user's latest at each moment.",
        )


def _lists(record: Evaluation) -> None:
    _chart(
        ranking,
        record,
        "How high does the next liked item rank?",
        f"NDCG@10 of that item among {record.candidates} candidates; the others are items that the user never met. The "
        "dotted line is a random order.",
    )


def _chart(chart: ModuleType, record: Evaluation, title: str, note: str) -> None:
    """A chart of an evaluation, with its table and its text."""
    colours = tab.colours()
    panel(
        chart.__name__.rpartition(".")[2],
        title,
        note,
        figure=lambda: chart.figure(record, colours),
        table=lambda: chart.table(record),
        alt=chart.alt(record),
    )

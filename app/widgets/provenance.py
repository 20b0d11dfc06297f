"""Where do the numbers come from, and how are they repeated?"""

from __future__ import annotations

import html

import streamlit as st

from app.text import safe_html
from app.widgets import downloads, failures
from app.widgets.panel import section
from core.analysis.explain.explanation import Explanation
from core.question.task import Provenance
from core.question.task import Report
from core.store.material import LICENCES
from core.words import seconds


def provenance(explanation: Explanation, licence: str) -> None:
    """Data, model, versions, licences, and the command line of an explanation."""
    extra = [("Seconds", _times(explanation)), ("Key", html.escape(explanation.key[:16]))]
    _facts(explanation.provenance, licence, explanation.request.model, extra)
    downloads.whole(explanation, "explanation", explanation.key)


def of_report(report: Report, licence: str, model: str) -> None:
    """The same of a task's report."""
    spent = f"{seconds(report.seconds)}, {report.passes:.1f} full passes (one scores the whole prompt once)"
    _facts(report.provenance, licence, model, [("Cost", spent)])
    downloads.whole(report, "report", report.provenance.model_id)


def _facts(source: Provenance, licence: str, model: str, extra: list[tuple[str, str]]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
    rows = [
        ("Data", f"{safe_html(source.dataset_name)} (content {html.escape(source.dataset_id)})"),
        ("Licence of the data", safe_html(licence) if licence else "not stated"),
        (
            "Model",
            f"{safe_html(source.model_name)} (content {html.escape(source.model_id[:16])}), "
            f"{source.layers} layers of {source.heads} heads",
        ),
        ("Licence of the model", safe_html(_model_licence(model))),
        ("Adapter", safe_html(source.adapter) if source.adapter else "none"),
        *_proof(source),
        ("Run on", f"{html.escape(source.device)}, {html.escape(source.dtype)}"),
        ("Seed of the case", str(source.case_seed)),
        ("Versions", safe_html(versions)),
        ("Computed", html.escape(source.created)),
        *extra,
    ]
    section("Where this comes from", "Equal choices on equal data, model and code give equal numbers.")
    st.html('<dl class="dl-facts">' + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>")
    st.code(source.command, language=None, wrap_lines=True)


def _proof(source: Provenance) -> list[tuple[str, str]]:
    if (proof := source.proof) is None:
        return []
    most = max(proof.packed, proof.remembered, proof.gate_one, proof.gate_zero)
    return [
        (
            "Measured at load",
            f"logits of shared and remembered passes differ from plain passes by at most {100 * most:.5f} % of their "
            f"spread; beyond {100 * proof.limit:.1f} % the model is refused",
        )
    ]


def _model_licence(model: str) -> str:
    if model != "sample":
        return "the model's own; not checked here"
    _, licence, note, _ = LICENCES[0]
    return f"{licence}. {note}"


def known(explanation: Explanation) -> None:
    """Notices of the run itself."""
    failures.notices(list(explanation.notices))


def _times(explanation: Explanation) -> str:
    spent = explanation.timings
    parts = (
        ("prompt", spent.prompt),
        ("scores", spent.scores),
        ("contributions", spent.contributions),
        ("matrix", spent.matrix),
        ("faithfulness", spent.faithfulness),
    )
    whole = f"{seconds(spent.total)} in all: " if spent.total > 0 else ""
    return whole + ", ".join(f"{name} {seconds(value)}" for name, value in parts if value > 0)

"""Where the numbers come from, and how they are repeated."""

from __future__ import annotations

import html

import streamlit as st

from app import cached
from app.text import safe_html
from app.widgets import downloads
from app.widgets.panel import section
from core.question.task import Provenance, Report
from core.store.material import LICENCES
from core.tuning.evaluation.ways import VARIANT_LABELS
from core.words import duration


def provenance(report: Report, licence: str, origin: cached.Origin | None = None) -> None:
    """Data, model, versions, licences, cost and the command line of a report; `origin` of one from the package."""
    source = report.provenance
    versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
    rows = [
        ("Data", f"{safe_html(source.dataset_name)} (content {html.escape(source.dataset_id)})"),
        *([] if source.template is None else [("Template", safe_html(source.template.words))]),
        ("Licence of the data", safe_html(licence) if licence else "not stated"),
        (
            "Model",
            f"{safe_html(source.model_name)} (content {html.escape(source.model_id[:16])}), "
            f"{source.layers} layers of {source.heads} heads"
            if source.server is None
            else "on a server",
        ),
        *_server(source),
        ("Licence of the model", safe_html(_model_licence(report.task.case.model))),
        ("Adapter", safe_html(adapter_words(source.adapter)) if source.adapter else "none"),
        *_proof(source),
        *([] if source.server else [("Run on", f"{html.escape(source.device)}, {html.escape(source.dtype)}")]),
        ("Seed of the case", str(source.case_seed)),
        ("Versions", safe_html(versions)),
        ("Computed", html.escape(source.created)),
        *_origin(origin),
        *_cost(report),
    ]
    note = "Equal choices on equal data, model and code give equal numbers."
    section("Where this comes from", note, *(text for row in rows for text in row))
    st.html('<dl class="dl-facts">' + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>")
    st.code(source.command, language=None, wrap_lines=True)
    key = getattr(report, "key", None)
    downloads.whole(report, "report" if key is None else "explanation", key or source.model_id)


def _server(source: Provenance) -> list[tuple[str, str]]:
    """How the scores come from a server, and by which tokenizer its prompts are written."""
    if (server := source.server) is None:
        return []
    ways = [f"titles by {server.titles}" if server.titles else "no titles", f"labels by {server.labels}"]
    compared = "compared with the server's" if server.tokenizer_compared else "not compared with the server's"
    tokenizer = f"{server.tokenizer} (content {server.tokenizer_hash}), {compared}"
    facts = f"{server.address}, {server.software}, {', '.join(ways)}, {server.context} tokens"
    return [("Server", safe_html(facts, 400)), ("Tokenizer", safe_html(tokenizer, 400))]


def _origin(origin: cached.Origin | None) -> list[tuple[str, str]]:
    if origin is None:
        return []
    text = (
        f"with the package, not on this machine: by DemoLens {origin.version} (code {origin.code[:16]}) in "
        f"{duration(origin.seconds)}. Run computes it here; {origin.command} makes the package's examples anew"
    )
    return [("Computed by", safe_html(text, 400))]


def adapter_words(adapter: str) -> str:
    """What an adapter is called: a shipped one by its method, another by the name of its folder."""
    return next((words for name, words in VARIANT_LABELS.items() if name == adapter), adapter)


def _cost(report: Report) -> list[tuple[str, str]]:
    """Time by part and the key, of reports that have them; else time and passes."""
    timings, key = getattr(report, "timings", None), getattr(report, "key", None)
    if timings is None or key is None:
        passes = f"{report.passes:.1f} full passes (one scores the whole prompt once)"
        return [("Cost", f"{duration(report.seconds)}, {passes}")]
    times = timings.model_dump()
    total = times.pop("total")
    parts = ", ".join(f"{name} {duration(value)}" for name, value in times.items() if value > 0)
    whole = f"{duration(total)} in all: " if total > 0 else ""
    return [("Seconds", whole + parts), ("Key", html.escape(key[:16]))]


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

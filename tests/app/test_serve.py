"""What the server adds to the page it serves."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import streamlit

from app.serve import AT_ROOT, AtRoot, head_script, policy

PAGE = b"<html><head><title>x</title></head></html>"


def answer(kind: bytes, accept: bytes) -> tuple[list[Any], list[Any]]:
    """What a browser gets from an inner application that sends the page in two parts, and the headers that one saw."""
    seen: list[Any] = []
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        headers = [(b"content-type", kind), (b"content-length", str(len(PAGE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE[:9], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[9:]})

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept", accept), (b"accept-encoding", b"gzip")]}
    asyncio.run(AtRoot(inner)(scope, None, keep))
    return sent, seen


def test_the_page_is_told_where_the_server_answers() -> None:
    (start, body), seen = answer(b"text/html; charset=utf-8", b"text/html,*/*")
    assert body["body"] == PAGE.replace(b"<head>", f"<head><script>{head_script()}</script>".encode())
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert b"accept-encoding" not in dict(seen)


def test_the_script_of_the_charts_is_loaded_ahead_by_its_real_name() -> None:
    assert head_script().startswith(AT_ROOT)
    (name,) = re.findall(r'import\("/static/js/(PlotlyChart[^"]+)"\)', head_script())
    assert (Path(streamlit.__file__).parent / "static" / "static" / "js" / name).is_file()


def test_anything_else_passes_untouched() -> None:
    for kind, accept in ((b"text/css", b"text/html"), (b"text/html", b"*/*")):
        sent, _ = answer(kind, accept)
        assert b"".join(message.get("body", b"") for message in sent) == PAGE


def test_only_the_known_scripts_may_run() -> None:
    allowed = next(part for part in policy().split("; ") if part.startswith("script-src"))
    assert "unsafe" not in allowed
    assert allowed.count("sha256-") >= 2

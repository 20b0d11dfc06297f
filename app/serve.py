"""The server of the dashboard, with its security headers.

`main(port, address)` is the entry to use: `python -m app.serve --port 8501`. `streamlit run streamlit_app.py` works
too, but Streamlit itself sends no Content-Security-Policy, no frame-ancestors and no nosniff: any page could frame it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import logging
import re
import secrets
import sys
from collections.abc import Container, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app import descriptors
from app.settings import SETTINGS, is_loopback
from core.store.home import fix_home
from core.work.stopping import until_stopped

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "streamlit_app.py"
HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names in the Host header that are answered; Streamlit's own `allowedHosts` guards the socket only."""
AT_ROOT = "window.__streamlit={BACKEND_BASE_URL:window.location.origin}"
"""Tells the page that the server answers at the root: it would ask below the page's own name first, and be refused."""
POLICY_VIOLATION = 1008
"""Code of a closed socket (RFC 6455, section 7.4.1)."""
logger = logging.getLogger("demolens.app")


def head_script() -> str:
    """The script in the page's head: where the server answers, and then, while it prepares the first page, the charts.

    Drawing needs a script of 4.7 MB that Streamlit asks for when the first chart arrives; loaded at once, it is ready
    by then.
    """
    import streamlit

    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    charts = "".join(f'import("/static/js/{path.name}")' for path in sorted(scripts.glob("PlotlyChart.*.js"))[:1])
    return f'{AT_ROOT};addEventListener("load",()=>{{{charts}}})'


def policy() -> str:
    """The Content-Security-Policy: this server only, inline styles (Streamlit's own), its script by hash."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {' '.join(_inline_scripts())}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _inline_scripts() -> list[str]:
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    bodies = [head_script(), *re.findall(r"<script>(.*?)</script>", page, re.DOTALL)]
    return [f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies]


class AtRoot:
    """ASGI middleware that puts `head_script` into the one HTML page."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._script = f"<head><script>{head_script()}</script>".encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass the request on; an HTML answer is held back until it is whole."""
        start: MutableMapping[str, Any] = {}
        parts: list[bytes] = []

        async def with_script(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_html(message):
                start.update(message)
            elif start and message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    page = b"".join(parts).replace(b"<head>", self._script, 1)
                    headers = _without(start["headers"], {b"content-length"})
                    await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
                    await send({**message, "body": page})
            else:
                await send(message)

        if scope["type"] == "http" and _asks_for_page(scope):
            headers = _without(scope["headers"], {b"accept-encoding"})
            await self._app({**scope, "headers": headers}, receive, with_script)
        else:
            await self._app(scope, receive, send)


def _without(headers: Iterable[tuple[bytes, bytes]], names: Container[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in names]


def _asks_for_page(scope: MutableMapping[str, Any]) -> bool:
    return any(name.lower() == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _is_html(message: MutableMapping[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in message.get("headers", [])}
    return bool(message["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html"))


class SecurityHeaders:
    """ASGI middleware that adds the headers to every HTTP answer."""

    def __init__(self, app: Any) -> None:
        self._app = app
        headers = {
            "content-security-policy": policy(),
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
            "cross-origin-opener-policy": "same-origin",
        }
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass the request on; replace our headers in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = {name for name, _ in self._headers}

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_without(message.get("headers", []), ours), *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)


class OwnOrigin:
    """ASGI middleware that refuses a socket opened by a page of another server, another port of this machine included.

    A program that is no browser sends no Origin. `server.corsAllowedOrigins` names further pages, such as a proxy's.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass everything on, but close a foreign socket before it opens."""
        if scope["type"] == "websocket" and not _own_origin(dict(scope["headers"])):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        await self._app(scope, receive, send)


def _own_origin(headers: Mapping[bytes, bytes]) -> bool:
    from streamlit.web.server.server_util import allowlisted_origins

    origin = headers.get(b"origin")
    if origin is None:
        return True
    text = origin.decode("latin-1")
    return urlsplit(text).netloc == headers.get(b"host", b"").decode("latin-1") or text in allowlisted_origins()


def health(_request: Any) -> Any:
    """Whether the page can be served and a worker computes: 200 and `ok`, or 503 and one sentence."""
    from starlette.responses import JSONResponse

    from app import cached

    left = descriptors.free()
    fault = cached.desk().fault() if left >= descriptors.LEAST_FREE else f"Only {left} descriptors are free"
    return JSONResponse({"status": fault or "ok"}, status_code=503 if fault else 200)


def on_script_error(error: Exception) -> bool:
    """Log an unexpected fault under an id, and show that id instead of a traceback."""
    import streamlit as st

    from app.widgets import failures

    error_id = f"E-{secrets.token_hex(3).upper()}"
    logger.error("%s: unexpected fault in a page", error_id, exc_info=error)
    st.session_state.pop("view", None)
    failures.box(
        "Something went wrong on this page",
        f"It is noted in the log as {error_id}. Reload the page to go on; stored results are safe.",
    )
    return True


def main(port: int = SETTINGS.port, address: str = SETTINGS.address, *, script: Path = SCRIPT) -> None:
    """Serve until stopped. Refuses an address that others can reach: there is no sign-in."""
    if not is_loopback(address):
        raise SystemExit(
            f"address {address} can be reached by others and DemoLens has no sign-in; "
            "expected 127.0.0.1, behind your own proxy if need be"
        )
    import streamlit as st
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    descriptors.raise_limit()
    sys.argv = [str(SCRIPT)]
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS, address])
    app = st.App(
        script,
        routes=[Route("/health", health)],
        lifespan=descriptors.sweeping,
        middleware=[Middleware(SecurityHeaders), Middleware(AtRoot), trusted, Middleware(OwnOrigin)],
        on_script_error=on_script_error,
    )
    app.run(config={"server.port": port, "server.address": address, "server.headless": True})


def command_line() -> None:
    """Serve where the command line says."""
    parser = argparse.ArgumentParser(description="Serve the DemoLens dashboard on this machine.")
    parser.add_argument("--port", type=int, default=SETTINGS.port)
    parser.add_argument("--address", default=SETTINGS.address)
    options = parser.parse_args()
    fix_home()
    main(options.port, options.address)


if __name__ == "__main__":
    sys.exit(until_stopped(command_line))

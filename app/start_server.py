"""Starting the page: is the address safe, is the port free, and then its server."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import subprocess
import sys

import psutil

from core.errors import RequestError
from core.work.job import ROOT
from core.work.stopping import hold_back

LOOPBACK = ("localhost", "127.0.0.1")
WARNING = (
    "DemoLens has no sign-in: everyone who can reach this machine can use it, read its results and open data and "
    "model folders on it."
)


def serve(command: list[str]) -> None:
    """Replace this process by the page's server."""
    os.chdir(ROOT)
    if os.name == "nt":  # There exec leaves a detached process behind.
        sys.exit(subprocess.call(command))
    if "app.serve" in command:
        hold_back()
    os.execv(sys.executable, command)


def server_command(address: str, port: int, *, allow_network: bool) -> list[str]:
    """The command line of the server.

    For this machine alone that is `app.serve`, which adds the security headers; it refuses any other address, so a
    network is served by Streamlit itself. Raises `RequestError` where a network is asked for but not allowed.
    """
    if is_loopback(address):
        return [sys.executable, "-m", "app.serve", "--port", str(port), "--address", address]
    if not allow_network:
        advice = "Add --allow-network if that is what you want"
        raise RequestError(f"{address!r} lets other machines in. {WARNING} {advice}", where="--address")
    sys.stderr.write(f"demolens: warning: {WARNING} Security headers are not sent in this mode.\n")
    hosts = sorted({*LOOPBACK, address, socket.gethostname(), *_own_addresses()})
    settings = [f"--server.address={address}", f"--server.port={port}", "--server.headless=true"]
    settings += [f"--server.allowedHosts={host}" for host in hosts]
    return [sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app.py"), *settings]


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_port(address: str, port: int) -> None:
    """Raise `RequestError` when nothing can listen there."""
    try:
        kind, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as caller:
            # Where a program listens on every address, some systems let another one take a single address from it.
            if caller.connect_ex(place) == 0:
                raise OSError(errno.EADDRINUSE, "taken")
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # There it would let two programs share the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        raise RequestError(_refusal(address, port, error)) from None


def _refusal(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; choose one with PORT=… or --port"
    if error.errno == errno.EACCES:
        return f"port {port} is reserved for the system; choose one above 1023 with PORT=… or --port"
    return f"{address!r} is no address of this machine; choose one with --address"


def _own_addresses() -> set[str]:
    kinds = (socket.AF_INET, socket.AF_INET6)
    return {
        row.address.partition("%")[0] for rows in psutil.net_if_addrs().values() for row in rows if row.family in kinds
    }

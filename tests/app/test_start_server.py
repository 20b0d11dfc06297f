"""Who may reach the page, and which port it takes."""

from __future__ import annotations

import socket

import pytest

from app.start_server import check_port, is_loopback, server_command
from core.errors import RequestError


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_alone_is_served_with_the_security_headers(address: str) -> None:
    assert is_loopback(address)
    assert server_command(address, 8600, allow_network=False)[1:] == [
        "-m",
        "app.serve",
        "--port",
        "8600",
        "--address",
        address,
    ]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org"])
def test_any_other_address_is_refused_unless_allowed(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RequestError, match="lets other machines in"):
        server_command(address, 8501, allow_network=False)
    words = server_command(address, 8501, allow_network=True)
    assert f"--server.address={address}" in words
    assert "--server.allowedHosts=localhost" in words
    assert "DemoLens has no sign-in" in capsys.readouterr().err


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_said_in_words(bound: str) -> None:
    with socket.socket() as other:
        other.bind((bound, 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(RequestError, match=f"port {port} is taken by another program; choose one with PORT=…"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_said_in_words() -> None:
    with pytest.raises(RequestError, match=r"'192\.0\.2\.1' is no address of this machine"):
        check_port("192.0.2.1", 8501)

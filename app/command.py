"""The whole `demolens` command: that of `core.cli`, and the subcommand that starts the page."""

from __future__ import annotations

from typing import Annotated

import typer

from app.start_server import check_port, serve, server_command
from core.cli.command import FAULT, MISTAKE, app, main, prepared_sentence, write_error
from core.errors import DemoLensError
from core.work.log import unexpected

__all__ = ["main"]


@app.command("app")
def start_app(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Let other machines in; there is no sign-in.")
    ] = False,
    with_example: Annotated[bool, typer.Option("--prepare", help="Prepare this machine first.")] = False,
) -> None:
    """Start the page's server; stop it with Ctrl-C."""
    command = server_command(address, port, allow_network=allow_network)
    check_port(address, port)
    if with_example:
        _prepare()
    serve(command)


def _prepare() -> None:
    """The page starts without the sample material too: why there is none is one sentence."""
    typer.echo("Checking the sample material; the first time this takes a minute or two.", err=True)
    try:
        typer.echo(prepared_sentence(), err=True)
    except DemoLensError as error:
        write_error(str(error), MISTAKE)
    except Exception as error:
        write_error(unexpected(error)[0], FAULT)

"""The command that says what is found of a model, before anything is explained with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import write_out
from core.errors import ModelError
from core.lm.server.address import name_server
from core.work.log import escaped, log_to_file

if TYPE_CHECKING:
    from core.lm.loading.facts import ModelFacts


def model(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="sample, a model folder, a .gguf file, a hub name, or an address.")
    ],
    adapter: Annotated[str, typer.Option(help="A shipped adapter, or a folder.", show_default=False)] = "",
    device: Annotated[str, typer.Option(help="Where the model would run.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Number format of the weights.")] = "auto",
    tokenizer: Annotated[str, typer.Option(help="Of a server's model: sample or a folder.", show_default=False)] = "",
    load: Annotated[bool, typer.Option(help="Whether the model is loaded and checked, too.")] = True,
) -> None:
    """Say what is found of a model, load it and check it against plain passes, or say why it is refused."""
    from core.lm.loading import load as loading
    from core.lm.loading.model_facts import facts_of, loaded_facts

    log_to_file("command")
    name_server(name, tokenizer)
    _show(facts_of(name, adapter=adapter or None, device=device, dtype=dtype))
    if load:
        _show(loaded_facts(loading.load(name, adapter=adapter or None, device=device, dtype=dtype)))


def _show(facts: ModelFacts) -> None:
    """Print the rows; raises `ModelError` with the refusal, if there is one."""
    lines: Sequence[Sequence[str]] = [(row.label, escaped(row.text)) for row in facts.rows]
    if lines:
        width = max(len(label) for label, _ in lines)
        write_out("".join(f"{label:<{width}}  {text}\n" for label, text in lines))
    if facts.refusal is not None:
        raise ModelError(facts.refusal)

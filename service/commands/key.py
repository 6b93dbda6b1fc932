"""`softkv key`: make a key, and the line that makes it known to a service."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.errors import Misused
from service.commands.options import AsJSON


def key(
    name: Annotated[str, typer.Argument(help="What logs call its holder.")],
    scope: Annotated[str, typer.Option(help="What it may do: read or write.")] = "read",
    collections: Annotated[
        str, typer.Option(metavar="PREFIX", help="What the names of its collections begin with.", show_default="all")
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Make a key for SOFTKV_KEYS_FILE; needs no service.

    The line for the file goes to standard output, the key to standard
    error, and nothing keeps it:

      softkv key app --scope read --collections docs- >> keys
    """
    from service.api.keyring import KeysUnusable, line_of, new_key
    from service.commands.console import write_json

    made = new_key()
    try:
        line = line_of(name, scope, collections, made)
    except KeysUnusable as error:
        raise Misused(str(error)) from None
    if as_json:
        write_json({"key": made, "line": line})
        return
    typer.echo(f"softkv: the key of {name}, shown this once: {made}", err=True)
    typer.echo(line)

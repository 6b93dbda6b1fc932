"""`softkv key`: generate a key, and the line for a service's file of keys."""

from __future__ import annotations

from typing import Annotated

import typer

from softkv.commands.command_line import AsJSON, Misused


def key(
    name: Annotated[str, typer.Argument(help="The name of its holder in logs.")],
    scope: Annotated[str, typer.Option(help="The permission: read or write.")] = "read",
    collections: Annotated[
        str, typer.Option(metavar="PREFIX", help="Only collections whose names begin with this.", show_default="all")
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Generate a key for SOFTKV_KEYS_FILE; needs no service.

    The line for the file goes to standard output and the key to standard
    error. The key is stored nowhere:

      softkv key app --scope read --collections docs- >> keys
    """
    from service.api.keyring import KeysUnusable, line_of, new_key
    from softkv.commands.console import write_json

    secret = new_key()
    try:
        line = line_of(name, scope, collections, secret)
    except KeysUnusable as error:
        raise Misused(str(error)) from None
    if as_json:
        write_json({"key": secret, "line": line})
        return
    typer.echo(f"softkv: the key of {name}, shown only once: {secret}", err=True)
    typer.echo(line)

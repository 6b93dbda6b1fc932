"""`softkv key`: generate a key, and the line for a service's file of keys."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from softkv.commands.command_line import AsJSON, Misused


def key(
    name: Annotated[str, typer.Argument(help="The name of the holder, for logs.", show_default=False)],
    scope: Annotated[
        Literal["read", "write"], typer.Option(help="The permission of the key; write includes read.")
    ] = "read",
    collections: Annotated[
        str,
        typer.Option(metavar="PREFIX", help="Allow only collections whose names begin with this.", show_default="all"),
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Generate an API key, and its line for the service's file of keys.

    The line goes to standard output, for the file of `softkv serve
    --keys-file`. The key goes to standard error and is stored nowhere.
    This needs no service.

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

"""`softkv key`: generate a key, and the line for a service's file of keys."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from softkv.commands.command_line import AsJSON, Misused

LIMITS = "Limits"


def key(
    name: Annotated[str, typer.Argument(help="The name of the holder, for logs.", show_default=False)],
    scope: Annotated[
        Literal["read", "feedback", "write"],
        typer.Option(help="The permission of the key; feedback includes read, and write both."),
    ] = "read",
    collections: Annotated[
        str,
        typer.Option(
            metavar="PREFIX",
            help="Allow only collections whose names begin with this; several with commas between.",
            show_default="all",
        ),
    ] = "",
    filter_: Annotated[
        str | None,
        typer.Option(
            "--filter", metavar="JSON", help="Show and change only documents that pass it.", rich_help_panel=LIMITS
        ),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(metavar="N", help="Refuse more requests in a minute.", rich_help_panel=LIMITS)
    ] = None,
    documents: Annotated[
        int | None, typer.Option(metavar="N", help="Refuse to store more documents.", rich_help_panel=LIMITS)
    ] = None,
    bytes_: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="Refuse to store more bytes.", rich_help_panel=LIMITS),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Refuse the key from then on: 2027-01-31T18:00:00Z.", rich_help_panel=LIMITS),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Generate an API key, and its line for the service's file of keys.

    The line goes to standard output, for the file of `softkv serve
    --keys-file`. The key goes to standard error and is stored nowhere.
    This needs no service.

    softkv key app --scope read --collections docs- >> keys
    """
    from softkv.commands.console import write_json
    from softkv_service.api.keyring import KeysUnusable, line_of, new_key

    secret = new_key()
    limits: dict[str, Any] = {
        "filter": _parse(filter_),
        "requests_per_minute": requests_per_minute,
        "documents": documents,
        "bytes": bytes_,
        "expires": expires,
    }
    try:
        limits = {field: limit for field, limit in limits.items() if limit is not None}
        line = line_of(name, scope, collections, secret, **limits)
    except KeysUnusable as error:
        raise Misused(str(error)) from None
    if as_json:
        write_json({"key": secret, "line": line})
        return
    typer.echo(f"softkv: the key of {name}, shown only once: {secret}", err=True)
    typer.echo(line)


def _parse(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise Misused(f"--filter is not JSON: {error}") from None

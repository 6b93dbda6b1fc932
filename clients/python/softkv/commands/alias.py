"""`softkv alias`: list the aliases of collections; create, move and delete one."""

from __future__ import annotations

from typing import Annotated

import typer

from softkv.commands.command_line import ApiKey, AsJSON, Misused, Url
from softkv.settings import DEFAULT_URL


def alias(
    alias: Annotated[str | None, typer.Argument(help="The alias.", show_default="all")] = None,
    collection: Annotated[
        str | None, typer.Argument(help="The collection for which it is to stand.", show_default=False)
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the alias; its collection stays.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """List aliases, or create, move or delete one.

    An alias is another name of a collection. With a collection, the command
    creates the alias or moves it at one instant.

    softkv alias current library-2
    """
    from softkv.commands.console import output, write_json
    from softkv.commands.remote import connect

    if delete and (alias is None or collection is not None):
        raise Misused("--delete wants an alias and no collection: softkv alias ALIAS --delete")
    with connect(url, api_key) as client:
        if delete:
            assert alias is not None
            records = [client.alias(alias)]
            client.remove_alias(alias)
        elif alias is None:
            records = list(client.aliases())
        else:
            records = [client.alias(alias) if collection is None else client.put_alias(alias, collection)]
    if as_json:
        write_json([dict(vars(record)) for record in records])
        return
    for record in records:
        output().print(f"{record.alias}: {'deleted, it stood for' if delete else 'stands for'} {record.collection}")

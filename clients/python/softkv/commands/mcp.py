"""`softkv mcp`, also the script `softkv-mcp`: offer a service's collections to a program that uses a language model,
over standard input and output.
"""

from __future__ import annotations

import os
import signal
from typing import Annotated, Any

import typer

from softkv.commands.command_line import ApiKey, Command, CommandError, Misused, Url, errors_shown
from softkv.mcp import is_of_library
from softkv.settings import DEFAULT_URL

MISSING = "the Model Context Protocol needs a library that is not installed: run `pip install 'mcp>=2.3'`"

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
"""The program `softkv-mcp`, whose only command this is."""


class Program(Command):
    """The command `mcp` as a program of its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and show its errors."""
        with errors_shown("softkv-mcp"):
            return super().invoke(ctx)


@app.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def mcp(
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    collection: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Offer only these collections, comma-separated.", show_default="all"),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer no tool that stores or deletes, even if the key allows it.")
    ] = False,
) -> None:
    """Give a language model the collections as tools (MCP).

    Programs such as Claude, Cursor or VS Code start and stop this command by
    themselves; add it to their configuration. Over standard input and output
    it speaks the Model Context Protocol, as the service does at /mcp.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # A thread waits for the next line and cannot be interrupted; nothing has to be saved.
        signal.signal(number, lambda *_: os._exit(0))
    try:
        from softkv.mcp.library import Library
        from softkv.mcp.server import serve_stdio
    except ModuleNotFoundError as error:
        if not is_of_library(error):
            raise
        raise CommandError(MISSING) from None
    import softkv

    if not url:
        raise Misused("--url is empty: give one such as http://127.0.0.1:8000")
    try:
        client = softkv.AsyncClient(url, key=api_key)
    except softkv.Invalid as error:
        raise Misused(f"--url {error}") from None
    serve_stdio(Library(client, url, None if collection is None else _names(collection), read_only))


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list; raise Misused if it has none."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise Misused("--collection names no collection: leave it out to offer all of them")
    return names

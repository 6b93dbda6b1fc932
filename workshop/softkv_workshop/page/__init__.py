"""`softkv page export DIR`: the page as files for any static host, with the demo collections and an encoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from softkv.commands.command_line import OPERATE, AsJSON, Command, CommandError, CommandGroup

page = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Export the page as files for any web host.")
app = typer.Typer()
app.add_typer(page, name="page", rich_help_panel=OPERATE)


@page.callback()
def _page() -> None:
    """Export the page as files for any web host."""


@page.command(cls=Command)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The directory for the files; created if missing.")],
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The address that the page will have, for previews of links.", show_default="no picture"
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A service with rooms, to which the page links.", show_default="no link"),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Export the page as files that need no service.

    They have the demo collections, and the default encoder for the browser. It is loaded when a visitor types a text.

    softkv page export public
    """
    from softkv.commands.console import messages, output, write_json
    from softkv_service.api.parts import find_parts
    from softkv_service.api.routes.page import Assets, folders
    from softkv_service.encoding import DEFAULT_MODEL, ModelUnusable, load_encoder
    from softkv_workshop.page.documents import write_documents
    from softkv_workshop.page.model import write_model
    from softkv_workshop.page.recording import record

    address = None if url is None else _check_address(url)
    linked = None if service is None else _check_address(service)
    console = messages()
    files = write_documents(Assets(*folders(find_parts())), address, linked)
    console.print(f"documents: {len(files)} files")
    try:
        encoder = load_encoder(DEFAULT_MODEL)
    except ModelUnusable as error:
        raise CommandError(str(error)) from None
    recorded = record(encoder, console.print) | write_model(encoder)
    console.print(f"{DEFAULT_MODEL}: loaded when a visitor types a text")
    files |= {f"assets/recorded/{name}": content for name, content in recorded.items()}
    _write(folder, files)
    size = sum(map(len, files.values()))
    if as_json:
        write_json({"folder": str(folder), "files": len(files), "bytes": size})
        return
    output().print(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB; open {folder / 'index.html'}")


def _check_address(url: str) -> str:
    """Return an address of a folder, which ends in a slash.

    Raises:
        CommandError: it is not a whole http address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise CommandError(f"Expected an address such as https://example.org/softkv/, got {url!r}.")
    return url if url.endswith("/") else f"{url}/"


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files into a folder. Each gets its final name only when it is complete.

    Raises:
        CommandError: the folder cannot be written.
    """
    try:
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.part")
            partial.write_bytes(content)
            os.replace(partial, target)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror}): choose another folder") from None

"""`softkv backup FILE`: everything that a running service stores, in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.commands.errors import CommandError, Misused
from service.commands.options import ApiKey, AsJSON, Url
from service.networks import DEFAULT_URL


def backup(
    file: Annotated[
        Path,
        typer.Argument(help="Where to; - is standard output.", metavar="FILE", show_default=False),
    ],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Copy everything that a running service stores into one file.

    It is what was stored at one instant; the service reads and writes on
    meanwhile. A file takes its name only when it is complete and its checksum
    is right. `softkv restore` makes a data directory of it. Needs a key that
    may write, where keys are asked for.

    softkv backup monday.softkv
    """
    from service.commands.console import messages, output, progress, write_json
    from service.commands.remote.connection import connected

    if as_json and file.name == "-":
        raise Misused("--json and the backup both go to standard output: name a file")
    with connected(url, api_key) as client, progress(messages()) as bar:
        task = bar.add_task("backup", total=None)
        try:
            made = client.backup(
                sys.stdout.buffer if file.name == "-" else file,
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be written ({error.strerror}): choose another file") from None
    if as_json:
        write_json({"file": str(file), "made": made.made, "bytes": made.length, "sha256": made.sha256})
        return
    (messages() if file.name == "-" else output()).print(f"{file}: {made.length:,} bytes, as of {made.made}")

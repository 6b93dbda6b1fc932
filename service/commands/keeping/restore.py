"""`softkv restore FILE`: a data directory out of what `softkv backup` wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.commands.errors import CommandError
from service.commands.options import AsJSON, existing_file
from service.commands.serve import read_settings


def restore(
    file: Annotated[
        Path,
        typer.Argument(
            help="A file of `softkv backup`; - is standard input.",
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    data_dir: Annotated[Path | None, typer.Option(help="Where to; it has no store yet.", show_default="data")] = None,
    as_json: AsJSON = False,
) -> None:
    """Make a data directory of a backup; needs no service, and no service may run on it.

    A directory that has a store stays as it is, and so does one where the
    backup is not complete or its checksum is not right.

    softkv restore monday.softkv --data-dir data
    """
    from service.commands.console import messages, output, write_json
    from service.storage import StorageError, restore

    # Nothing is listened on here, so it does not matter who may call.
    given = {"host": "127.0.0.1", "data_dir": data_dir}
    settings = read_settings({name: value for name, value in given.items() if value is not None})
    try:
        with messages().status(f"restoring {file}"):
            if file.name == "-":
                head = restore(sys.stdin.buffer, settings.data_dir)
            else:
                with file.open("rb") as source:
                    head = restore(source, settings.data_dir)
    except StorageError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{file} could not be restored ({error.strerror}): nothing was kept of it") from None
    if as_json:
        write_json({"data_dir": str(settings.data_dir), "made": head.made, "bytes": head.length})
        return
    output().print(f"{settings.data_dir}: {head.length:,} bytes, as of {head.made}")

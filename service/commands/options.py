"""The options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def key_or_file(given: str) -> str:
    """A key as it is, or the first line of a file: a command line can be read by others on the machine."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the key's file cannot be read: {error}") from None


def existing_file(given: str) -> Path:
    """A file that can be read, or `-` for standard input."""
    path = Path(given)
    if given != "-" and not path.is_file():
        raise typer.BadParameter(f"there is no file {given}")
    return path


def json_object(given: str) -> dict[str, Any]:
    """A JSON object from the command line."""
    try:
        parsed = json.loads(given)
    except ValueError as error:
        raise typer.BadParameter(f"wanted a JSON object, got {given!r}: {error}") from None
    if not isinstance(parsed, dict):
        raise typer.BadParameter(f"wanted a JSON object such as {{…}}, got {given!r}")
    return parsed


Url = Annotated[str, typer.Option("--url", envvar="SOFTKV_URL", help="Where the service answers.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="SOFTKV_KEY",
        parser=key_or_file,
        metavar="KEY|@FILE",
        help="The key, if the service wants one; @FILE reads it from a file.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

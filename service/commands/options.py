"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def read_key(text: str) -> str:
    """Return a key, or with `@FILE` the first line of a file, since other users can read a command line."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the key's file cannot be read: {error}") from None


def existing_file(text: str) -> Path:
    """Return the path of an existing file, or `-` for standard input."""
    path = Path(text)
    if text != "-" and not path.is_file():
        raise typer.BadParameter(f"file not found: {text}")
    return path


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object from the command line."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a JSON object, got {text!r}: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter(f"expected a JSON object such as {{…}}, got {text!r}")
    return value


Url = Annotated[str, typer.Option("--url", envvar="SOFTKV_URL", help="The address of the service.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="SOFTKV_KEY",
        parser=read_key,
        metavar="KEY|@FILE",
        help="The key, if the service needs one; @FILE reads it from a file.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

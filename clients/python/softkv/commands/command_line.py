"""The command line: options that several commands share, and errors that end a command with an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


class CommandError(Exception):
    """The error of a command that failed. The command line prints its text unchanged, and exits with its code."""

    exit_code = 1


class Refused(CommandError):
    """The error of a command whose request the service refused."""


class Misused(CommandError):
    """The error of a command that was called with invalid arguments or options."""

    exit_code = 2


class Unreachable(CommandError):
    """The error of a command whose service does not answer at its address."""

    exit_code = 3


class Interrupted(CommandError):
    """The error of a command that stopped after a part of its work, with the exit code of the error that stopped it."""

    def __init__(self, message: str, reason: BaseException) -> None:
        super().__init__(message)
        self.exit_code = reason.exit_code if isinstance(reason, CommandError) else CommandError.exit_code


def read_key(text: str) -> str:
    """Return an API key, or with `@FILE` the first line of a file.

    Other users of the machine can read a command line, but not the file.
    """
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

"""The command line: options that several commands share, and errors that end a command with an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

START, ASK, DOCUMENTS, OPERATE = "Start", "Ask", "Documents", "Operate"
"""The groups of commands in `softkv --help`, in their order."""

SERVICE = "Service"
"""The group of options that name the service to call."""


class Command(TyperCommand):
    """A command whose help shows no type beside a flag, since a flag takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options of the command."""
        return _hide_flag_types(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """A group of commands whose help shows no type beside a flag."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options before the name of a command."""
        return _hide_flag_types(super().get_params(ctx))


def _hide_flag_types(parameters: list[Any]) -> list[Any]:
    """Set an empty metavar on every flag without one, so that help does not show `<bool>`; return the parameters."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


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


@contextmanager
def errors_shown(program: str) -> Iterator[None]:
    """Show an error of a command on standard error, without a traceback, and exit with its code."""
    try:
        yield
    except CommandError as error:
        typer.echo(f"{program}: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def read_key(text: str) -> str:
    """Return an API key, or with `@FILE` the first line of a file.

    Other users of the machine can read a command line, but not the file.
    """
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).expanduser().read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the key's file cannot be read: {error}") from None


def existing_file(text: str) -> Path:
    """Return the path of an existing file, or `-` for standard input."""
    path = Path(text)
    if text != "-" and not path.is_file():
        raise typer.BadParameter(f"file not found: {text}")
    return path


def existing_source(text: str) -> Path:
    """Return the path of an existing file or folder, a pattern of files, or `-` for standard input."""
    path = Path(text)
    if text != "-" and not path.exists() and "*" not in path.name:
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


Url = Annotated[
    str, typer.Option("--url", envvar="SOFTKV_URL", help="The address of the service.", rich_help_panel=SERVICE)
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="SOFTKV_KEY",
        parser=read_key,
        metavar="KEY|@FILE",
        help="The API key, if the service requires one; @FILE reads it from a file.",
        rich_help_panel=SERVICE,
    ),
]
QueryColumn = Annotated[str, typer.Option("--query", metavar="COLUMN", help="The column with the questions.")]
IdColumn = Annotated[
    str, typer.Option("--id", metavar="COLUMN", help="The column with the ids that answer them; empty for none.")
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]

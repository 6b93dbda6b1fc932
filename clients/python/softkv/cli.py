"""`softkv` and `softkv-mcp`: the commands in one program; errors become a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer

from softkv.commands.alias import alias
from softkv.commands.attend import attend
from softkv.commands.calibrate import calibrate
from softkv.commands.check_index import check_index
from softkv.commands.command_line import ASK, DOCUMENTS, OPERATE, Command, CommandError, CommandGroup
from softkv.commands.encode import encode
from softkv.commands.export import backup, export
from softkv.commands.load import load
from softkv.commands.mcp import mcp
from softkv.commands.re_encode import re_encode
from softkv.settings import VERSION

ENTRY_POINTS = "softkv.commands"
"""The group of entry points under which an installed service registers its program, with all commands."""
OF_THE_SERVICE = {
    "serve": "Run the service.",
    "demo": "Load demo collections into the running service.",
    "train": "Teach a collection the words of your questions, by labelled pairs.",
    "doctor": "Check this machine, the model and the stored data.",
    "restore": "Restore a backup into a new data directory.",
    "copy": "Copy collections from one store into another.",
    "key": "Generate an API key.",
    "access-log": "Read the access log of a service.",
    "cluster": "Start and stop the servers that hold the keys, in a Ray cluster.",
    "page": "Export the page as files for any web host.",
    "bench": "Run the benchmarks.",
}
"""The commands of the distribution `softkv`, each with its help where that is not installed."""
REMOTE = {
    ASK: (attend, calibrate, encode, mcp),
    DOCUMENTS: (load, export),
    OPERATE: (alias, backup, check_index, re_encode),
}
"""The commands of the client, by their groups; all except `check-index` call a running service."""


@contextmanager
def _errors_shown(program: str) -> Iterator[None]:
    """Show an error of a command on standard error, without a traceback, and exit with its code."""
    try:
        yield
    except CommandError as error:
        typer.echo(f"{program}: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


class Commands(CommandGroup):
    """The group of all commands of `softkv`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with _errors_shown("softkv"):
            return super().invoke(ctx)


class MCPCommand(Command):
    """The command `softkv-mcp`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _errors_shown("softkv-mcp"):
            return super().invoke(ctx)


def create_program(version: str) -> typer.Typer:
    """Return the program `softkv` without any command.

    Args:
        version: the name and the version that `--version` shows.
    """
    program = typer.Typer(
        cls=Commands,
        name="softkv",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": version},
        epilog="Exit codes: 0 done, 1 refused or failed, 2 usage, 3 the service cannot be reached.",
    )

    program.callback(help="Ask a collection of documents. Every document gets a weight, and so does “none of these”.")(
        _read_options
    )
    return program


def _show_version(context: typer.Context, requested: bool) -> None:
    if requested:
        typer.echo(context.obj)
        raise typer.Exit


def _read_options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Handle the options that come before the name of a command, such as --version."""


def add_remote_commands(program: typer.Typer) -> None:
    """Add the commands that call a running service."""
    for panel, commands in REMOTE.items():
        for command in commands:
            program.command(cls=Command, rich_help_panel=panel)(command)


def client_program() -> typer.Typer:
    """Return the program where the service is not installed: its commands say what to install."""
    program = create_program(f"softkv-client {VERSION}")
    add_remote_commands(program)
    for name, text in OF_THE_SERVICE.items():
        program.command(
            name,
            help=text,
            rich_help_panel="Commands of the service, which is not installed",
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        )(_needs_the_service)
    return program


def _needs_the_service(context: typer.Context) -> None:
    raise CommandError(
        f"`softkv {context.command.name}` comes with the service, which is not installed here: in a checkout, run "
        "`make wheels`, then `pip install dist/*.whl`"
    )


def program() -> typer.Typer:
    """Return the program of the installed service, or else the client's."""
    for entry_point in entry_points(group=ENTRY_POINTS):
        with_service: typer.Typer = entry_point.load()
        return with_service
    return client_program()


def mcp_program() -> typer.Typer:
    """Return `softkv mcp` as a program of its own, `softkv-mcp`."""
    program = typer.Typer(name="softkv-mcp", pretty_exceptions_enable=False, add_completion=False)
    program.command(cls=MCPCommand, context_settings={"help_option_names": ["-h", "--help"]})(mcp)
    return program

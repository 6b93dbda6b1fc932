"""`softkv`: the commands in one program; errors become a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer

from softkv.commands.alias import alias
from softkv.commands.attend import attend
from softkv.commands.calibrate import calibrate
from softkv.commands.command_line import ASK, DOCUMENTS, OPERATE, START, Command, CommandGroup, Misused, errors_shown
from softkv.commands.encode import encode
from softkv.commands.export import backup, export
from softkv.commands.label import label
from softkv.commands.load import load
from softkv.commands.mcp import mcp
from softkv.commands.re_encode import re_encode
from softkv.settings import VERSION

ENTRY_POINTS = "softkv.commands"
"""The group of entry points of installed distributions: each names a `typer.Typer` with the commands of one."""
PANELS = (START, ASK, DOCUMENTS, OPERATE)
OWN = {
    ASK: (attend, label, calibrate, encode, mcp),
    DOCUMENTS: (load, export),
    OPERATE: (alias, backup, re_encode),
}
"""The commands of the client, by their groups; all call a running service."""
NOT_INSTALLED = {
    "service": (
        "softkv",
        {
            "serve": "Run the service; Ctrl-C stops it.",
            "demo": "Load demo collections into the running service.",
            "train": "Teach a collection the words of your questions, by labelled pairs.",
            "doctor": "Check this machine, the model and the stored data.",
            "restore": "Restore a backup into a new data directory.",
            "copy": "Copy collections from one store into another, vectors bit by bit.",
            "key": "Generate an API key, and its line for the service's file of keys.",
            "access-log": "Read the access log of a service: changes, and refusals by a key.",
            "bench": "Run the benchmarks; `softkv bench --help` lists their options.",
        },
    ),
    "cluster": (
        "softkv[cluster]",
        {"cluster": "Hold the keys in the memory of several machines, in a running Ray cluster."},
    ),
    "workshop": ("softkv-workshop", {"page": "Export the page as files for any web host."}),
}
"""The requirement to install for the commands of each entry point, and their help until then."""


class Commands(CommandGroup):
    """The group of all commands of `softkv`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands by their panels, and last those that are not installed."""
        commands: Any = self.commands
        order = {panel: number for number, panel in enumerate(PANELS)}
        return sorted(commands, key=lambda name: order.get(commands[name].rich_help_panel, len(order)))

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with errors_shown("softkv"):
            return super().invoke(ctx)


def create_program(parts: Iterable[EntryPoint]) -> typer.Typer:
    """Return the program `softkv`, with the commands of the client and of other distributions.

    Args:
        parts: the entry points of the distributions that are installed. Commands of others say what to install.
    """
    installed = {part.name: part for part in parts}
    title = f"softkv {version('softkv')}" if "service" in installed else f"softkv-client {VERSION}"
    program = typer.Typer(
        cls=Commands,
        name="softkv",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": title},
        epilog="Exit codes: 0 done, 1 refused or failed, 2 usage, 3 the service cannot be reached.",
    )
    program.callback(help="Ask a collection of documents. Every document gets a weight, and so does “none of these”.")(
        _read_options
    )
    for panel, functions in OWN.items():
        for command in functions:
            program.command(cls=Command, rich_help_panel=panel)(command)
    for name in sorted(installed):
        program.add_typer(installed[name].load())
    for _, commands in (entry for name, entry in NOT_INSTALLED.items() if name not in installed):
        for command_name, help_text in commands.items():
            program.command(
                command_name,
                help=help_text,
                rich_help_panel="Not installed",
                context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
            )(_say_what_to_install)
    return program


def _say_what_to_install(context: typer.Context) -> None:
    command = context.command.name
    [requirement] = [requirement for requirement, commands in NOT_INSTALLED.values() if command in commands]
    raise Misused(
        f"`softkv {command}` is not installed: install `{requirement}`, in a checkout by `make wheels` and then "
        "`pip install dist/*.whl`"
    )


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


def program() -> typer.Typer:
    """Return the program with the commands of all installed distributions."""
    return create_program(entry_points(group=ENTRY_POINTS))

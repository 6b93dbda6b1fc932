"""`softkv`: the commands of service/commands in one program; errors become a message and an exit code."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from service.commands.attend import attend
from service.commands.bench import bench
from service.commands.calibrate import calibrate
from service.commands.cluster import cluster
from service.commands.command_line import CommandError, Misused
from service.commands.demo import demo
from service.commands.doctor import doctor
from service.commands.encode import encode
from service.commands.export import export
from service.commands.key import key
from service.commands.load import load
from service.commands.mcp import mcp
from service.commands.page import page
from service.commands.serve import serve
from service.commands.stores import backup, copy, restore


class Commands(TyperGroup):
    """The group of all commands; an error of a command is shown on standard error, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            typer.echo(f"softkv: {error}", err=True)
            raise typer.Exit(error.exit_code) from None


class ServiceCommand(TyperCommand):
    """A command whose options are the service's settings.

    If an option has an old name, the error gives the new name.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options of a command; raise an error that gives the new name for a renamed option."""
        from service.settings import RENAMED

        for argument in args:
            option = argument.partition("=")[0]
            if option.startswith("--") and (new := RENAMED.get(option[2:].replace("-", "_"))):
                raise Misused(f"{option} is called --{new.replace('_', '-')} now: write that")
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Commands,
    name="softkv",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 refused or failed, 2 usage, 3 the service cannot be reached.",
)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"softkv {version('softkv')}")
        raise typer.Exit


@app.callback(help="A document collection as the memory of an attention layer.")
def _softkv(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Handle the options that come before the name of a command, such as --version."""


app.command(cls=ServiceCommand)(serve)
for command in (demo, load, export, attend, calibrate, encode, mcp, key, backup, restore, copy, doctor):
    app.command()(command)
app.add_typer(cluster, name="cluster")
app.add_typer(page, name="page")
# All options belong to the benchmarks, including --help.
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(bench)


def main() -> None:
    """Run the command line `softkv`, and exit with the code of the command."""
    app()

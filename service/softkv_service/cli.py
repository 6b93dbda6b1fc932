"""The commands of the service, which the program `softkv` finds by the entry point `service`."""

from __future__ import annotations

from typing import Any

import typer

from softkv.commands.command_line import ASK, OPERATE, START, Command, CommandError
from softkv_service.commands.access_log import access_log
from softkv_service.commands.bench import bench
from softkv_service.commands.demo import demo
from softkv_service.commands.distributions import find_conflicts
from softkv_service.commands.doctor import doctor
from softkv_service.commands.key import key
from softkv_service.commands.serve import ServeCommand, serve
from softkv_service.commands.stores import copy, restore
from softkv_service.commands.train import train


class ServiceCommand(ServeCommand):
    """A command whose options are the service's settings."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; if it cannot import something, name distributions that have files in softkv's folders."""
        try:
            return super().invoke(ctx)
        except ImportError as error:
            if not (conflicts := find_conflicts()):
                raise
            raise CommandError("\n".join(map(str, (error, *conflicts)))) from None


app = typer.Typer()
app.command(cls=ServiceCommand, rich_help_panel=START)(serve)
for command in (demo, doctor):
    app.command(cls=Command, rich_help_panel=START)(command)
app.command(cls=Command, rich_help_panel=ASK)(train)
for operation in (restore, copy, key, access_log):
    app.command(cls=Command, rich_help_panel=OPERATE)(operation)
# All options belong to the benchmarks, including --help.
app.command(
    rich_help_panel=OPERATE,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(bench)

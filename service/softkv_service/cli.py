"""The commands of the service, which the program `softkv` finds by the entry point `service`."""

from __future__ import annotations

import typer

from softkv.commands.command_line import ASK, OPERATE, START, Command
from softkv_service.commands.access_log import access_log
from softkv_service.commands.bench import bench
from softkv_service.commands.demo import demo
from softkv_service.commands.doctor import doctor
from softkv_service.commands.key import key
from softkv_service.commands.serve import ServeCommand, serve
from softkv_service.commands.stores import copy, restore
from softkv_service.commands.train import train

app = typer.Typer()
app.command(cls=ServeCommand, rich_help_panel=START)(serve)
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

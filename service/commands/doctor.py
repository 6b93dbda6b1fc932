"""`softkv doctor`: look at this machine, the model and the data, and say what is broken."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.commands.errors import CommandError
from service.commands.options import AsJSON
from service.commands.serve import read_settings

_STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Where the collections are kept.", show_default="data")] = None,
    store: Annotated[
        str | None, typer.Option(help="postgresql://… of the database that keeps them instead.", show_default="none")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A model's name, its path, or none.", show_default="all-MiniLM-L6-v2")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Check what is installed, the model and the data directory or database; needs no service.

    Run it where `softkv serve` runs, with the same SOFTKV_… environment.
    """
    # Nothing is listened on here, so it does not matter who may call.
    given = {"host": "127.0.0.1", "data_dir": data_dir, "store": store, "encoder": encoder}
    settings = read_settings({name: value for name, value in given.items() if value is not None})

    from rich.table import Table
    from rich.text import Text

    from service.commands.checkup import examine
    from service.commands.console import messages, output, write_json

    checks = []
    with messages().status("looking at the machine") as status:
        for check in examine(settings):
            checks.append(check)
            status.update(f"{check.name}: {check.state}")
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        write_json({"sound": not broken, "checks": [asdict(check) for check in checks]})
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        for check in checks:
            table.add_row(Text(check.name), Text(check.state, _STYLES[check.state]), Text(check.detail))
        output().print(table)
    if broken:
        raise CommandError(f"broken: {', '.join(dict.fromkeys(check.name for check in broken))}")

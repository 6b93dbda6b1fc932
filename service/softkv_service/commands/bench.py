"""`softkv bench`: measure the performance figures of the README on this machine, and print them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from softkv.commands.command_line import CommandError

_REPOSITORY = Path(__file__).parents[3]


def bench(context: typer.Context) -> None:
    """Run the benchmarks; `softkv bench --help` lists their options."""
    if not (_REPOSITORY / "benchmarks" / "__main__.py").is_file():
        raise CommandError(
            "the benchmarks are part of the repository and not of the installed package: "
            "clone it, and run `make bench` there"
        )
    command = [sys.executable, "-m", "benchmarks", *context.args]
    try:
        done = subprocess.run(command, cwd=_REPOSITORY, check=False)
    except KeyboardInterrupt:
        raise CommandError("interrupted") from None
    if done.returncode:
        raise CommandError(f"the benchmarks ended with {done.returncode}: what they printed says why")

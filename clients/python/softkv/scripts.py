"""The scripts that an installation of the client makes; each says what it needs if that is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

CLI = {"typer": "'typer>=0.24'", "rich": "'rich>=14.3'", "orjson": "'orjson>=3.10'"}
"""Modules, with the requirement of each in pyproject.toml."""
MCP = ("mcp", "typer")


def softkv() -> None:
    """Run the script `softkv`."""
    if missing := [name for name in CLI if find_spec(name) is None]:
        needed = " ".join(CLI[name] for name in missing)
        sys.exit(f"softkv: {', '.join(missing)} is not installed: run `pip install {needed}`")
    from softkv.cli import program

    program()()


def softkv_mcp() -> None:
    """Run the script `softkv-mcp`, which is the command `mcp` as a program of its own."""
    if missing := [name for name in MCP if find_spec(name) is None]:
        sys.stderr.write(f"softkv-mcp: {', '.join(missing)} is not installed: install `softkv-client[mcp]`\n")
        sys.exit(2)
    from softkv.commands.mcp import app

    app()

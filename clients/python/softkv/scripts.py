"""The scripts that an installation of the client makes; each says which extra it needs if that is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

CLI, MCP = ("typer", "rich", "orjson"), ("typer", "mcp")


def softkv() -> None:
    """Run the script `softkv`."""
    _require("softkv", "cli", CLI)
    from softkv.cli import program

    program()()


def softkv_mcp() -> None:
    """Run the script `softkv-mcp`."""
    _require("softkv-mcp", "mcp", MCP)
    from softkv.cli import mcp_program

    mcp_program()()


def _require(script: str, extra: str, modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        sys.exit(f"{script}: {', '.join(missing)} is not installed: run `pip install 'softkv-client[{extra}]'`")

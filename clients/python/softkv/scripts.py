"""The scripts that an installation of the client makes; each says which packages it needs if they are missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

# Modules, with the requirement of each in pyproject.toml.
CLI = {"typer": "'typer>=0.24'", "rich": "'rich>=14.3'", "orjson": "'orjson>=3.10'"}
MCP = {"typer": "'typer>=0.24'", "mcp": "'mcp>=2.3,<3'"}


def softkv() -> None:
    """Run the script `softkv`."""
    _require("softkv", CLI)
    from softkv.cli import program

    program()()


def softkv_mcp() -> None:
    """Run the script `softkv-mcp`."""
    _require("softkv-mcp", MCP)
    from softkv.cli import mcp_program

    mcp_program()()


def _require(script: str, modules: dict[str, str]) -> None:
    missing = {name: requirement for name, requirement in modules.items() if find_spec(name) is None}
    if missing:
        sys.exit(f"{script}: {', '.join(missing)} is not installed: run `pip install {' '.join(missing.values())}`")

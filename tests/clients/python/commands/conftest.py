"""The fixtures that run commands, for the commands of the client."""

from __future__ import annotations

from tests.service.commands.conftest import bare, softkv

__all__ = ["bare", "softkv"]

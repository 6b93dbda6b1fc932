"""The Model Context Protocol: a service's collections as tools, resources and prompts of a language model.

There is one server, over the service's HTTP API. `serve_stdio` runs it in its own process, and the service at `/mcp`.
Only this package and that endpoint import the protocol's library, which is slow to load.
"""

from __future__ import annotations

from softkv.mcp.library import Library
from softkv.mcp.server import Context, create_server, serve_stdio

__all__ = ["Context", "Library", "create_server", "serve_stdio"]

"""Paths of requests: what is left of them below the service's root path, and which ones are calls or probes."""

from __future__ import annotations

from starlette.types import Scope

MCP = "/mcp"
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that are polled every few seconds, so their requests are logged at level debug only, and have no spans."""


def route_path(scope: Scope) -> str:
    """Return the path of a request below the `root_path` of its scope, by which Starlette's routes match it.

    The ASGI specification says that `path` begins with `root_path`. A path that does not is returned as it is, since
    some servers leave the root path out. The root path itself is "".
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


def is_call(path: str) -> bool:
    """Return whether a path belongs to the API, not to the page, a probe or a file."""
    return path in ("/v1", MCP) or path.startswith(("/v1/", "/v2/", f"{MCP}/"))

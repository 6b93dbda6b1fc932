"""The Model Context Protocol: a service's collections as tools, resources and prompts of a language model.

There is one server, over the service's HTTP API. The command `softkv mcp` runs it in its own process, and a service at
`/mcp`. Only `server.py` and `tools.py` import the protocol's library, which is slow to load.
"""

from __future__ import annotations

_LIBRARY = ("mcp", "mcp_types", "jsonschema")


def is_of_library(missing: ModuleNotFoundError) -> bool:
    """Return whether a module that failed to import belongs to the library of the Model Context Protocol."""
    return (missing.name or "").partition(".")[0] in _LIBRARY

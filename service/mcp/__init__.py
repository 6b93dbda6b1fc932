"""The Model Context Protocol: a service's collections as tools, resources and prompts of a language model.

There is one server, over the service's own HTTP API: `serve_stdio` runs in its own process, `Endpoint` within the
service. This is the only package that imports the protocol's library, which comes with softkv[mcp] and is slow to load.
"""

from __future__ import annotations

from service.mcp.library import Library
from service.mcp.transports import Endpoint, serve_stdio

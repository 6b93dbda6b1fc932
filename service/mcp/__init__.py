"""The Model Context Protocol: a service's collections as tools, resources and prompts of a language model.

One server, over the service's own wire: `serve_stdio` in a process of its own, `Endpoint` within the service. It is the
only room that imports the protocol's library, which comes with softkv[mcp]; whoever imports this room waits for that.
"""

from __future__ import annotations

from service.mcp.endpoint import Endpoint
from service.mcp.library import Library
from service.mcp.stdio import serve_stdio

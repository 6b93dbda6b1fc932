"""The tools, by their names, in the order in which they are listed."""

from __future__ import annotations

from service.mcp.tools.ask import ASK
from service.mcp.tools.collections import LIST_COLLECTIONS
from service.mcp.tools.compare import COMPARE
from service.mcp.tools.reading import FIND, GET
from service.mcp.tools.trace import TRACE
from service.mcp.tools.writing import FORGET, REMEMBER

TOOLS = {tool.name: tool for tool in (ASK, LIST_COLLECTIONS, FIND, GET, COMPARE, TRACE, REMEMBER, FORGET)}

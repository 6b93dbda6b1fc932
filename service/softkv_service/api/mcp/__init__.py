"""`/mcp`: the part of a server that answers the Model Context Protocol, over the client's server of tools."""

from __future__ import annotations

from softkv_service.api.mcp.part import PART

__all__ = ["PART"]

"""The part of the service that answers `/mcp`, by the entry point `mcp` of `softkv.parts`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter

from service.api.parts import Part
from softkv_mcp_server.state import NAME, MCPEndpoint


def _routers() -> Iterable[APIRouter]:
    from softkv_mcp_server import routes  # it imports the refusals of the service, which read the parts first

    return (routes.router,)


PART = Part(NAME, MCPEndpoint, _routers)

"""The route `POST /mcp` of a service without the distribution that answers it: it says what to install."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.middleware.access import MCP
from service.api.problems.errors import MCPMissing
from service.api.routing import GuardedRoute, filters, reaches, requires, takes

router = APIRouter(
    route_class=GuardedRoute,
    dependencies=[requires("read"), takes("stateless"), reaches("collections"), filters("filtered")],
    include_in_schema=False,
)


@router.post(MCP)
async def post_mcp_message() -> None:
    """Refuse a message of the Model Context Protocol."""
    raise MCPMissing(
        "this installation leaves out the Model Context Protocol: its operator installs `softkv[mcp]`, and a container "
        "with EXTRAS=mcp"
    )

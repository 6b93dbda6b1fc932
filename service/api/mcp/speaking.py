"""The protocol's endpoint, made when the first client comes: to import its library takes half a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.api.problems.errors import MCPMissing

if TYPE_CHECKING:
    from service.mcp import Endpoint

_LIBRARY = ("mcp", "mcp_types", "jsonschema")


class Speaking:
    """Has the endpoint, once there is one.

    Args:
        most_bytes: of a request's body.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._endpoint: Endpoint | None = None
        self._making = asyncio.Lock()

    async def endpoint(self) -> Endpoint:
        """Where requests go.

        Raises:
            MCPMissing: the library is not installed.
        """
        async with self._making:
            if self._endpoint is None:
                endpoint = await asyncio.to_thread(_made, self._most_bytes)
                await endpoint.start()
                self._endpoint = endpoint
        return self._endpoint

    async def close(self) -> None:
        """End it, where there is one."""
        if self._endpoint is not None:
            await self._endpoint.close()


def is_of_library(missing: ModuleNotFoundError) -> bool:
    """Whether what cannot be imported comes with the protocol's library."""
    return (missing.name or "").partition(".")[0] in _LIBRARY


def _made(most_bytes: int) -> Endpoint:
    try:
        from service.mcp import Endpoint
    except ModuleNotFoundError as error:
        if not is_of_library(error):
            raise
        raise MCPMissing(
            "this installation leaves out the Model Context Protocol: its operator installs it with "
            "pip install 'softkv[mcp]', and a container with EXTRAS=mcp"
        ) from None
    from service.api.mcp.within import Within

    return Endpoint(most_bytes, Within)

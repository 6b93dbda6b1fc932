"""`/mcp`: the endpoint of the Model Context Protocol, created on the first message, over the server of the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from softkv.mcp import is_of_library
from softkv_service.api.problems.errors import MCPMissing

if TYPE_CHECKING:
    from softkv_service.api.mcp.endpoint import Endpoint

MESSAGE_BYTES = 256_000
"""The maximum length of a message: twenty ids and a text need a hundredth of it.

Its JSON is parsed on the event loop.
"""


class MCPEndpoint:
    """The endpoint of the Model Context Protocol, made on first use."""

    def __init__(self) -> None:
        self._endpoint: Endpoint | None = None
        self._making = asyncio.Lock()

    async def endpoint(self) -> Endpoint:
        """Return the endpoint that answers requests.

        Raises:
            MCPMissing: the library is not installed.
        """
        async with self._making:
            if self._endpoint is None:
                endpoint = await asyncio.to_thread(_make_endpoint)
                await endpoint.start()
                self._endpoint = endpoint
        return self._endpoint

    async def close(self) -> None:
        """Close the endpoint, if a message has created it."""
        if self._endpoint is not None:
            await self._endpoint.close()


def _make_endpoint() -> Endpoint:
    try:
        from softkv_service.api.mcp.endpoint import Endpoint
    except ModuleNotFoundError as error:
        if not is_of_library(error):
            raise
        raise MCPMissing(
            "this installation leaves out the Model Context Protocol: its operator installs it with "
            "`pip install 'mcp>=2.3,<3'`, and a container with EXTRAS=mcp"
        ) from None
    return Endpoint(MESSAGE_BYTES)

"""The protocol's official client, over HTTP and standard input and output, in the current revision and an older one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Tool

VERSIONS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
COMMAND = ["-c", "from softkv.scripts import softkv_mcp; softkv_mcp()"]


@dataclass(frozen=True)
class Way:
    """A way to a service: over HTTP with these headers, or by a command with these options."""

    url: str
    mode: str = "auto"
    headers: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] | None = None

    def speak(self, conversation: Callable[[Speaker], Awaitable[Any]]) -> Any:
        """Run a conversation with the server; return its result."""
        return asyncio.run(self._speak(conversation))

    async def _speak(self, conversation: Callable[[Speaker], Awaitable[Any]]) -> Any:
        if self.options is not None:
            parameters = StdioServerParameters(
                command=sys.executable, args=[*COMMAND, "--url", self.url, *self.options], env=dict(os.environ)
            )
            async with Client(parameters, mode=self.mode) as client:
                return await conversation(Speaker(client))
        async with (
            httpx2.AsyncClient(headers=dict(self.headers), trust_env=False, timeout=60) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=self.mode) as client,
        ):
            return await conversation(Speaker(client))

    def call(self, name: str, **arguments: Any) -> Any:
        """Return one tool's result; check its structured part against its schema."""

        async def calling(speaker: Speaker) -> Any:
            return await speaker.call(name, **arguments)

        return self.speak(calling)

    def refused(self, name: str, **arguments: Any) -> str:
        """Return the text that a model gets from a failed call."""

        async def calling(speaker: Speaker) -> str:
            return await speaker.refused(name, **arguments)

        return self.speak(calling)

    def tools(self) -> list[str]:
        """The names that are listed."""

        async def listing(speaker: Speaker) -> list[str]:
            return list(await speaker.tools())

        return self.speak(listing)


class Speaker:
    """A client whose every answer is held against what the server promised of it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._tools: dict[str, Tool] = {}

    async def tools(self) -> dict[str, Tool]:
        """Return the listed tools by name."""
        if not self._tools:
            self._tools = {tool.name: tool for tool in (await self.client.list_tools()).tools}
        return self._tools

    async def call(self, name: str, **arguments: Any) -> Any:
        """A tool's result."""
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, text_of(result)
        Draft202012Validator((await self.tools())[name].output_schema).validate(result.structured_content)
        return result.structured_content

    async def refused(self, name: str, **arguments: Any) -> str:
        """Return the text of a failed call."""
        result = await self.client.call_tool(name, arguments)
        assert result.is_error
        assert result.structured_content is None
        return text_of(result)


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    return "".join(block.text for block in result.content)

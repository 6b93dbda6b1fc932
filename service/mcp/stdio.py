"""Over standard input and output, in a process that a client of the protocol starts."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from mcp.server.stdio import stdio_server

from service.mcp.library import Library
from service.mcp.server import Context, made


def serve_stdio(library: Library) -> None:
    """Answer until standard input ends; nothing but the protocol is written to standard output."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)
    try:
        anyio.run(_serve, library)
    except* (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # who asked has gone, and what is still to be written cannot be


async def _serve(library: Library) -> None:
    @asynccontextmanager
    async def open_(_: Context) -> AsyncIterator[Library]:
        yield library

    server = made(open_)
    async with library.client, stdio_server() as (requests, answers):
        await server.run(requests, answers, server.create_initialization_options())

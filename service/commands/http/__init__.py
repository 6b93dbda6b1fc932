"""How a connection is read and written to, under uvicorn: by httptools where that is to be had, else by h11."""

from __future__ import annotations

import asyncio

from service.commands.http.in_h11 import InH11
from service.commands.http.unreadable import MOST_HEAD_BYTES


def protocol() -> type[asyncio.Protocol]:
    """The faster one that there is."""
    try:
        from service.commands.http.in_httptools import InHttptools
    except ImportError:
        return InH11
    return InHttptools

"""How a connection is read and written to, under uvicorn: by httptools where that is to be had, else by h11."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

from service.commands.http.in_h11 import InH11
from service.commands.http.unreadable import MOST_HEAD_BYTES


def protocol() -> type[asyncio.Protocol]:
    """The faster one that there is."""
    if find_spec("httptools") is None:
        return InH11
    from service.commands.http.in_httptools import InHttptools

    return InHttptools

"""How a connection is read and written to, under uvicorn: by httptools where that is to be had, else by h11."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from service.api.bounds import Bounds
from service.commands.http.in_h11 import InH11
from service.commands.http.patience import Patience


def protocol() -> type[asyncio.Protocol]:
    """The faster one that there is."""
    try:
        from service.commands.http.in_httptools import InHttptools
    except ImportError:
        return InH11
    return InHttptools


def connections(bounds: Bounds, read_by: type[asyncio.Protocol] | None = None) -> Any:
    """What uvicorn makes a server's connections of, within these bounds; `read_by` is the faster one if it is None."""
    reader: Callable[..., asyncio.Protocol] = read_by or protocol()
    return partial(reader, Patience(bounds))

"""How others come into a room: an address that their machines reach, and the same as a QR code."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import Request

from service import networks
from service.api.middleware.access import HOST, LOOPBACK


def joining(request: Request, host: str, code: str) -> dict[str, Any]:
    """The address of a room's page, with the modules of its QR code.

    Args:
        host: what the service listens on. Who calls it by a loopback address gets one of its network, if it has one.
    """
    address = f"{_origin(request, host)}/room?code={code}"
    size, path = drawn(address)
    return {"address": address, "size": size, "path": path}


def drawn(text: str) -> tuple[int, str]:
    """A QR code of a text → modules of its side, and its dark ones as the path of an SVG, line by line."""
    import segno

    rows = [list(map(bool, row)) for row in segno.make(text, error="m", micro=False).matrix_iter(border=4)]
    runs = []
    for y, row in enumerate(rows):
        x = 0
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                runs.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return len(rows), "".join(runs)


def _origin(request: Request, host: str) -> str:
    """What the caller calls the service; a page says it with its scheme, which behind a proxy only the page knows."""
    own = request.headers.get("host", "")
    scheme, _, said = request.headers.get("origin", "").partition("://")
    _, port = request.scope.get("server") or (None, 0)
    named = HOST.fullmatch(own)
    if named is None:  # a request with a key may have any Host, and this one may hold more than a host
        own = f"{LOOPBACK}:{port}"
    if named is None or networks.is_loopback(named["address"] or named["name"]):
        others = [] if networks.in_a_container() else networks.network_urls(host, port)
        if others:
            return others[0]
    return f"{scheme if said == own else request.scope['scheme']}://{own}"

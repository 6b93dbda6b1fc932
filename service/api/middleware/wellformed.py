"""What no request may be, whoever sends it: unreadable, with a control character in its path, or with two lengths.

A target with scheme and host is read as its path.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems.errors import AmbiguousLength, APIError, MalformedHost, MalformedPath, MalformedRequest
from service.api.problems.handlers import of_error

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc: C0, DEL and C1
ABSOLUTE = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE)

VERSIONS = ("1.1", "1.0")
UNREADABLE = "unreadable"  # in a request's state: the error that the server met when it read it


class WellFormed:
    """Refuses, with 400 and before anyone looks at it, what two readers could take for two different requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] == "http":
            try:
                if (unreadable := scope.get("state", {}).get(UNREADABLE)) is not None:
                    raise unreadable
                _to_origin_form(scope)
                _check_version(scope["http_version"])
                _check_path(scope["path"], scope.get("raw_path") or b"")
                _check_length(Headers(scope=scope), scope["http_version"])
            except APIError as refusal:
                await of_error(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _to_origin_form(scope: Scope) -> None:
    """Split a target `http://host/path` into path and Host; it replaces the Host header (RFC 9112, 3.2.2).

    Raises:
        MalformedHost: the target has no host.
    """
    absolute = ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if absolute is None:
        return
    host, path = absolute[1], absolute[2] or b"/"
    if not host:
        raise MalformedHost(
            "Expected a path or an address with a host, got an address without one. Send the path alone."
        )
    scope["path"], scope["raw_path"] = unquote(path.decode("ascii")), path
    scope["headers"] = [*(header for header in scope["headers"] if header[0] != b"host"), (b"host", host)]


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise MalformedRequest(f"the request is of HTTP/{version}: send it as HTTP/1.1")


def _check_path(path: str, raw: bytes) -> None:
    if found := CONTROL.search(path):
        raise MalformedPath(
            f"the path holds the control character U+{ord(found[0]):04X} as its character {found.start() + 1}: no name "
            "and no id has one, leave it out"
        )
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise MalformedPath(f"the path is not UTF-8 (byte {error.start}): percent-encode its UTF-8 bytes") from None


def _check_length(headers: Headers, http_version: str) -> None:
    """As RFC 9112, 6.1: a proxy may have read the other length, and what it sent on would be the next request here."""
    if "transfer-encoding" not in headers:
        return
    if "content-length" in headers:
        raise AmbiguousLength(
            f"the request came with Content-Length: {headers['content-length']} and with Transfer-Encoding: "
            f"{headers['transfer-encoding']}: send one of them"
        )
    if http_version == "1.0":
        raise AmbiguousLength("the request came with a Transfer-Encoding, which HTTP/1.0 does not have: use HTTP/1.1")

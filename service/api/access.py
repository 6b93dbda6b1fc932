"""Who calls, and what that allows: keys compared in constant time, and the Host rule of a service without keys."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.errors import APIError, HostRefused, KeyRefused
from service.api.permission import NO_KEY, Level

UNKNOWN_KEY = "the key is not one this service knows: check it for a missing or extra character"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Access:
    """Finds what a caller may do, for the routes to hold against what they declare; without a key it is 401 at once.

    Everything outside `/v1` (the page, probes, docs) is open. Without keys and without an explicit
    `anonymous` level, only requests addressed to this machine by name are answered, so that a web
    page elsewhere cannot reach the service through a rebound DNS name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        write_keys: Collection[str],
        read_keys: Collection[str],
        anonymous: Literal["read", "write"] | None,
        host: str,
    ) -> None:
        self._app = app
        self._keys: list[tuple[bytes, Level]] = [(key.encode(), "write") for key in write_keys]
        self._keys += [(key.encode(), "read") for key in read_keys]
        self._local_only = not self._keys and anonymous is None
        self._anonymous: Level = "write" if self._local_only else anonymous or "none"
        self._hosts = LOOPBACK_NAMES | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] == "http":
            try:
                level = self._check(scope["method"], scope["path"], Headers(scope=scope))
                scope.setdefault("state", {})["access"] = level
            except APIError as refusal:
                await problems.of_error(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, method: str, path: str, headers: Headers) -> Level:
        if self._local_only:
            self._check_host(headers.get("host", ""))
        given = _key(headers)
        level = self._anonymous if given is None or not self._keys else self._granted(given)
        if level == "none" and path.startswith("/v1/") and method != "OPTIONS":
            raise KeyRefused(NO_KEY if given is None else UNKNOWN_KEY)
        return level

    def _check_host(self, host: str) -> None:
        name = host.lower() if host.endswith("]") else host.lower().rsplit(":", 1)[0]
        if name not in self._hosts:
            raise HostRefused(
                f"the Host header is {host!r}, and without keys this service answers to localhost only: "
                "call it as http://localhost, or set SOFTKV_API_KEYS or SOFTKV_ALLOW_ANONYMOUS"
            )

    def _granted(self, given: str) -> Level:
        """What a key allows; every known one is compared with it, so that the time taken tells nothing."""
        level: Level = "none"
        for key, grants in self._keys:
            if hmac.compare_digest(key, given.encode()) and level != "write":
                level = grants
        return level


def _key(headers: Headers) -> str | None:
    given = headers.get("x-api-key")
    if given is not None:
        return given
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None

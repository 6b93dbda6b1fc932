"""Who may call: keys compared in constant time, and the Host rule of a service without keys."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.errors import APIError, Forbidden, HostRefused, KeyRefused

Level = Literal["none", "read", "write"]
WRITING_METHODS = frozenset({"PUT", "PATCH", "DELETE"})
WRITING_POST = re.compile(r"/v1/collections/[^/]+/documents(/delete)?")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_write(method: str, path: str) -> bool:
    """Whether a call changes what is stored."""
    return method in WRITING_METHODS or (method == "POST" and WRITING_POST.fullmatch(path) is not None)


class Access:
    """Lets a request through, or answers 401 or 403 before its body is read.

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
        if not path.startswith("/v1/") or method == "OPTIONS":
            return "none"
        level = self._level(headers)
        if level == "none":
            raise KeyRefused("this service asks for a key: send it as Authorization: Bearer <key> or X-API-Key: <key>")
        if level == "read" and is_write(method, path):
            raise Forbidden(f"{method} {path} writes, and this caller may only read: use a key that may write")
        return level

    def _check_host(self, host: str) -> None:
        name = host.lower() if host.endswith("]") else host.lower().rsplit(":", 1)[0]
        if name not in self._hosts:
            raise HostRefused(
                f"the Host header is {host!r}, and without keys this service answers to localhost only: "
                "call it as http://localhost, or set SOFTKV_API_KEYS or SOFTKV_ALLOW_ANONYMOUS"
            )

    def _level(self, headers: Headers) -> Level:
        given = headers.get("x-api-key")
        if given is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" and token.strip() else None
        if given is None or not self._keys:
            return self._anonymous
        level: Level = "none"
        for key, grants in self._keys:
            if hmac.compare_digest(key, given.encode()) and level != "write":
                level = grants
        if level == "none":
            raise KeyRefused("the key is not one this service knows: check it for a missing or extra character")
        return level

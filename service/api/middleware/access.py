"""Who calls, and what that allows: keys compared in constant time, and the Host rule for those who have none."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.hosts import Hosts
from service.api.permission import NO_KEY, Level
from service.api.problems import table as problems
from service.api.problems.errors import APIError, KeyRefused

UNKNOWN_KEY = "the key is not one this service knows: check it for a missing or extra character"


class Access:
    """Finds what a caller may do, for the routes to hold against what they declare; without a key it is 401 at once.

    Everything outside `/v1` (the page, probes, docs) is open, and so is `/v1` where there are no keys at all or
    `anonymous` says what callers without one may do. But what is answered without a valid key is answered under
    names of this service only (`hosts`), so that a web page elsewhere cannot reach it through a rebound name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        write_keys: Collection[str],
        read_keys: Collection[str],
        anonymous: Literal["read", "write"] | None,
        hosts: Hosts,
    ) -> None:
        self._app = app
        self._keys: list[tuple[bytes, Level]] = [(key.encode(), "write") for key in write_keys]
        self._keys += [(key.encode(), "read") for key in read_keys]
        self._anonymous: Level = anonymous or ("none" if self._keys else "write")
        self._hosts = hosts

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
        given = _key(headers) if self._keys else None
        granted = "none" if given is None else self._granted(given)
        if granted != "none":
            return granted
        level = self._anonymous if given is None else "none"
        if level == "none" and path.startswith("/v1/") and method != "OPTIONS":
            raise KeyRefused(NO_KEY if given is None else UNKNOWN_KEY)
        self._hosts.check(headers)
        return level

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

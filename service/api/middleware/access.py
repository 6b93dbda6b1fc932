"""Who calls, and what that allows: keys compared in constant time, and the Host rule for those who have none."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems.errors import APIError, Forbidden, HostRefused, KeyRefused, MalformedHost
from service.api.problems.handlers import of_error

Level = Literal["none", "read", "write"]
LEVELS: tuple[Level, ...] = ("none", "read", "write")  # each may do what those before it may
NO_KEY = "this service asks for a key: send it as Authorization: Bearer <key> or X-API-Key: <key>"
ANONYMOUS = "anonymous"  # the caller, where there is no key
UNKNOWN_KEY = "the key is not one this service knows: check it for a missing or extra character"
# RFC 9110, 7.2: a host, and after a colon its port; in brackets an address of version 6.
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~!$&'()*+,;=%-]*))(?::[0-9]{1,5})?")
LOOPBACK = "localhost"


class Access:
    """Finds what a caller may do, for the routes to hold against what they declare; without a key it is 401 at once.

    Everything outside `/v1` (the page, probes, docs) is open, and so is `/v1` where there are no keys at all or
    `anonymous` says what callers without one may do. But what is answered without a valid key is answered under
    names of this service only (`hosts`), so that a web page elsewhere cannot reach it through a rebound name.

    What a caller may do is `access` of the request's state, and `caller` tells callers apart: a digest of the key.
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
                level, caller = self._check(scope["method"], scope["path"], Headers(scope=scope))
                scope.setdefault("state", {}).update(access=level, caller=caller)
            except APIError as refusal:
                await of_error(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, method: str, path: str, headers: Headers) -> tuple[Level, str]:
        given = _key(headers) if self._keys else None
        granted = "none" if given is None else self._granted(given)
        if given is not None and granted != "none":
            return granted, hashlib.sha256(given.encode()).hexdigest()
        level = self._anonymous if given is None else "none"
        if level == "none" and is_call(path) and method != "OPTIONS":
            raise KeyRefused(NO_KEY if given is None else UNKNOWN_KEY)
        self._hosts.check(headers)
        return level, ANONYMOUS

    def _granted(self, given: str) -> Level:
        """What a key allows; every known one is compared with it, so that the time taken tells nothing."""
        level: Level = "none"
        for key, grants in self._keys:
            if hmac.compare_digest(key, given.encode()) and level != "write":
                level = grants
        return level


def caller_of(scope: Scope) -> str:
    """Who calls, to tell callers apart by: his key's digest, or without one the address that he calls from."""
    caller: str = scope["state"].get("caller", ANONYMOUS)
    client = scope.get("client")
    return f"{ANONYMOUS} at {client[0]}" if caller == ANONYMOUS and client else caller


def is_call(path: str) -> bool:
    """Whether a path is the API's, for which keys and the queue are, and not the page's, a probe's or a file's."""
    return path == "/v1" or path.startswith("/v1/")


def _key(headers: Headers) -> str | None:
    given = headers.get("x-api-key")
    if given is not None:
        return given
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def admit(scope: Scope, needed: Level) -> None:
    """Let a request through, or refuse it: `Access` has said what its caller may do.

    Raises:
        KeyRefused: the caller may do nothing.
        Forbidden: the caller may only read.
    """
    level: Level = scope.get("state", {}).get("access", "none")
    if LEVELS.index(level) >= LEVELS.index(needed):
        return
    if level == "none":
        raise KeyRefused(NO_KEY)
    raise Forbidden(
        f"{scope['method']} {scope['path']} writes, and this caller may only read: use a key that may write"
    )


class Hosts:
    """Which names a service answers to where there is no key: any address, and of names only `own` and `allowed`.

    `*` among the allowed is every name.
    """

    def __init__(self, *, own: Iterable[str], allowed: Iterable[str]) -> None:
        allowed = set(allowed)
        self._any = "*" in allowed
        self._names = frozenset(_plain(name) for name in (LOOPBACK, *own, *allowed) if name)

    def check(self, headers: Headers) -> None:
        """Raises: MalformedHost where there are several, or one that is no host; HostRefused where it is not ours."""
        given = headers.getlist("host")
        host = given[0] if given else ""
        found = HOST.fullmatch(host)
        if len(given) > 1 or found is None or (found["address"] and not _is_address(found["address"], IPv6Address)):
            raise MalformedHost(f"the Host header is {', '.join(given)!r}: send one name or address, and its port")
        name = _plain(found["name"] or "")
        if self._any or found["address"] or name in self._names or _is_address(name, IPv4Address):
            return
        raise HostRefused(
            f"the Host header is {host!r}, and without a key this service answers to addresses and to its own names: "
            "call it by its address or as localhost, or add the name to SOFTKV_ALLOWED_HOSTS"
        )


def machine_names(hostname: str) -> set[str]:
    """What a machine of this name is called: in full, in short, and by mDNS.

    Nobody else is asked: an answer of the network may take long, and must not say whom this service trusts.
    """
    short = _plain(hostname).partition(".")[0]
    return {hostname, short, f"{short}.local"} if short not in ("", LOOPBACK) else set()


def _plain(name: str) -> str:
    """A name in lower case, without the dot that may end it."""
    return name.lower().removesuffix(".")


def _is_address(text: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True

"""Authentication by key, the Host rule for callers without one, and CORS for pages of other origins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.keyring import LEVELS, Holder, Keyring, Level
from service.api.problems.errors import APIError, Forbidden, HostRefused, KeyRefused, MalformedHost
from service.api.problems.handlers import problem_response

Reach = Literal["collection", "collections", "everything", "nothing"]
"""What of the store a call is about: the collection of its path, those that its caller may see, all of it, nothing."""

NO_KEY = "this service asks for a key: send it as Authorization: Bearer <key> or X-API-Key: <key>"
ANONYMOUS = "anonymous"  # the caller, where there is no key
NOBODY = Holder(ANONYMOUS, "none", caller=ANONYMOUS)
UNKNOWN_KEY = "the key is not one this service knows: check it for a missing or extra character"
# RFC 9110, 7.2: a host, and after a colon its port; in brackets an address of version 6.
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~!$&'()*+,;=%-]*))(?::[0-9]{1,5})?")
LOOPBACK = "localhost"
MCP = "/mcp"


class AccessMiddleware:
    """Finds what a caller may do, for the routes to hold against what they declare; without a key it is 401 at once.

    Everything outside `/v1` and `/mcp` (the page, probes, docs) is open, and so are these where there are no keys at
    all or `anonymous` says what callers without one may do. But what is answered without a valid key is answered under
    names of this service only (`hosts`), so that a web page elsewhere cannot reach it through a rebound name.

    Who calls is `holder` of the request's state: what it may do, to which collections, and the name that logs have.
    `caller` tells callers apart: a digest.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyring: Keyring,
        anonymous: Literal["read", "write"] | None,
        hosts: Hosts,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._anonymous = Holder(ANONYMOUS, anonymous or ("none" if keyring.asks else "write"), caller=ANONYMOUS)
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] == "http":
            try:
                holder = self._check(scope["method"], scope["path"], Headers(scope=scope))
                scope.setdefault("state", {}).update(holder=holder, caller=holder.caller)
            except APIError as refusal:
                await problem_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, method: str, path: str, headers: Headers) -> Holder:
        given = _key(headers) if self._keyring.asks else None
        holder = None if given is None else self._keyring.holder(given)
        if holder is not None:
            return holder
        holder = self._anonymous if given is None else NOBODY
        if holder.level == "none" and is_call(path) and method != "OPTIONS":
            raise KeyRefused(NO_KEY if given is None else UNKNOWN_KEY)
        self._hosts.check(headers)
        return holder


def caller_of(scope: Scope) -> str:
    """Who calls, to tell callers apart by: his key's digest, or without one the address that he calls from."""
    caller: str = scope["state"].get("caller", ANONYMOUS)
    client = scope.get("client")
    return f"{ANONYMOUS} at {client[0]}" if caller == ANONYMOUS and client else caller


def is_call(path: str) -> bool:
    """Whether a path is the API's, for which keys and the queue are, and not the page's, a probe's or a file's."""
    return path in ("/v1", MCP) or path.startswith(("/v1/", f"{MCP}/"))


def _key(headers: Headers) -> str | None:
    given = headers.get("x-api-key")
    if given is not None:
        return given
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def admit(scope: Scope, needed: Level, reach: Reach = "nothing") -> None:
    """Let a request through, or refuse it: `AccessMiddleware` has said what its caller may do.

    Raises:
        KeyRefused: the caller may do nothing.
        Forbidden: the caller may only read, or this is not about collections of its own.
    """
    holder: Holder = scope.get("state", {}).get("holder", NOBODY)
    if not may(scope, needed):
        if holder.level == "none":
            raise KeyRefused(NO_KEY)
        raise Forbidden(
            f"{scope['method']} {scope['path']} writes, and this caller may only read: use a key that may write"
        )
    if not holder.prefix:
        return
    own = f"this key is for collections whose names begin with {holder.prefix!r}"
    if reach == "everything":
        raise Forbidden(f"{own}, and {scope['method']} {scope['path']} is about all of them: use a key for all")
    if reach == "collection" and not holder.reaches(name := scope["path_params"]["name"]):
        raise Forbidden(f"{own}, and {name!r} does not: use a key for that one")


def may(scope: Scope, needed: Level) -> bool:
    """Whether its caller may do that much."""
    holder: Holder = scope.get("state", {}).get("holder", NOBODY)
    return LEVELS.index(holder.level) >= LEVELS.index(needed)


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


METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
EXPOSED = ("X-Request-ID", "Retry-After", "Idempotency-Replayed")


def answer_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The application, for pages of these origins too; `*` is any, and none leaves it as it is.

    It goes around everything that may refuse: a browser shows a page no answer without these headers, and it asks
    beforehand without the key, so that neither a key nor the Host can be wanted of that. A key is a header which the
    page itself sends, never a cookie: credentials are not allowed, and every header is.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["*"],
        allow_private_network="*" not in origins,  # who names an origin means it for a service on a private address
        expose_headers=EXPOSED,
    )


def is_foreign(headers: Headers, origins: Sequence[str]) -> bool:
    """Whether a page of another origin sends this, and none of those that may; what is no page has no origin."""
    origin = headers.get("origin", "").lower()
    own = origin.partition("://")[2] == headers.get("host", "").lower()
    return bool(origin) and not own and origin not in origins and "*" not in origins

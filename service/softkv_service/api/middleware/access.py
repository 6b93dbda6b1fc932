"""Authentication by API key, the check of the Host header for callers without a key, and CORS for pages of other
origins.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from softkv_service.api.keyring import LEVELS, Holder, Keyring, Level
from softkv_service.api.problems.errors import Forbidden, HostRefused, KeyRefused, MalformedHost, RateExceeded

Reach = Literal["collection", "collections", "everything", "nothing"]
"""The data of a call: the collection in its path, the collections of its caller, all data, or none."""
Filtering = Literal["filtered", "whole", "nothing"]
"""The treatment of a key with a filter. The call sees only the documents that pass; or the key is refused, because the
call is about whole collections or other data; or it is accepted, because the call reads no document.
"""

NO_KEY = "this service asks for a key: send it as Authorization: Bearer <key> or X-API-Key: <key>"
ANONYMOUS = "anonymous"  # the caller of a request without a key
NO_HOLDER = Holder(ANONYMOUS, "none", caller=ANONYMOUS)
UNKNOWN_KEY = "the key is not one this service knows: check it for a missing or extra character"
# RFC 9110, 7.2: a host, and after a colon its port; in brackets an address of version 6.
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~!$&'()*+,;=%-]*))(?::[0-9]{1,5})?")
LOOPBACK = "localhost"


class AccessCheck:
    """The check of a request that determines its caller's level (none, read, feedback or write).

    Routes compare it with the level that they require.

    The page, probes and docs, outside `/v1` and `/mcp`, need no key. Calls need no key if the service has no keys, or
    if `anonymous` sets a level for callers without a key. Otherwise a call without a key gets a 401. Requests without a
    valid key are answered only under names of this service (`hosts`), so that a foreign web page cannot reach it
    through DNS rebinding.

    A request from the network, while that may only read, gets at most the level read.

    The request's state gets `holder` (level, collections and the name for logs) and `caller`, a digest that
    distinguishes callers. It gets `key`, the name of a known key, even if that is refused.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        anonymous: Literal["read", "write"] | None,
        hosts: Hosts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keyring = keyring
        self._has_keys = keyring.has_keys
        self._anonymous = Holder(ANONYMOUS, anonymous or ("none" if self._has_keys else "write"), caller=ANONYMOUS)
        self._hosts = hosts
        self._clock = clock
        self._rates = RequestRates(clock)

    def check(self, scope: Scope, headers: Headers, *, needs_key: bool) -> None:
        """Determine the level of the caller of a request, and store it in the request's state.

        Args:
            scope: the request's ASGI scope.
            headers: its headers.
            needs_key: whether it is a call of the API.

        Raises:
            APIError: the request has no valid key, too many requests came with it, or its Host is another service's.
        """
        key = _key(headers) if self._has_keys else None
        holder = self._find_holder(scope, headers, key, needs_key=needs_key)
        check_again = partial(self._check_again, holder, key)
        scope["state"].update(holder=holder, caller=holder.caller, check_key_again=check_again)

    def _find_holder(self, scope: Scope, headers: Headers, key: str | None, *, needs_key: bool) -> Holder:
        holder = None if key is None else self._keyring.holder(key)
        problem = NO_KEY if key is None else UNKNOWN_KEY
        if holder is not None:
            scope["state"]["key"] = holder.name
            expired = self._find_expiry(holder)
            if expired is None:
                if needs_key:
                    self._rates.admit(holder)
                return holder
            problem = expired
        holder = self._anonymous if key is None else NO_HOLDER
        if holder.level == "none" and needs_key:
            raise KeyRefused(problem)
        self._hosts.check(headers)
        return holder

    def _find_expiry(self, holder: Holder) -> str | None:
        """Return the problem of a key that has expired; None for a valid one."""
        if holder.expires is None or self._clock() < holder.expires.timestamp():
            return None
        return f"this key expired at {_instant(holder.expires)}: ask its operator for a new one"

    def _check_again(self, holder: Holder, key: str | None) -> None:
        """Check that a key still has the rights with which its call began; raises KeyRefused."""
        if key is None or holder is NO_HOLDER:
            return
        current = self._keyring.holder(key)
        if current is None:
            raise KeyRefused("the key was removed during this call: ask its operator for a new one")
        if (problem := self._find_expiry(current)) is not None:
            raise KeyRefused(problem)
        if (current.level, current.prefixes, current.restriction) != (
            holder.level,
            holder.prefixes,
            holder.restriction,
        ):
            raise KeyRefused("the rights of this key were changed during this call: send the rest in a new one")


def check_key_again(scope: Scope) -> None:
    """Check that the key of a call that lasts long still has the rights with which it began.

    Raises:
        KeyRefused: the key was removed or changed, or has expired.
    """
    if (check := scope.get("state", {}).get("check_key_again")) is not None:
        check()


class RequestRates:
    """The requests of each key in the last minute. Each process of the service counts for itself.

    Args:
        clock: returns the time in seconds of Unix time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, holder: Holder) -> None:
        """Count a request, if its key has a limit.

        Raises:
            RateExceeded: the key has sent as many requests in the last 60 seconds as it may. This one is not counted.
        """
        limit = holder.requests_per_minute
        if limit is None:
            return
        now, times = self._clock(), self._times[holder.caller]
        while times and not now - 60 < times[0] <= now:  # later than now: the clock was set back
            times.popleft()
        if len(times) >= limit:
            again = times[-limit] + 60
            raise RateExceeded(
                f"this key may send {limit:,} requests a minute, and has sent them: send the next one after "
                f"{_instant(datetime.fromtimestamp(math.ceil(again), UTC))}",
                math.ceil(again - now),
            )
        times.append(now)


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def caller_of(scope: Scope) -> str:
    """Return the identity of a caller: the digest of its key, or its client address if it has none."""
    caller: str = scope["state"].get("caller", ANONYMOUS)
    client = scope.get("client")
    return f"{ANONYMOUS} at {client[0]}" if caller == ANONYMOUS and client else caller


def _key(headers: Headers) -> str | None:
    key = headers.get("x-api-key")
    if key is not None:
        return key.strip()
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def admit(scope: Scope, needed: Level, reach: Reach = "nothing", filtering: Filtering = "nothing") -> None:
    """Check that the caller of a request has the access that its route declares.

    Args:
        scope: the request's ASGI scope, in which the middleware stored the caller's level.
        needed: the level that the route needs.
        reach: which collections the route may touch.
        filtering: how the route treats a key with a filter.

    Raises:
        KeyRefused: the caller has no valid API key.
        Forbidden: the caller may not do what the route needs, the key does not cover the collection, or it has a filter
            and the route does not apply it.
    """
    holder: Holder = scope.get("state", {}).get("holder", NO_HOLDER)
    if not may(scope, needed):
        if holder.level == "none":
            raise KeyRefused(NO_KEY)
        call = f"{scope['method']} {scope['path']}"
        if needed == "feedback":
            raise Forbidden(
                f"{call} gives feedback, and this caller may only read: use a key of the scope feedback or write"
            )
        allowed = "read and give feedback" if holder.level == "feedback" else "read"
        raise Forbidden(f"{call} needs a key that may write, and this caller may only {allowed}")
    if holder.prefixes and reach == "everything":
        raise Forbidden(
            f"{_covers(holder)}, and {scope['method']} {scope['path']} is about all of them: use a key for all"
        )
    if reach == "collection":
        require_reach(holder, scope["path_params"]["name"])
    if filtering == "whole" and holder.filtered:
        raise Forbidden(
            f"this key is for the documents that pass its filter, and {scope['method']} {scope['path']} is about more: "
            "use a key without a filter"
        )


def require_reach(holder: Holder, name: str) -> None:
    """Check that a key covers the collections of a name; raises Forbidden."""
    if holder.prefixes and not holder.reaches(name):
        raise Forbidden(f"{_covers(holder)}, and {name!r} does not: use a key for that one")


def _covers(holder: Holder) -> str:
    return f"this key is for collections whose names begin with {' or '.join(map(repr, holder.prefixes))}"


def may(scope: Scope, needed: Level) -> bool:
    """Return whether the caller of a request has at least this level: none, read, feedback or write."""
    holder: Holder = scope.get("state", {}).get("holder", NO_HOLDER)
    return LEVELS.index(holder.level) >= LEVELS.index(needed)


class Hosts:
    """The host names that requests without an API key may use: any IP address, `names` and `allowed`.

    `*` in `allowed` accepts every name.
    """

    def __init__(self, *, names: Iterable[str], allowed: Iterable[str]) -> None:
        allowed = set(allowed)
        self._any = "*" in allowed
        self._names = frozenset(_plain(name) for name in (LOOPBACK, *names, *allowed) if name)

    def check(self, headers: Headers) -> None:
        """Check that the Host header of a request without a key is an accepted name.

        Raises:
            MalformedHost: the header is missing, repeated or not a host.
            HostRefused: the header's host is not a name of this service.
        """
        hosts = headers.getlist("host")
        host = hosts[0] if hosts else ""
        match = HOST.fullmatch(host)
        if len(hosts) > 1 or match is None or (match["address"] and not _is_address(match["address"], IPv6Address)):
            raise MalformedHost(f"the Host header is {', '.join(hosts)!r}: send one name or address, and its port")
        name = _plain(match["name"] or "")
        if self._any or match["address"] or name in self._names or _is_address(name, IPv4Address):
            return
        raise HostRefused(
            f"the Host header is {host!r}, and without a key this service answers to addresses and to its own names: "
            "call it by its address or as localhost, or add the name to SOFTKV_ALLOWED_HOSTS"
        )


def machine_names(hostname: str) -> set[str]:
    """Return the names of a machine: full, short, and for mDNS.

    The function does not query a resolver: the network may be slow, and must not decide which names the service trusts.
    """
    short = _plain(hostname).partition(".")[0]
    return {hostname, short, f"{short}.local"} if short not in ("", LOOPBACK) else set()


def _plain(name: str) -> str:
    """Return a host name in lower case, without a final dot."""
    return name.lower().removesuffix(".")


def _is_address(text: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True


METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
EXPOSED = ("X-Request-ID", "Retry-After", "Idempotency-Replayed", "Age")


def answer_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Wrap the application in CORS for pages of these origins; `*` is any origin. An empty list changes nothing.

    CORS must be the outermost layer: a browser hides responses without CORS headers, and sends preflight requests
    without the key. The page itself sends the key as a header, never as a cookie. So every header is allowed, and
    cookies are not.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["*"],
        allow_private_network="*" not in origins,  # a listed origin is trusted with a service on a private address
        expose_headers=EXPOSED,
    )


def is_foreign(headers: Headers, origins: Sequence[str]) -> bool:
    """Return whether a web page of an origin that is not allowed sent the request.

    Clients other than browsers send no Origin.
    """
    origin = headers.get("origin", "").lower()
    same = origin.partition("://")[2] == headers.get("host", "").lower()
    return bool(origin) and not same and origin not in origins and "*" not in origins

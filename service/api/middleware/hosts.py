"""Which names a service answers to. A page elsewhere can point a name of its own at this machine, but no address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from starlette.datastructures import Headers

from service.api.problems.errors import HostRefused, MalformedHost

# RFC 9110, 7.2: a host, and after a colon its port; in brackets an address of version 6.
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~!$&'()*+,;=%-]*))(?::[0-9]{1,5})?")
LOOPBACK = "localhost"


class Hosts:
    """The rule on the Host header of callers without a key: any address, and of names only `own` and `allowed`.

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

"""The client's version and its defaults. Only this module of the client reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import inet_aton, inet_ntoa
from urllib.request import getproxies, proxy_bypass

VERSION = "0.1.0"
"""The version in the distribution's pyproject.toml."""

DEFAULT_URL = "http://127.0.0.1:8000"


def service_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return the service's URL: `SOFTKV_URL`, or http://127.0.0.1:8000."""
    return environment.get("SOFTKV_URL") or DEFAULT_URL


def service_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the API key in `SOFTKV_KEY`, or None."""
    return environment.get("SOFTKV_KEY") or None


def proxy_of(scheme: str, host: str) -> str:
    """Return the URL of the proxy that the environment names for a host; empty without one.

    NO_PROXY names hosts, whose subdomains it includes, addresses and networks such as 10.0.0.0/8; * is all hosts.
    """
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all", "")
    if not proxy or proxy_bypass(host) or any(_is_in(host, part.strip()) for part in proxies.get("no", "").split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_in(host: str, network: str) -> bool:
    """Return whether a host is an address in a network; false for names."""
    try:
        return ip_address(host) in ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host, also as localhost., 127.1 or [::ffff:127.0.0.1]."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _parse_address(name)
    return address is not None and address.is_loopback


def is_this_machine(host: str) -> bool:
    """Return whether a call to a host stays on this machine: it is loopback, or 0.0.0.0 or [::]."""
    address = _parse_address(host.strip("[]"))
    return is_loopback(host) or (address is not None and address.is_unspecified)


def _parse_address(name: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a host without brackets, in any spelling that the system takes; None for a name."""
    try:
        address = ip_address(inet_ntoa(inet_aton(name)) if name[:1].isdecimal() and ":" not in name else name)
    except (OSError, ValueError):
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def width_is_set(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether `COLUMNS` sets the width of the terminal."""
    return bool(environment.get("COLUMNS"))

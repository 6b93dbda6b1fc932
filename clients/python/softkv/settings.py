"""The client's version and its defaults. Only this module of the client reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
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


def width_is_set(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether `COLUMNS` sets the width of the terminal."""
    return bool(environment.get("COLUMNS"))

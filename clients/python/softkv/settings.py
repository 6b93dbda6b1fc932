"""Where the service is and with which key to call it, unless a client is told: `SOFTKV_URL` and `SOFTKV_KEY`."""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_URL = "http://127.0.0.1:8000"


def service_url(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the service."""
    return environment.get("SOFTKV_URL") or DEFAULT_URL


def service_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key to call it with, None for none."""
    return environment.get("SOFTKV_KEY") or None

"""The client's version and its defaults. Only this module of the client reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

VERSION = "0.1.0"
"""The version in the distribution's pyproject.toml."""

DEFAULT_URL = "http://127.0.0.1:8000"


def service_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return the service's URL: `SOFTKV_URL`, or http://127.0.0.1:8000."""
    return environment.get("SOFTKV_URL") or DEFAULT_URL


def service_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the API key in `SOFTKV_KEY`, or None."""
    return environment.get("SOFTKV_KEY") or None


def width_is_set(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether `COLUMNS` sets the width of the terminal."""
    return bool(environment.get("COLUMNS"))

"""The version of this client, as its pyproject.toml says it."""

from __future__ import annotations

VERSION = "0.1.0"

"""Probes on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.schemas.wire import Wire


class Liveness(Wire):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Wire):
    """What is loaded, and what is not."""

    status: Literal["ready", "loading", "failed"]
    loading: list[str] = Field(description="What still loads: the encoder, collections, demo collections.")
    failed: list[str] = Field(description="What could not be loaded, or is damaged on disk, and why.")

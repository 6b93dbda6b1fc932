"""How many callers a service listens to at once, and how long it waits for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """What the server keeps while it reads requests and sends answers.

    Attributes:
        connections: how many are open at once.
        head_seconds: within which a request line and its headers have to come, from when they are waited for.
        body_seconds: how long a body may be behind `rate`, and an answer that is not taken.
        rate: bytes a second of a body or an answer.
        idle_seconds: how long a connection stays open after an answer.
    """

    connections: int = 1000
    head_seconds: float = 10
    body_seconds: float = 30
    rate: int = 1024
    idle_seconds: float = 30

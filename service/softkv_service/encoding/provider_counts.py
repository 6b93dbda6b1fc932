"""Counts of the calls to a provider."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Failure = Literal["unreachable", "too slow", "rate limit", "server error", "refused", "invalid answer", "text refused"]
"""The reason why a call failed, for metrics."""

FAILURES: tuple[Failure, ...] = (
    *("unreachable", "too slow", "rate limit", "server error", "refused", "invalid answer", "text refused"),
)


@dataclass
class ProviderCounts:
    """Counts of the calls to a provider, for metrics.

    Attributes:
        requests: the HTTP requests that were sent, repetitions included.
        repeats: how many of them repeat one that failed.
        failures: the batches that failed in the end, by reason.
        tokens: the tokens that the provider counted.
    """

    requests: int = 0
    repeats: int = 0
    failures: Counter[Failure] = field(default_factory=Counter)
    tokens: int = 0

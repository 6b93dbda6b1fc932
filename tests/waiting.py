"""Waiting for what comes about in its own time, as where a thread, a process or a service has to get there."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60, told: Callable[[], object] | None = None) -> None:
    """Wait until a condition holds.

    Args:
        told: returns a text for the error, beside the time.

    Raises:
        AssertionError: it does not hold within `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s" + (f": {told()}" if told else "")
        time.sleep(0.02)

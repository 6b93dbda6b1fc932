"""The pace at which calls to a provider may start."""

from __future__ import annotations

import asyncio
import time
from collections import deque

MINUTE = 60.0


class Pace:
    """A limit on the calls that start within any minute, and pauses that the provider asks for.

    It belongs to one event loop.

    Args:
        per_minute: the most calls that start within a minute; None for no limit.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._starts: deque[float] | None = None if per_minute is None else deque(maxlen=per_minute)
        self._quiet_until = 0.0
        self._turn = asyncio.Lock()

    def pause(self, seconds: float) -> None:
        """Note that the provider wants no call within the next `seconds`."""
        self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    @property
    def quiet_seconds(self) -> float:
        """For how many seconds the provider still wants no call."""
        return max(0.0, self._quiet_until - time.monotonic())

    async def wait(self) -> None:
        """Wait until the limit allows a call to start, and count it; calls start in the order in which they came."""
        if self._starts is None:
            return
        async with self._turn:
            if len(self._starts) == self._starts.maxlen:
                await asyncio.sleep(self._starts[0] + MINUTE - time.monotonic())
            self._starts.append(time.monotonic())

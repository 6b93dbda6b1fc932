"""Scans take turns in a slot: of questions that nobody waits for any more, none is begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore

from attention.lookup import SCANNING_CALLS
from service.cluster.errors import TurnMissed

AT_ONCE = 2
"""Scans, each in as many threads as the slot has: one reads its rows while the other one begins, or ends."""


class Turns:
    """Who may read all rows now; for many threads."""

    def __init__(self) -> None:
        self._free = Semaphore(AT_ONCE)

    @contextmanager
    def taken(self, call: str | None, seconds: float) -> Iterator[None]:
        """A turn for a call, for as long as the block runs; calls that read a few rows need none.

        Args:
            seconds: how long its asker waits.

        Raises:
            TurnMissed: it had none by then.
        """
        if call not in SCANNING_CALLS:
            yield
            return
        if not self._free.acquire(timeout=max(0.0, seconds)):
            raise TurnMissed(f"it scanned for others for {seconds:.1f} s, and its asker waits no longer")
        try:
            yield
        finally:
            self._free.release()

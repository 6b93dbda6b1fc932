"""What is gone is deleted in the end, a little at a time, beside who writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock, Thread

EVERY_SECONDS = 60.0


class GarbageCollector:
    """A thread that deletes what nobody reads any more: after a write, and not more often than every minute.

    Args:
        step: deletes some; False where there is no more.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._running = Lock()
        self._last = time.monotonic()

    def begin(self) -> None:
        """Begin, unless it was done lately or runs already."""
        if time.monotonic() - self._last > EVERY_SECONDS and self._running.acquire(blocking=False):
            self._last = time.monotonic()
            try:
                Thread(target=self._run, name="clear what is gone", daemon=True).start()
            except RuntimeError:
                self._running.release()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        finally:
            self._running.release()

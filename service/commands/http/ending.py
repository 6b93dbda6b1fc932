"""The end of the process: a signal asks for it, a second one brings it at once, and so does its time."""

from __future__ import annotations

import os
import queue
import threading
import time
from types import FrameType

GONE_SECONDS = 9.0  # below the ten after which docker kills
AFTER_DRAINING_SECONDS = 4.0  # at least, for what runs when a long moment of draining is over
LAST_SECONDS = 0.5  # for threads, when all that matters is closed


class Ending:
    """Sees to it that a process that was told to stop is gone in time, whatever its threads compute.

    Its database has to be safe at any moment: what is on disk when the time is over is what stays.

    Args:
        drain_seconds: how long the service goes on after a signal that is not Ctrl-C.
    """

    def __init__(self, drain_seconds: float) -> None:
        self.signal: int | None = None
        self._drain_seconds = drain_seconds
        self._told = self._deadline = 0.0
        # Made while there is memory for a thread; a signal's handler may put, but not lock.
        self._deadlines: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="ending", daemon=True).start()

    def tell(self, number: int) -> None:
        """Take notice of a signal: the first sets the time, the second ends the process."""
        if self.signal is not None:
            os._exit(0)
        self.signal, self._told = number, time.monotonic()
        self._by(self._told + max(GONE_SECONDS, self._drain_seconds + AFTER_DRAINING_SECONDS))

    def interrupt(self, number: int, _: FrameType | None) -> None:
        """A handler of signals for while nothing is served yet, or any more."""
        self.tell(number)
        raise KeyboardInterrupt

    def since(self) -> float:
        """Seconds since the first signal."""
        return time.monotonic() - self._told

    def left(self) -> float:
        """Seconds until the process ends."""
        return self._deadline - time.monotonic()

    def soon(self) -> None:
        """Nothing is left that threads could do for anyone: where a signal came, they have a last moment."""
        if self.signal is not None:
            self._by(time.monotonic() + LAST_SECONDS)

    def _by(self, deadline: float) -> None:
        self._deadline = deadline
        self._deadlines.put(deadline)

    def _watch(self) -> None:
        deadline = self._deadlines.get()
        while (left := deadline - time.monotonic()) > 0:
            try:
                deadline = self._deadlines.get(timeout=left)
            except queue.Empty:
                break
        os._exit(0)

"""Compaction of a collection's keys, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread


class Compaction:
    """Makes the keys of a collection fast to read, beside its readers and writers; they do not wait for it.

    Args:
        name: the collection's, for the thread.
        step: makes a part of them fast; False where there is nothing more to do.
    """

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self._name = name
        self._step = step
        self._running = Lock()

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self._running.locked()

    def begin(self) -> None:
        """Begin, unless it runs already."""
        if self._running.acquire(blocking=False) and not in_background(self._run, f"compact {self._name}"):
            self._running.release()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except MemoryError:
            pass  # the keys stay as they are, until the next write
        finally:
            self._running.release()


def in_background(work: Callable[[], None], name: str) -> bool:
    """Whether the thread could be started: where memory is short it may not."""
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True

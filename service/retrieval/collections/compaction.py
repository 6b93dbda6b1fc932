"""Compaction of a collection's keys, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Lock, Thread
from time import sleep


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
        self._asked = False

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self._running.locked()

    def begin(self) -> None:
        """Begin, or go on where it runs already."""
        self._asked = True
        if self._running.acquire(blocking=False) and not start_background(self._run, f"compact {self._name}"):
            self._running.release()

    def _run(self) -> None:
        while True:
            self._asked = False
            try:
                while self._step():
                    pass
            except MemoryError:
                pass  # the keys stay as they are, until the next write
            finally:
                self._running.release()
            if not self._asked or not self._running.acquire(blocking=False):
                return


def start_background(work: Callable[[], None], name: str) -> bool:
    """Whether the thread could be started: where memory is short it may not."""
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def retry_forever() -> Iterator[None]:
    """At once, and again after a pause that grows to some seconds, for as long as one tries."""
    for seconds in chain((0.0, 0.5, 1.0, 2.0, 4.0), repeat(8.0)):
        sleep(seconds)
        yield
